import { readFile } from 'node:fs/promises';
import Table from 'cli-table3';
import { Command } from 'commander';
import { quote } from '../../models/weights/quote.ts';
import type { DetectResponse } from '../../openapi/types.ts';
import type { Region } from '../image/region.ts';
import { answerDetect } from '../inference/detect_answer.ts';
import type { PrecisionSetting } from '../inference/precision.ts';
import { detectResponse } from '../inference/response.ts';
import { readSettings } from '../settings.ts';
import { writeAtomically } from '../zoo/files.ts';
import { costOf } from '../zoo/network.ts';
import { defaultModel } from '../zoo/records.ts';
import { CommandError, numberBetween } from './arguments.ts';
import { classIdsOf } from './class_ids.ts';
import type { DetectFiles } from './detect_files.ts';
import { detectFiles, pictureTypeOf } from './detect_files.ts';
import { openDetector, precisionOption } from './open_model.ts';
import { eachPhoto } from './photo_files.ts';
import { makeOut, planFiles } from './plan_files.ts';
import { noProgress } from './progress.ts';

interface Options {
  readonly model: string;
  readonly precision?: PrecisionSetting;
  readonly scoreThreshold: number;
  readonly iouThreshold: number;
  readonly maxDetections: number;
  readonly classes?: string;
  readonly agnosticNms?: boolean;
  readonly region?: Region;
  readonly out?: string;
  readonly force?: boolean;
  readonly json?: boolean;
}

/** What is said of one photo, and of the file that it was drawn to. */
interface Answer extends DetectResponse {
  readonly written?: DetectFiles;
}

/** `thinlens detect FILE...`: boxes of photos, without a server. */
export function detectCommand(): Command {
  return new Command('detect')
    .description('Find objects in photos, without a server.')
    .argument('<file...>', 'photos: JPEG, PNG, WebP, AVIF, GIF or TIFF')
    .option('--model <name>', 'model to use', defaultModel('detection'))
    .addOption(precisionOption())
    .option('--score-threshold <0..1>', 'lowest score shown', numberBetween('--score-threshold', 0, 1), 0.3)
    .option(
      '--iou-threshold <0..1>',
      'overlap above which the weaker box goes',
      numberBetween('--iou-threshold', 0, 1),
      0.6,
    )
    .option(
      '--max-detections <n>',
      'most boxes a photo',
      numberBetween('--max-detections', 1, 1000, true),
      100,
    )
    .option('--classes <list>', 'labels or class ids to look for, separated by commas; all where left out')
    .option('--agnostic-nms', 'let boxes of different classes suppress each other')
    .option('--region <corners>', 'x_min,y_min,x_max,y_max in pixels: look at this part only', regionOf)
    .option('--out <dir>', 'folder to write the photos to with boxes, labels and scores drawn on them')
    .option('--force', 'replace files that are there')
    .option('--json', 'print one JSON object')
    .action(detect);
}

/** A part of a photo by its corners, as the API takes it. @throws CommandError that says what it must be */
function regionOf(text: string): Region {
  const corners = text.split(',').map((corner) => (corner.trim() === '' ? Number.NaN : Number(corner)));
  const [x_min = 0, y_min = 0, x_max = 0, y_max = 0] = corners;
  const isSound =
    corners.every((corner) => corner >= 0 && corner < Infinity) && x_min < x_max && y_min < y_max;
  if (corners.length !== 4 || !isSound) {
    throw new CommandError(
      `--region must be 4 numbers of at least 0, x_min,y_min,x_max,y_max, with x_min < x_max and y_min < y_max, got ${quote(text)}`,
    );
  }
  return { x_min, y_min, x_max, y_max };
}

async function detect(files: readonly string[], options: Options): Promise<void> {
  const { out } = options;
  if (out === undefined && options.force)
    throw new CommandError('--force replaces files of --out, and --out is not given');
  const planned =
    out === undefined ? undefined : await planFiles(files, (file) => detectFiles(file, out), options);
  const detector = await openDetector(options.model, options.precision);
  const classIds = options.classes === undefined ? undefined : classIdsOf(detector.record, options.classes);
  const served = {
    record: detector.record,
    precision: detector.precision,
    madds: costOf(detector.record).madds,
  };
  const { maxImagePixels: maxPixels } = readSettings({}, process.env);
  if (out !== undefined) await makeOut(out);
  const find = async (file: string): Promise<Answer> => {
    const started = performance.now();
    const encoded = await readFile(file);
    const written = planned?.get(file);
    const { body, ...outcome } = await answerDetect(
      detector,
      { kind: 'encoded', bytes: encoded },
      {
        ...options,
        agnosticNms: options.agnosticNms ?? false,
        ...(classIds && { classIds }),
        ...(written && { picture: pictureTypeOf(written) }),
      },
      { maxPixels },
    );
    if (written && body) await writeAtomically(written.picture, body);
    const response = detectResponse(served, { ...outcome, queued: 0 }, performance.now() - started);
    return { ...(written && { written }), ...response };
  };
  const show = options.json ? () => {} : print;
  const images = await eachPhoto(files, find, { progress: noProgress, show });
  if (options.json) console.log(JSON.stringify({ model: detector.record.name, images }, null, 2));
  await detector.close();
}

function print(file: string, { image, detections, timing, written }: Answer): void {
  console.log(
    `${file}: ${image.width} x ${image.height}, ${detections.length} found in ${timing.total_ms.toFixed(1)} ms${written ? `, ${written.picture}` : ''}`,
  );
  if (detections.length === 0) return;
  const table = new Table({
    head: ['label', 'score', 'x_min', 'y_min', 'x_max', 'y_max'],
    colAligns: ['left', 'right', 'right', 'right', 'right', 'right'],
    style: { head: [], border: [], compact: true },
  });
  for (const { label, score, box } of detections) {
    table.push([
      label,
      score.toFixed(3),
      ...[box.x_min, box.y_min, box.x_max, box.y_max].map((value) => value.toFixed(1)),
    ]);
  }
  console.log(table.toString());
}
