import type { CocoDetection } from './detections.ts';
import type { CocoAnnotation } from './instances.ts';
import { type AreaRange, IOU_THRESHOLDS } from './parameters.ts';

/** Everything of one category on one image. */
export interface MatchGroup {
  readonly annotations: readonly CocoAnnotation[];
  /** Best first. */
  readonly detections: readonly CocoDetection[];
  /** overlap() of every pair: [detections, annotations], row by row. */
  readonly overlaps: Float64Array;
}

/** What became of a detection at one IoU threshold. An ignored one counts neither for nor against the detector. */
export const FALSE_POSITIVE = 0;
export const TRUE_POSITIVE = 1;
export const IGNORED = 2;

/** Computes the overlaps of one category's detections (best first) and annotations on one image. */
export function matchGroup(
  annotations: readonly CocoAnnotation[],
  detections: readonly CocoDetection[],
): MatchGroup {
  const overlaps = new Float64Array(detections.length * annotations.length);
  let pair = 0;
  for (const detection of detections) {
    for (const annotation of annotations) overlaps[pair++] = overlap(detection, annotation);
  }
  return { annotations, detections, overlaps };
}

/**
 * Intersection over union, 0 to 1. Where the annotation is a crowd, intersection over the detection's own area: a box
 * around one member of a crowd is right, however large the crowd.
 */
export function overlap(detection: CocoDetection, annotation: CocoAnnotation): number {
  const [dx, dy, dw, dh] = detection.bbox;
  const [ax, ay, aw, ah] = annotation.bbox;
  const width = Math.min(dx + dw, ax + aw) - Math.max(dx, ax);
  const height = Math.min(dy + dh, ay + ah) - Math.max(dy, ay);
  if (width <= 0 || height <= 0) return 0; // Empty boxes end here too, so that nothing is divided by zero.
  const intersection = width * height;
  const union = annotation.iscrowd === 1 ? dw * dh : dw * dh + aw * ah - intersection;
  return intersection / union;
}

/**
 * Matches detections to annotations for one area range, at every IoU threshold, as `COCOeval.evaluateImg` of
 * pycocotools does. Crowds and annotations outside the range are ignored: they need not be found, but a detection
 * that matches one is ignored as well, and so is an unmatched detection outside the range.
 *
 * Detections choose in order of score. Each takes the free annotation that it overlaps most (of equal ones the last)
 * if that reaches the threshold; an ignored annotation only if no ordinary one does. A crowd is never used up.
 *
 * @param outcomes [IOU_THRESHOLDS.length, stride], written at columns offset ... offset + detections - 1
 * @returns how many annotations are not ignored
 */
export function matchDetections(
  { annotations, detections, overlaps }: MatchGroup,
  [minArea, maxArea]: AreaRange,
  outcomes: Uint8Array,
  offset: number,
  stride: number,
): number {
  const isOutside = (area: number) => area < minArea || area > maxArea;
  const ignored = annotations.map(({ iscrowd, area }) => iscrowd === 1 || isOutside(area));
  const indices = annotations.map((_, index) => index);
  const ordinary = indices.filter((index) => !ignored[index]);
  const candidates = [...ordinary, ...indices.filter((index) => ignored[index])];

  const unmatched = detections.map(({ bbox }) => (isOutside(bbox[2] * bbox[3]) ? IGNORED : FALSE_POSITIVE));

  const taken = new Uint8Array(annotations.length);
  for (const [row, threshold] of IOU_THRESHOLDS.entries()) {
    taken.fill(0);
    for (let d = 0; d < detections.length; d++) {
      let best = -1;
      let bestOverlap = threshold;
      for (const candidate of candidates) {
        if (taken[candidate]) continue;
        if (best >= 0 && !ignored[best] && ignored[candidate]) break;
        const candidateOverlap = overlaps[d * annotations.length + candidate];
        if (candidateOverlap < bestOverlap) continue;
        best = candidate;
        bestOverlap = candidateOverlap;
      }
      let outcome = unmatched[d];
      if (best >= 0) {
        outcome = ignored[best] ? IGNORED : TRUE_POSITIVE;
        if (annotations[best].iscrowd === 0) taken[best] = 1;
      }
      outcomes[row * stride + offset + d] = outcome;
    }
  }
  return ordinary.length;
}
