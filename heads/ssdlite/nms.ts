/**
 * Greedy non-maximum suppression over candidates that are sorted best first. A candidate is dropped when it overlaps
 * a kept one of its group by more than `iouThreshold`, or when nothing of it lies inside the image. It stops at `limit`
 * kept, so the work is at most candidates * limit comparisons.
 *
 * Overlap is measured on boxes as decoded; they are clipped afterwards, as the reference does.
 * Source: tensorflow/models research/object_detection/core/post_processing.py (multiclass_non_max_suppression).
 * @param boxes [candidates, 4] as (ymin, xmin, ymax, xmax) in fractions of the image.
 * @param groups [candidates] class of each; one number for all makes the suppression class-agnostic.
 * @returns positions of the kept candidates, in their order.
 */
export function suppress(
  boxes: Float64Array,
  groups: Int32Array,
  iouThreshold: number,
  limit: number,
): number[] {
  const kept: number[] = [];
  for (let index = 0; index < groups.length && kept.length < limit; index++) {
    if (isOutside(boxes, index)) continue;
    if (kept.some((other) => groups[other] === groups[index] && overlap(boxes, other, index) > iouThreshold))
      continue;
    kept.push(index);
  }
  return kept;
}

/** Intersection over union of boxes `a` and `b`; 0 where the union is empty. */
function overlap(boxes: Float64Array, a: number, b: number): number {
  const i = a * 4;
  const j = b * 4;
  const height =
    Math.min(boxes[i + 2] as number, boxes[j + 2] as number) -
    Math.max(boxes[i] as number, boxes[j] as number);
  if (!(height > 0)) return 0;
  const width =
    Math.min(boxes[i + 3] as number, boxes[j + 3] as number) -
    Math.max(boxes[i + 1] as number, boxes[j + 1] as number);
  if (!(width > 0)) return 0;
  const intersection = height * width;
  return intersection / (area(boxes, i) + area(boxes, j) - intersection);
}

const area = (boxes: Float64Array, at: number) =>
  ((boxes[at + 2] as number) - (boxes[at] as number)) *
  ((boxes[at + 3] as number) - (boxes[at + 1] as number));

/** True where clipping to the image would leave nothing, or the decoded box is no box (not a number). */
function isOutside(boxes: Float64Array, index: number): boolean {
  const [yMin, xMin, yMax, xMax] = boxes.subarray(index * 4, index * 4 + 4);
  const inside =
    Math.min(1, yMax as number) > Math.max(0, yMin as number) &&
    Math.min(1, xMax as number) > Math.max(0, xMin as number);
  return !inside;
}
