import { readdir } from 'node:fs/promises';
import { join, parse } from 'node:path';
import Table from 'cli-table3';
import { Command } from 'commander';
import type { ClassIou, SegmentationEvaluation } from '../../heads/deeplabv3/mean_iou.ts';
import { ConfusionMatrix, VOID_LABEL } from '../../heads/deeplabv3/mean_iou.ts';
import { decodeLabelMap } from '../image/label_map.ts';
import type { PrecisionSetting } from '../inference/precision.ts';
import { classMapOf } from '../inference/segment_answer.ts';
import type { Segmenter } from '../inference/segmenter.ts';
import { readSettings } from '../settings.ts';
import type { Label } from '../zoo/labels.ts';
import { defaultModel } from '../zoo/records.ts';
import { CommandError } from './arguments.ts';
import { naming, readFrom } from './dataset.ts';
import { openSegmenter, precisionOption } from './open_model.ts';
import { startProgress } from './progress.ts';

/** By what a photo's name may end. */
const PHOTO_EXTENSIONS = ['.jpg', '.jpeg', '.png', '.webp', '.avif', '.gif', '.tif', '.tiff'];
const MASK_EXTENSION = '.png';

interface Options {
  readonly model: string;
  readonly precision?: PrecisionSetting;
  readonly images: string;
  readonly masks: string;
  readonly multiScale?: boolean;
  readonly flip?: boolean;
  readonly padded?: boolean;
  readonly json?: boolean;
}

/** A photo and what it shows, by their names in their folders. */
interface Pair {
  readonly photo: string;
  readonly mask: string;
}

/** `thinlens eval segmentation`: accuracy on a dataset, as PASCAL VOC measures it. */
export function evalSegmentationCommand(): Command {
  return new Command('segmentation')
    .description("Measure a segmentation model with PASCAL VOC's mean intersection over union.")
    .requiredOption('--images <dir>', 'folder of the photos')
    .requiredOption(
      '--masks <dir>',
      `ground truth: for each photo a PNG of the same name whose values are class ids, grey or with a palette, ${VOID_LABEL} for pixels that do not count`,
    )
    .option('--model <name>', 'model to measure', defaultModel('segmentation'))
    .addOption(precisionOption())
    .option('--multi-scale', 'look at each photo at six scales')
    .option('--flip', 'look at each photo also mirrored')
    .option(
      '--padded',
      'pad each photo to a square, as references evaluate; without it the network sees the photo alone, as when it is served',
    )
    .option('--json', 'print one JSON object')
    .action(evalSegmentation);
}

async function evalSegmentation(options: Options): Promise<void> {
  const pairs = await pairsOf(options.images, options.masks);
  const segmenter = await openSegmenter(options.model, options.precision);
  const { labels } = segmenter.record;
  const { mIoU, pixel_accuracy, per_class } = await compareAll(segmenter, pairs, options);
  if (options.json) {
    const named = per_class.map(({ class_id, ...figures }) => ({
      class_id,
      label: labelOf(labels, class_id),
      ...figures,
    }));
    console.log(
      JSON.stringify(
        {
          model: options.model,
          precision: segmenter.precision,
          images: pairs.length,
          mIoU,
          pixel_accuracy,
          per_class: named,
        },
        null,
        2,
      ),
    );
  } else {
    const views = [
      ...(options.multiScale ? ['six scales'] : []),
      ...(options.flip ? ['mirrored too'] : []),
      ...(options.padded ? ['padded'] : []),
    ];
    console.log(
      [
        `${options.model} (${segmenter.precision}) on ${pairs.length} images of ${options.masks}`,
        ...views,
      ].join(', '),
    );
    print({ mIoU, pixel_accuracy, per_class }, labels);
  }
  await segmenter.close();
}

