import { CocoFormatError, isBox } from './instances.ts';

/** One detected box, in the form of COCO's results files: https://cocodataset.org/#format-results. */
export interface CocoDetection {
  readonly image_id: number;
  readonly category_id: number;
  /** [x, y, width, height] in pixels of the image. */
  readonly bbox: readonly [number, number, number, number];
  /** Confidence; only the order matters. */
  readonly score: number;
}

/**
 * Checks that every detection can be evaluated: its image is known, its box and its score are finite numbers.
 * A category that is not known is no error: a detector may know more categories than the data does.
 * @throws CocoFormatError at the first detection that can't be
 */
export function checkDetections(detections: readonly CocoDetection[], imageIds: ReadonlySet<number>): void {
  detections.forEach(({ image_id, bbox, score }, index) => {
    const fail = (field: string, expected: string, found: unknown) => {
      throw new CocoFormatError('detections', `[${index}].${field}`, expected, found);
    };
    if (!imageIds.has(image_id)) fail('image_id', 'the id of one of the images', image_id);
    if (!isBox(bbox)) fail('bbox', 'four finite numbers [x, y, width, height] in pixels', bbox);
    if (!Number.isFinite(score)) fail('score', 'a finite number', score);
  });
}
