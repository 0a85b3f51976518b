import { readFile } from 'node:fs/promises';
import Table from 'cli-table3';
import { Command } from 'commander';
import type { DetectResponse } from '../../openapi/types.ts';
import type { PrecisionSetting } from '../inference/precision.ts';
import { detectResponse } from '../inference/response.ts';
import { readSettings } from '../settings.ts';
import { costOf } from '../zoo/network.ts';
import { defaultModel } from '../zoo/records.ts';
import { numberBetween } from './arguments.ts';
import { openDetector, precisionOption } from './open_model.ts';
import { eachPhoto } from './photo_files.ts';
import { noProgress } from './progress.ts';

interface Options {
  readonly model: string;
  readonly precision?: PrecisionSetting;
  readonly scoreThreshold: number;
  readonly iouThreshold: number;
  readonly maxDetections: number;
  readonly agnosticNms?: boolean;
  readonly json?: boolean;
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
    .option('--agnostic-nms', 'let boxes of different classes suppress each other')
    .option('--json', 'print one JSON object')
    .action(detect);
}

async function detect(files: readonly string[], options: Options): Promise<void> {
  const detector = await openDetector(options.model, options.precision);
  const served = {
    record: detector.record,
    precision: detector.precision,
    madds: costOf(detector.record).madds,
  };
  const { maxImagePixels: maxPixels } = readSettings({}, process.env);
  const find = async (file: string) => {
    const started = performance.now();
    const encoded = await readFile(file);
    const outcome = await detector.detect(
      { kind: 'encoded', bytes: encoded },
      { ...options, agnosticNms: options.agnosticNms ?? false },
      { maxPixels },
    );
    return detectResponse(served, { ...outcome, queued: 0 }, performance.now() - started);
  };
  const show = options.json ? () => {} : print;
  const images = await eachPhoto(files, find, { progress: noProgress, show });
  if (options.json) console.log(JSON.stringify({ model: detector.record.name, images }, null, 2));
  await detector.close();
}

function print(file: string, { image, detections, timing }: DetectResponse): void {
  console.log(
    `${file}: ${image.width} x ${image.height}, ${detections.length} found in ${timing.total_ms.toFixed(1)} ms`,
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
