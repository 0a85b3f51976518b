/** Label of pixels that do not count: borders of objects, and what was too unclear to annotate. */
export const VOID_LABEL = 255;

/** Figures of one class over all pictures. */
export interface ClassIou {
  readonly class_id: number;
  /** Pixels in both truth and prediction over pixels in either, 0 to 1. */
  readonly IoU: number;
  /** Pixels of the truth. */
  readonly ground_truth: number;
}

export interface SegmentationEvaluation {
  /** Mean of IoU over the classes of `per_class`; -1 where there is no truth at all. */
  readonly mIoU: number;
  /** Share of pixels whose class is right; -1 where there are none. */
  readonly pixel_accuracy: number;
  /**
   * The classes that occur in the truth, ascending class id. Others have no say, but what was taken for them
   * was missed elsewhere.
   */
  readonly per_class: readonly ClassIou[];
}

/**
 * Which class was taken for which, over any number of pictures. From it come the figures of PASCAL VOC's
 * segmentation task: IoU of all pictures' pixels together, not a mean over pictures, and pixels of VOID_LABEL
 * left out.
 * Source: Everingham et al., "The PASCAL Visual Object Classes Challenge: A Retrospective", 2015
 * (segmentation).
 */
export class ConfusionMatrix {
  /** [truth, prediction] pixels */
  readonly counts: Float64Array;
  readonly classes: number;

  /** @throws RangeError unless `classes` is a whole number from 1 to 255 */
  constructor(classes: number) {
    if (!Number.isInteger(classes) || classes < 1 || classes > VOID_LABEL)
      throw new RangeError(`classes must be a whole number from 1 to ${VOID_LABEL}, not ${classes}`);
    this.classes = classes;
    this.counts = new Float64Array(classes * classes);
  }

  /**
   * Adds one picture.
   * @param truth [height, width] of class ids and VOID_LABEL
   * @param prediction [height, width] of class ids; what it says where the truth is void does not matter
   * @throws RangeError if the two are not of one size, or hold a label that is none; then nothing was added
   */
  add(truth: Uint8Array, prediction: Uint8Array): void {
    if (truth.length !== prediction.length)
      throw new RangeError(`the truth has ${truth.length} pixels, the prediction ${prediction.length}`);
    const { classes } = this;
    // All bytes have a place, so that the loop over pixels is free of questions.
    const pairs = new Uint32Array(256 * 256);
    for (let i = 0; i < truth.length; i++) pairs[truth[i] * 256 + prediction[i]]++;
    for (let pair = 0; pair < pairs.length; pair++) {
      if (pairs[pair] === 0 || pair >> 8 === VOID_LABEL) continue;
      const check = (what: string, label: number) => {
        if (label >= classes)
          throw new RangeError(
            `label ${label} of the ${what} is not one of the ${classes} classes, 0 to ${classes - 1}`,
          );
      };
      check('truth', pair >> 8);
      check('prediction', pair & 255);
    }
    for (let row = 0; row < classes; row++) {
      for (let column = 0; column < classes; column++)
        this.counts[row * classes + column] += pairs[row * 256 + column];
    }
  }

  evaluate(): SegmentationEvaluation {
    const { classes, counts } = this;
    const truth = new Float64Array(classes);
    const predicted = new Float64Array(classes);
    let right = 0;
    let pixels = 0;
    for (let row = 0; row < classes; row++) {
      for (let column = 0; column < classes; column++) {
        const count = counts[row * classes + column];
        truth[row] += count;
        predicted[column] += count;
        pixels += count;
        if (row === column) right += count;
      }
    }
    const per_class: ClassIou[] = [];
    for (let class_id = 0; class_id < classes; class_id++) {
      if (truth[class_id] === 0) continue;
      const both = counts[class_id * (classes + 1)];
      const either = truth[class_id] + predicted[class_id] - both;
      per_class.push({ class_id, IoU: both / either, ground_truth: truth[class_id] });
    }
    const sum = per_class.reduce((total, { IoU }) => total + IoU, 0);
    return {
      mIoU: per_class.length > 0 ? sum / per_class.length : -1,
      pixel_accuracy: pixels > 0 ? right / pixels : -1,
      per_class,
    };
  }
}
