/** Stands for a figure that has no meaning because there is no object that could have been found. */
export const UNDEFINED = -1;

/** COCO's twelve numbers, as fractions of 1; -1 where undefined. */
export interface DetectionSummary {
  /** Mean of the average precision at IoU 0.5, 0.55 ... 0.95. */
  readonly AP: number;
  /** Average precision at IoU 0.5. */
  readonly AP50: number;
  /** Average precision at IoU 0.75. */
  readonly AP75: number;
  /** AP of objects up to 32^2 square pixels. */
  readonly AP_small: number;
  /** AP of objects from 32^2 to 96^2 square pixels. */
  readonly AP_medium: number;
  /** AP of objects from 96^2 square pixels. */
  readonly AP_large: number;
  /** Recall, mean of the ten IoU thresholds, with one detection per image and category. */
  readonly AR_1: number;
  /** The same with 10 detections. */
  readonly AR_10: number;
  /** The same with 100 detections. */
  readonly AR_100: number;
  /** AR_100 of objects up to 32^2 square pixels. */
  readonly AR_small: number;
  /** AR_100 of objects from 32^2 to 96^2 square pixels. */
  readonly AR_medium: number;
  /** AR_100 of objects from 96^2 square pixels. */
  readonly AR_large: number;
}

/** The figures of one category, and what they rest on. */
export interface CategoryEvaluation extends DetectionSummary {
  readonly category_id: number;
  readonly name: string;
  /** Annotations that are not crowds. */
  readonly ground_truth: number;
  /** Annotations that are crowds. */
  readonly crowd: number;
  /** All detections of the category, also those beyond the first 100 on an image, which are not evaluated. */
  readonly detections: number;
  /** Average precision at each of IOU_THRESHOLDS. */
  readonly AP_by_iou: readonly number[];
}

/** Mean of the values that are defined; -1 if none is. */
export function meanOfDefined(values: readonly number[]): number {
  const defined = values.filter((value) => value !== UNDEFINED);
  if (defined.length === 0) return UNDEFINED;
  return defined.reduce((sum, value) => sum + value, 0) / defined.length;
}

/** The twelve numbers of a data set: each is the mean over the categories for which it is defined. */
export function summarize(categories: readonly DetectionSummary[]): DetectionSummary {
  const mean = (key: keyof DetectionSummary) => meanOfDefined(categories.map((category) => category[key]));
  return {
    AP: mean('AP'),
    AP50: mean('AP50'),
    AP75: mean('AP75'),
    AP_small: mean('AP_small'),
    AP_medium: mean('AP_medium'),
    AP_large: mean('AP_large'),
    AR_1: mean('AR_1'),
    AR_10: mean('AR_10'),
    AR_100: mean('AR_100'),
    AR_small: mean('AR_small'),
    AR_medium: mean('AR_medium'),
    AR_large: mean('AR_large'),
  };
}
