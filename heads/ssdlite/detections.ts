import { decodeBox } from './box_coding.ts';
import { suppress } from './nms.ts';

/** One found object; the box is in fractions of the image, clipped to it. */
export interface Detection {
  /** Column of the class predictions: the dataset's own class id. */
  readonly classId: number;
  /** Sigmoid of the class logit. */
  readonly score: number;
  readonly box: {
    readonly yMin: number;
    readonly xMin: number;
    readonly yMax: number;
    readonly xMax: number;
  };
}

export interface DetectionOptions {
  /** Lowest score reported, 0 to 1. */
  readonly scoreThreshold: number;
  /** Boxes that overlap a better one by more than this intersection over union are dropped, 0 to 1. */
  readonly iouThreshold: number;
  readonly maxDetections: number;
  /** Suppress across classes instead of within each. */
  readonly agnosticNms: boolean;
  /** The class ids looked for. Background (0) and ids that the dataset does not use must not be among them. */
  readonly classIds: readonly number[];
}

/**
 * Candidates that non-maximum suppression sees at most, best first. Without a bound a threshold of 0 would bring all
 * anchors of all classes, 172 000 of them; the 100 detections of an ordinary request are found among the first hundreds.
 */
export const MAX_CANDIDATES = 4096;

const sigmoid = (x: number) => 1 / (1 + Math.exp(-x));

/** Candidate predictions as flat positions (anchor * columns + class id) in the logits. */
function candidates(logits: Float32Array, columns: number, options: DetectionOptions): number[] {
  const { scoreThreshold, classIds } = options;
  // Compared as logits, so that the sigmoid is taken of the few that pass. The last bit is left to the exact check.
  // From a logit of 37 on, the sigmoid is 1.
  const lowest = Math.min(36, Math.log(scoreThreshold / (1 - scoreThreshold))) - 1e-6;
  const wanted = new Uint8Array(columns);
  for (const classId of classIds) wanted[classId] = 1;
  const found: number[] = [];
  const look = (position: number) => {
    const logit = logits[position] as number;
    if (!(logit >= lowest)) return;
    if (wanted[position % columns] === 1 && sigmoid(logit) >= scoreThreshold) found.push(position);
  };
  // Nearly every logit fails here: four a turn are read and compared in two thirds of the time that they take one by one.
  let position = 0;
  for (; position + 3 < logits.length; position += 4) {
    const some =
      (logits[position] as number) >= lowest ||
      (logits[position + 1] as number) >= lowest ||
      (logits[position + 2] as number) >= lowest ||
      (logits[position + 3] as number) >= lowest;
    if (!some) continue;
    for (let at = position; at < position + 4; at++) look(at);
  }
  for (; position < logits.length; position++) look(position);
  if (found.length <= MAX_CANDIDATES) return found;
  const values = Float32Array.from(found, (position) => logits[position] as number).sort();
  const cut = values[values.length - MAX_CANDIDATES] as number;
  // Ties at the cut go to the earlier anchor, as everywhere in the order.
  let ties = MAX_CANDIDATES - found.filter((position) => (logits[position] as number) > cut).length;
  return found.filter((position) => {
    const logit = logits[position] as number;
    return logit > cut || (logit === cut && ties-- > 0);
  });
}

/**
 * Turns an SSDLite network's outputs into detections: threshold, best candidates, box decoding, non-maximum
 * suppression. Best first; equal scores in the order of anchor, then class id, so that the same outputs always give
 * the same list.
 * @param encodings [anchors, 4]
 * @param logits [anchors, columns], column 0 the background
 * @param anchors [anchors, 4], see `ssdAnchors`
 * @throws RangeError if the three do not belong together. A prediction that is not a number is no detection.
 */
export function detections(
  encodings: Float32Array,
  logits: Float32Array,
  anchors: Float32Array,
  options: DetectionOptions,
): Detection[] {
  const count = anchors.length / 4;
  const columns = logits.length / count;
  if (encodings.length !== anchors.length || !Number.isInteger(columns)) {
    throw new RangeError(
      `${anchors.length} anchor, ${encodings.length} encoding and ${logits.length} logit numbers do not fit`,
    );
  }
  const positions = candidates(logits, columns, options).sort(
    (a, b) => (logits[b] as number) - (logits[a] as number) || a - b,
  );
  const boxes = new Float64Array(positions.length * 4);
  const groups = new Int32Array(positions.length);
  positions.forEach((position, index) => {
    decodeBox(encodings, anchors, Math.floor(position / columns), boxes, index);
    groups[index] = options.agnosticNms ? 0 : position % columns;
  });
  const kept = suppress(boxes, groups, options.iouThreshold, options.maxDetections);
  return kept.map((index) => {
    const position = positions[index] as number;
    const [yMin, xMin, yMax, xMax] = Array.from(boxes.subarray(index * 4, index * 4 + 4), clip) as Corners;
    return {
      classId: position % columns,
      score: sigmoid(logits[position] as number),
      box: { yMin, xMin, yMax, xMax },
    };
  });
}

type Corners = [number, number, number, number];

const clip = (value: number) => Math.min(1, Math.max(0, value));
