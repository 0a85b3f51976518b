import { FALSE_POSITIVE, type MatchGroup, matchDetections, TRUE_POSITIVE } from './matching.ts';
import { type AreaRange, IOU_THRESHOLDS, RECALL_THRESHOLDS } from './parameters.ts';
import { meanOfDefined, UNDEFINED } from './summary.ts';

/** Precision and recall of one category for one area range; UNDEFINED where there is nothing to find. */
export interface Accumulation {
  /** Average precision at each of IOU_THRESHOLDS. */
  readonly precisions: readonly number[];
  /** Recall, mean over IOU_THRESHOLDS, when only the `limit` best detections on each image count. */
  recallWithin(limit: number): number;
}

/** The order of one category's detections over all images. Indices count detections group by group. */
export interface Ranking {
  /** Indices of detections, best score first; equal scores in the order of the groups. */
  readonly order: Uint32Array;
  /** Place of each detection among those of its own image, 0 = best. */
  readonly places: Uint32Array;
}

/** Ranks one category's detections over all images, which are given in ascending order of image id. */
export function rankDetections(groups: readonly MatchGroup[]): Ranking {
  const scores = groups.flatMap(({ detections }) => detections.map(({ score }) => score));
  const places = groups.flatMap(({ detections }) => detections.map((_, place) => place));
  const order = Uint32Array.from(scores.keys()).sort((a, b) => scores[b] - scores[a]);
  return { order, places: Uint32Array.from(places) };
}

/** Matches all groups of one category for one area range and adds up what came of it. */
export function accumulate(
  groups: readonly MatchGroup[],
  { order, places }: Ranking,
  range: AreaRange,
): Accumulation {
  const outcomes = new Uint8Array(IOU_THRESHOLDS.length * order.length);
  let objects = 0;
  let offset = 0;
  for (const group of groups) {
    objects += matchDetections(group, range, outcomes, offset, order.length);
    offset += group.detections.length;
  }
  const rows = IOU_THRESHOLDS.map((_, row) =>
    outcomes.subarray(row * order.length, (row + 1) * order.length),
  );
  return {
    precisions: rows.map((row) => averagePrecision(row, order, objects)),
    recallWithin: (limit) => meanOfDefined(rows.map((row) => recall(row, places, limit, objects))),
  };
}

function recall(outcomes: Uint8Array, places: Uint32Array, limit: number, objects: number): number {
  if (objects === 0) return UNDEFINED;
  let found = 0;
  for (let i = 0; i < outcomes.length; i++) if (outcomes[i] === TRUE_POSITIVE && places[i] < limit) found++;
  return found / objects;
}

/**
 * Mean of precision over RECALL_THRESHOLDS, 0 to 1, where the precision at a recall is the best one at that recall or
 * any higher, and 0 at a recall that is never reached (`COCOeval.accumulate` of pycocotools).
 *
 * Recall only grows, and precision is only best, at a true positive, so those are the points of the curve to look at.
 * @param outcomes what became of each detection at one IoU threshold
 * @param order indices into outcomes, best score first
 * @param objects how many annotations could have been found
 */
function averagePrecision(outcomes: Uint8Array, order: Uint32Array, objects: number): number {
  if (objects === 0) return UNDEFINED;
  const precision: number[] = []; // precision[n - 1] is the precision at recall n / objects
  let falsePositives = 0;
  for (const index of order) {
    if (outcomes[index] === TRUE_POSITIVE) {
      const truePositives = precision.length + 1;
      precision.push(truePositives / (truePositives + falsePositives));
    } else if (outcomes[index] === FALSE_POSITIVE) falsePositives++;
  }
  for (let n = precision.length - 2; n >= 0; n--) precision[n] = Math.max(precision[n], precision[n + 1]);

  let sum = 0;
  let point = 0;
  for (const threshold of RECALL_THRESHOLDS) {
    while (point < precision.length && (point + 1) / objects < threshold) point++;
    if (point === precision.length) break;
    sum += precision[point];
  }
  return sum / RECALL_THRESHOLDS.length;
}
