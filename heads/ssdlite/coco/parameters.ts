/**
 * The parameters of COCO's box metric: https://cocodataset.org/#detection-eval, and `Params` in
 * pycocotools/cocoeval.py for the exact floating-point values, which decide cases that fall on a threshold.
 */

const FIRST_IOU = 0.5;
const LAST_IOU = 0.95;
const IOU_STEP = (LAST_IOU - FIRST_IOU) / 9;

/**
 * The 10 IoU thresholds 0.5, 0.55 ... 0.95; a detection must reach the threshold, not exceed it. They are spaced the
 * way numpy.linspace does it, so the ninth is 0.8999999999999999 and an IoU a rounding error below 0.9 still counts.
 */
export const IOU_THRESHOLDS: readonly number[] = Array.from({ length: 10 }, (_, i) =>
  i === 9 ? LAST_IOU : FIRST_IOU + i * IOU_STEP,
);

/**
 * The 101 recall values 0, 0.01 ... 1 at which precision is read. i * 0.01 is not i / 100: 35 * 0.01 is a little
 * more than 0.35, so a recall of exactly 7/20 has not reached it.
 */
export const RECALL_THRESHOLDS: readonly number[] = Array.from({ length: 101 }, (_, i) => i * 0.01);

export type AreaRange = readonly [min: number, max: number];

/**
 * The ranges of object size in square pixels. Both limits belong to the range, so an object of exactly 32 x 32 is
 * small and medium. The size of an annotation is its `area`, that of a detection its width x height.
 */
export const AREA_RANGES = {
  all: [0, 1e10],
  small: [0, 32 ** 2],
  medium: [32 ** 2, 96 ** 2],
  large: [96 ** 2, 1e10],
} as const satisfies Readonly<Record<string, AreaRange>>;

/** How many detections, best first, count per image and category: 100 for AP, each of them for AR. */
export const MAX_DETECTIONS = [1, 10, 100] as const;
