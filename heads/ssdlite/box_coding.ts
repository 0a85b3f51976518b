/** What the encodings were multiplied by in training: centre y, centre x, height, width. */
const SCALE_Y = 10;
const SCALE_X = 10;
const SCALE_HEIGHT = 5;
const SCALE_WIDTH = 5;

/**
 * Decodes one box into `out` (ymin, xmin, ymax, xmax, fractions of the image, not clipped).
 * Source: Faster R-CNN's box coder, Ren et al. (arXiv 1506.01497), section 3.1.2; tensorflow/models
 * research/object_detection/box_coders/faster_rcnn_box_coder.py.
 * @param encodings [anchors, 4] as (ty, tx, th, tw), times the scales 10, 10, 5, 5.
 * @param anchors [anchors, 4] as (ymin, xmin, ymax, xmax).
 */
export function decodeBox(
  encodings: Float32Array,
  anchors: Float32Array,
  index: number,
  out: Float32Array | Float64Array,
  outIndex: number,
): void {
  const at = index * 4;
  const [top, left, bottom, right] = [anchors[at], anchors[at + 1], anchors[at + 2], anchors[at + 3]] as Box;
  const [ty, tx, th, tw] = [encodings[at], encodings[at + 1], encodings[at + 2], encodings[at + 3]] as Box;
  const anchorHeight = bottom - top;
  const anchorWidth = right - left;
  const y = (ty / SCALE_Y) * anchorHeight + (top + bottom) / 2;
  const x = (tx / SCALE_X) * anchorWidth + (left + right) / 2;
  const halfHeight = (Math.exp(th / SCALE_HEIGHT) * anchorHeight) / 2;
  const halfWidth = (Math.exp(tw / SCALE_WIDTH) * anchorWidth) / 2;
  const to = outIndex * 4;
  out[to] = y - halfHeight;
  out[to + 1] = x - halfWidth;
  out[to + 2] = y + halfHeight;
  out[to + 3] = x + halfWidth;
}

type Box = [number, number, number, number];