function print({ mIoU, pixel_accuracy, per_class }: SegmentationEvaluation, labels: readonly Label[]): void {
  const figure = (value: number) => (value < 0 ? 'none' : value.toFixed(4));
  console.log(`mIoU            ${figure(mIoU)}`);
  console.log(`pixel accuracy  ${figure(pixel_accuracy)}`);
  if (per_class.length === 0) return;
  const table = new Table({
    head: ['class', 'IoU', 'pixels of it'],
    colAligns: ['left', 'right', 'right'],
    style: { head: [], border: [], compact: true },
  });
  for (const { class_id, IoU, ground_truth } of per_class)
    table.push([labelOf(labels, class_id), figure(IoU), String(ground_truth)]);
  console.log(table.toString());
}

const labelOf = (labels: readonly Label[], classId: ClassIou['class_id']) =>
  labels.find((label) => label.classId === classId)?.label ?? String(classId);

/**
 * Every mask with the photo of its name, by name.
 * @throws CommandError where there is no mask, or where a mask's photo is not there or is ambiguous
 */
async function pairsOf(images: string, masks: string): Promise<Pair[]> {
  const photos = new Map<string, string[]>();
  for (const photo of await namesIn(images, PHOTO_EXTENSIONS)) {
    const stem = parse(photo).name;
    photos.set(stem, [...(photos.get(stem) ?? []), photo]);
  }
  const found = await namesIn(masks, [MASK_EXTENSION]);
  if (found.length === 0) throw new CommandError(`${masks} holds no masks: they are PNG files of class ids`);
  return found.map((mask) => {
    const stem = parse(mask).name;
    const [photo, ...others] = photos.get(stem) ?? [];
    if (photo === undefined) {
      const wanted = `${stem}{${PHOTO_EXTENSIONS.join(',')}}`;
      throw new CommandError(`${join(masks, mask)} has no photo: there is no ${join(images, wanted)}`);
    }
    if (others.length > 0) {
      const all = [photo, ...others].join(', ');
      throw new CommandError(
        `${join(masks, mask)} could belong to any of ${all} in ${images}: leave one there`,
      );
    }
    return { photo, mask };
  });
}

/** Names of the files of `folder` that end so, in whatever case; hidden ones are not looked at. */
async function namesIn(folder: string, extensions: readonly string[]): Promise<string[]> {
  const names = await readdir(folder).catch((error: Error) => {
    throw new CommandError(`${folder} cannot be read: ${error.message}`);
  });
  return names
    .filter((name) => !name.startsWith('.') && extensions.includes(parse(name).ext.toLowerCase()))
    .sort();
}

/** Runs the model over every pair. A missing or broken file stops it: its figures would be wrong. */
async function compareAll(
  segmenter: Segmenter,
  pairs: readonly Pair[],
  { images, masks, multiScale = false, flip = false, padded = false }: Options,
): Promise<SegmentationEvaluation> {
  const { record } = segmenter;
  if (record.classColumns > VOID_LABEL) {
    throw new CommandError(
      `${record.name} has ${record.classColumns} classes, and masks hold at most ${VOID_LABEL}: ${VOID_LABEL} stands for pixels that do not count`,
    );
  }
  const { maxImagePixels: maxPixels } = readSettings({}, process.env);
  const matrix = new ConfusionMatrix(record.classColumns);
  const progress = startProgress(pairs.length);
  try {
    for (const { photo, mask } of pairs) {
      const bytes = await readFrom(images, photo);
      const encoded = await readFrom(masks, mask);
      const truth = await naming(masks, mask, () => decodeLabelMap(encoded, { maxPixels }));
      const found = await naming(images, photo, () =>
        segmenter.segment(bytes, { multiScale, flip, padded }, { maxPixels }),
      );
      const { width, height } = found.image;
      if (truth.width !== width || truth.height !== height) {
        throw new CommandError(
          `${join(masks, mask)} is ${truth.width} x ${truth.height} pixels, and its photo ${join(images, photo)}, upright, ${width} x ${height}`,
        );
      }
      await naming(masks, mask, () => matrix.add(truth.labels, classMapOf(found, record)));
      progress.advance();
    }
  } finally {
    progress.stop();
  }
  return matrix.evaluate();
}
