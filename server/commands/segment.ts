import { readFile } from 'node:fs/promises';
import Table from 'cli-table3';
import { Command, Option } from 'commander';
import type { Mask, Segment, SegmentResponse } from '../../openapi/types.ts';
import type { PrecisionSetting } from '../inference/precision.ts';
import type { MaskFormat, SegmentForm } from '../inference/protocol.ts';
import { segmentFrame } from '../inference/response.ts';
import type { Segments } from '../inference/segment_answer.ts';
import { answerInForms } from '../inference/segment_answer.ts';
import type { Segmenter } from '../inference/segmenter.ts';
import { readSettings } from '../settings.ts';
import { writeAtomically } from '../zoo/files.ts';
import { defaultModel } from '../zoo/records.ts';
import { CommandError, numberBetween } from './arguments.ts';
import { classIdsOf } from './class_ids.ts';
import { openSegmenter, precisionOption } from './open_model.ts';
import { eachPhoto } from './photo_files.ts';
import { makeOut, planFiles } from './plan_files.ts';
import { noProgress, startProgress } from './progress.ts';
import type { SegmentFiles } from './segment_files.ts';
import { segmentFiles } from './segment_files.ts';

/** How --json can print masks. */
const MASK_FORMATS: readonly MaskFormat[] = ['png', 'rle', 'rle_uncompressed', 'polygons'];

interface Options {
  readonly out: string;
  readonly model: string;
  readonly precision?: PrecisionSetting;
  readonly classes?: string;
  readonly overlay?: boolean;
  readonly confidence?: boolean;
  readonly multiScale?: boolean;
  readonly flip?: boolean;
  readonly format?: MaskFormat;
  readonly tolerance: number;
  readonly force?: boolean;
  readonly json?: boolean;
}

/** What is said of one photo: as the API does, but that masks are there on demand only, and pictures are in files. */
interface Answer extends Omit<SegmentResponse, 'segments' | 'confidence_map'> {
  readonly written: SegmentFiles;
  readonly segments: readonly (Omit<Segment, 'mask'> & { readonly mask?: Mask })[];
}

/** `thinlens segment FILE...`: the class of every pixel of photos, without a server. */
export function segmentCommand(): Command {
  return new Command('segment')
    .description(
      'Write the class of every pixel of photos as palette PNGs of class ids (the background 0, colours as in PASCAL VOC), without a server.',
    )
    .argument('<file...>', 'photos: JPEG, PNG, WebP, AVIF, GIF or TIFF')
    .requiredOption('--out <dir>', 'folder to write to, required; NAME.png for a photo NAME.jpg')
    .option('--model <name>', 'model to use', defaultModel('segmentation'))
    .addOption(precisionOption())
    .option('--classes <list>', 'labels or class ids, separated by commas; others are taken for background')
    .option('--overlay', 'also write NAME.overlay.jpg, the photo with its classes laid over it and named')
    .option('--confidence', 'also write NAME.confidence.png, how sure the network is of each pixel')
    .option('--multi-scale', 'look at each photo at six scales')
    .option('--flip', 'look at each photo also mirrored')
    .addOption(new Option('--format <form>', 'masks in the JSON, in this form').choices(MASK_FORMATS))
    .option(
      '--tolerance <pixels>',
      'pixels that polygons may be off by',
      numberBetween('--tolerance', 0, 100),
      1.5,
    )
    .option('--force', 'replace files that are there')
    .option('--json', 'print one JSON object')
    .action(segment);
}

async function segment(photos: readonly string[], options: Options): Promise<void> {
  if (options.format && !options.json)
    throw new CommandError('--format says how --json prints masks, and --json is not given');
  const planned = await planFiles(photos, (photo) => segmentFiles(photo, options.out, options), options);
  const segmenter = await openSegmenter(options.model, options.precision);
  const classIds = options.classes === undefined ? undefined : classIdsOf(segmenter.record, options.classes);
  await makeOut(options.out);
  // On a terminal the tables show how far it is.
  const isBarWanted = photos.length > 1 && (options.json === true || !process.stdout.isTTY);
  const images = await eachPhoto(
    photos,
    (photo) => segmentPhoto(segmenter, photo, planned.get(photo) as SegmentFiles, classIds, options),
    {
      progress: isBarWanted ? startProgress(photos.length) : noProgress,
      show: options.json ? () => {} : print,
    },
  );
  if (options.json) console.log(JSON.stringify({ model: segmenter.record.name, images }, null, 2));
  await segmenter.close();
}

async function segmentPhoto(
  segmenter: Segmenter,
  photo: string,
  written: SegmentFiles,
  classIds: readonly number[] | undefined,
  options: Options,
): Promise<Answer> {
  const { multiScale = false, flip = false, format, tolerance } = options;
  const { maxImagePixels: maxPixels } = readSettings({}, process.env);
  const started = performance.now();
  const forms: SegmentForm[] = [
    { kind: 'json', masks: format ?? 'rle', tolerance, confidence: written.confidence !== undefined },
    { kind: 'classes' },
  ];
  if (written.overlay) forms.push({ kind: 'overlay', type: 'jpeg' });
  const { bodies, ...outcome } = await answerInForms(
    segmenter,
    await readFile(photo),
    { multiScale, flip, forms, ...(classIds && { classIds }) },
    { maxPixels },
  );
  const [json, classes, overlay] = bodies;
  const { segments, confidence_map } = JSON.parse(`{${Buffer.from(json as Uint8Array)}}`) as Segments;
  const confidence = confidence_map && Buffer.from(confidence_map.png, 'base64');
  for (const [path, picture] of [
    [written.classes, classes],
    [written.overlay, overlay],
    [written.confidence, confidence],
  ] as const) {
    if (path && picture) await writeAtomically(path, picture);
  }
  const { before, after } = segmentFrame(segmenter, { ...outcome, queued: 0 }, performance.now() - started);
  return {
    written,
    ...before,
    segments: format ? segments : segments.map(({ mask: _mask, ...rest }) => rest),
    ...after,
  };
}

function print(photo: string, { image, segments, timing, written }: Answer): void {
  const classes = segments.length === 1 ? '1 class' : `${segments.length} classes`;
  console.log(
    `${photo}: ${image.width} x ${image.height}, ${classes} in ${timing.total_ms.toFixed(1)} ms, ${Object.values(written).join(', ')}`,
  );
  if (segments.length === 0) return;
  const isSure = written.confidence !== undefined;
  const head = ['label', 'share', 'x_min', 'y_min', 'x_max', 'y_max', ...(isSure ? ['confidence'] : [])];
  const table = new Table({
    head,
    colAligns: head.map((_, column) => (column === 0 ? 'left' : 'right')),
    style: { head: [], border: [], compact: true },
  });
  for (const { label, fraction, box, confidence } of segments) {
    table.push([
      label,
      `${(100 * fraction).toFixed(2)} %`,
      ...[box.x_min, box.y_min, box.x_max, box.y_max].map(String),
      ...(isSure ? [(confidence ?? 0).toFixed(3)] : []),
    ]);
  }
  console.log(table.toString());
}
