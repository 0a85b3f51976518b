import { classMap } from '../../heads/deeplabv3/class_map.ts';
import { confidenceMap } from '../../heads/deeplabv3/confidence.ts';
import { encodeGreyPng, encodeMaskPng, encodePalettePng } from '../../heads/deeplabv3/png.ts';
import { polygons } from '../../heads/deeplabv3/polygons.ts';
import { compressCounts, encodeRle } from '../../heads/deeplabv3/rle.ts';
import type { RowRuns } from '../../heads/deeplabv3/row_runs.ts';
import { rowRuns } from '../../heads/deeplabv3/row_runs.ts';
import { summarizeClasses } from '../../heads/deeplabv3/summary.ts';
import { VOC_COLORS } from '../../heads/deeplabv3/voc_colors.ts';
import type { Mask, Segment, SegmentResponse } from '../../openapi/types.ts';
import type { ClassPicture } from '../image/overlay.ts';
import { drawClasses } from '../image/overlay.ts';
import { backgroundOf, namesOf } from '../zoo/labels.ts';
import type { ModelRecord } from '../zoo/record.ts';
import { limitsLeft } from './limits_left.ts';
import type { MaskFormat, PhotoLimits, SegmentForm, SegmentOptions, SegmentOutcome } from './protocol.ts';
import { round } from './response.ts';
import type { Segmentation, Segmenter } from './segmenter.ts';

/** The part of a response that the worker writes. */
export type Segments = Pick<SegmentResponse, 'segments' | 'confidence_map'>;

/** Digits of a fraction: a pixel of the largest photo that can be taken, 2^28 of them, still counts. */
const FRACTION_DIGITS = 9;
const CONFIDENCE_DIGITS = 4;
/** Index of pixels whose class was not asked for, where there is no background to give them: VOC's void. */
const VOID_INDEX = 255;

/**
 * Looks at one photo and writes what was found in the form that was asked for.
 * @throws ImageError where the bytes are no photo that can be used
 */
export async function answerSegment(
  segmenter: Segmenter,
  bytes: Uint8Array,
  { form, ...options }: SegmentOptions,
  limits: PhotoLimits,
): Promise<SegmentOutcome> {
  const { bodies, ...outcome } = await answerInForms(segmenter, bytes, { ...options, forms: [form] }, limits);
  return { ...outcome, body: bodies[0] as Uint8Array };
}

/** As `SegmentOptions`, for one look that is written down several times. */
export interface SegmentFormsOptions extends Omit<SegmentOptions, 'form'> {
  readonly forms: readonly SegmentForm[];
}

/**
 * Looks at one photo and writes what was found in each of the forms that were asked for.
 * @returns `bodies` in the order of `forms`
 * @throws ImageError where the bytes are no photo that can be used
 */
export async function answerInForms(
  segmenter: Segmenter,
  bytes: Uint8Array,
  { forms, classIds, ...views }: SegmentFormsOptions,
  limits: PhotoLimits,
): Promise<Omit<SegmentOutcome, 'body'> & { readonly bodies: Uint8Array[] }> {
  const started = performance.now();
  const found = await segmenter.segment(bytes, views, limits);
  const mappedFrom = performance.now();
  const { record } = segmenter;
  const isJson = ({ kind }: SegmentForm) => kind === 'json';
  const all = !classIds || forms.some(isJson) ? classMapOf(found, record) : undefined;
  const shown = classIds && !forms.every(isJson) ? classMapOf(found, record, classIds) : all;
  const confidence = forms.some((form) => form.kind === 'json' && form.confidence)
    ? confidenceMap(found.logits, found.mapping, found.image)
    : undefined;
  const encodedFrom = performance.now();
  const bodies: Uint8Array[] = [];
  for (const form of forms) {
    const map = (isJson(form) ? all : shown) as Uint8Array;
    const rest = limitsLeft(limits, started);
    bodies.push(await bodyOf(form, { map, confidence, bytes, found, record, classIds, limits: rest }));
  }
  const { image, input, madds, times } = found;
  return {
    image,
    input,
    madds,
    bodies,
    times: {
      ...times,
      postprocess: times.postprocess + encodedFrom - mappedFrom,
      encode: performance.now() - encodedFrom,
    },
  };
}

/**
 * The class of every pixel of the photo.
 * @param classIds reported as themselves, others as the background; all where absent
 * @returns [image.height, image.width]
 */
export function classMapOf(
  { logits, mapping, image }: Segmentation,
  record: ModelRecord,
  classIds?: readonly number[],
): Uint8Array {
  const background = blankOf(record);
  return classMap(logits, mapping, image, classIds && { classes: classIds, background });
}

/** What pixels are given whose class was not asked for, and what pictures leave blank. */
const blankOf = ({ labels }: Pick<ModelRecord, 'labels'>) => backgroundOf(labels) ?? VOID_INDEX;

/** A class map and what a picture of it needs to know. @param map [height, width] */
function classPicture(map: Uint8Array, record: Pick<ModelRecord, 'labels'>): ClassPicture {
  return { map, background: blankOf(record), names: namesOf(record) };
}

interface Found {
  readonly map: Uint8Array;
  readonly confidence: Uint8Array | undefined;
  readonly bytes: Uint8Array;
  readonly found: Segmentation;
  readonly record: ModelRecord;
  readonly classIds: readonly number[] | undefined;
  readonly limits: PhotoLimits;
}

async function bodyOf(
  form: SegmentForm,
  { map, confidence, bytes, found, record, classIds, limits }: Found,
): Promise<Uint8Array> {
  switch (form.kind) {
    case 'json': {
      const { masks, tolerance } = form;
      const segments = segmentsOf(map, found.image, record, {
        masks,
        tolerance,
        ...(classIds && { classIds }),
        ...(form.confidence && confidence && { confidence }),
      });
      return Buffer.from(JSON.stringify(segments).slice(1, -1));
    }
    case 'classes':
      return encodePalettePng(map, found.image, VOC_COLORS);
    case 'overlay':
      return drawClasses(bytes, classPicture(map, record), form.type, limits);
  }
}

/** How a class map is put into words. */
interface SegmentsOptions {
  readonly masks: MaskFormat;
  /** Pixels that polygons may be off by. */
  readonly tolerance: number;
  /** The classes reported; all of the model's but its background where absent. */
  readonly classIds?: readonly number[];
  /** [height, width] 255 times the probability of each pixel's class. */
  readonly confidence?: Uint8Array;
}

/** Every class of a class map, largest first, each with its mask. @param map [height, width] */
function segmentsOf(
  map: Uint8Array,
  size: { readonly height: number; readonly width: number },
  { labels }: Pick<ModelRecord, 'labels'>,
  { masks, tolerance, classIds, confidence }: SegmentsOptions,
): Segments {
  const names = namesOf({ labels });
  const background = backgroundOf(labels);
  const isWanted = (id: number) => (classIds ? classIds.includes(id) : id !== background);
  const runs = rowRuns(map, size);
  const sure = confidence && meanConfidence(map, confidence);
  const segments = summarizeClasses(runs)
    .filter(({ class_id }) => isWanted(class_id))
    .sort((a, b) => b.pixels - a.pixels)
    .map(
      ({ class_id, pixels, fraction, box }): Segment => ({
        label: names.get(class_id) ?? String(class_id),
        class_id,
        pixels,
        fraction: round(fraction, FRACTION_DIGITS),
        box,
        ...(sure && { confidence: round(sure[class_id] ?? 0, CONFIDENCE_DIGITS) }),
        mask: maskOf(map, runs, class_id, masks, tolerance),
      }),
    );
  return {
    segments,
    ...(confidence && { confidence_map: { png: base64(encodeGreyPng(confidence, size)) } }),
  };
}

function maskOf(
  map: Uint8Array,
  runs: RowRuns,
  classId: number,
  format: MaskFormat,
  tolerance: number,
): Mask {
  switch (format) {
    case 'png':
      return { png: base64(encodeMaskPng(map, runs, classId)) };
    case 'rle': {
      const { size, counts } = encodeRle(runs, classId);
      return { rle: { size: [...size], counts: compressCounts(counts) } };
    }
    case 'rle_uncompressed': {
      const { size, counts } = encodeRle(runs, classId);
      return { rle: { size: [...size], counts } };
    }
    case 'polygons':
      return { polygons: polygons(runs, classId, { tolerance }) };
  }
}

/** Mean probability of each class over its pixels, 0 to 1. */
function meanConfidence(map: Uint8Array, confidence: Uint8Array): Float64Array {
  const sum = new Float64Array(256);
  const count = new Float64Array(256);
  for (let at = 0; at < map.length; at++) {
    const classId = map[at] as number;
    sum[classId] = (sum[classId] as number) + (confidence[at] as number);
    count[classId] = (count[classId] as number) + 1;
  }
  return sum.map((total, classId) => total / (255 * Math.max(1, count[classId] as number)));
}

const base64 = (bytes: Uint8Array) =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64');
