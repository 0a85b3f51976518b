import type { Size } from './size.ts';

/**
 * Where the pixels of one axis lie on the axis of a grid: pixel u is at `scale * (u + .5) + offset`, not
 * below `min` and not above `max`. A negative scale reads the grid backwards, as a mirrored photo's must be.
 */
export interface AxisMapping {
  readonly scale: number;
  readonly offset: number;
  readonly min: number;
  readonly max: number;
}

export interface GridMapping {
  readonly y: AxisMapping;
  readonly x: AxisMapping;
}

export interface Placement {
  /** The photo whose pixels are looked up. */
  readonly photo: Size;
  /** The photo as the network saw it, without padding. It lies in the upper left corner of the input. */
  readonly resized: Size;
  /** The network's input, padding included. */
  readonly input: Size;
  /** The network's output: one point for several input pixels. */
  readonly grid: Size;
  /**
   * How output points lie over input pixels. True: the outermost points on the centres of the outermost
   * pixels, so that at 513 pixels and output stride 16 a point lies on every sixteenth pixel. TensorFlow's
   * DeepLab, and the weights trained here. False: points in the middle of equal parts of the input
   * (half-pixel centres). Hugging Face's port of DeepLab.
   */
  readonly alignCorners: boolean;
  /** True: the network saw the photo mirrored left to right (mirrored before it was padded). */
  readonly mirrored?: boolean;
}

/**
 * Photo pixel to output point in one step. Photo to input is by half-pixel centres, as image libraries
 * resize, and ends at the centres of the resized photo's outermost pixels, so that nothing is read from the
 * padding beyond them.
 * @throws RangeError if the resized photo does not fit into the input
 */
export function gridMapping(placement: Placement): GridMapping {
  const { photo, resized, input, grid, alignCorners, mirrored = false } = placement;
  if (resized.height > input.height || resized.width > input.width) {
    throw new RangeError(
      `a photo of ${resized.width} x ${resized.height} does not fit into an input of ${input.width} x ${input.height}`,
    );
  }
  const axis = (side: keyof Size, backwards: boolean) =>
    axisMapping(photo[side], resized[side], input[side], grid[side], alignCorners, backwards);
  return { y: axis('height', false), x: axis('width', mirrored) };
}

function axisMapping(
  photo: number,
  resized: number,
  input: number,
  grid: number,
  alignCorners: boolean,
  backwards: boolean,
): AxisMapping {
  // Output coordinate of input pixel i: step * i + start.
  const step = alignCorners ? (input > 1 ? (grid - 1) / (input - 1) : 0) : grid / input;
  const start = alignCorners ? 0 : step / 2 - 0.5;
  // Input pixel of photo pixel u: ratio * (u + .5) - .5; in a mirrored photo, that from the other end.
  const ratio = resized / photo;
  const scale = step * ratio;
  const last = resized - 1;
  return {
    scale: backwards ? -scale : scale,
    offset: backwards ? step * (last + 0.5) + start : start - step / 2,
    min: Math.max(0, start),
    max: Math.min(grid - 1, step * last + start),
  };
}

/** Between which two points of the grid every pixel of an axis lies. */
export interface AxisSamples {
  /** The lower one; its neighbour is the next, or itself on a grid of one point. */
  readonly point: Int32Array;
  /** Weight of the neighbour, 0 to 1. */
  readonly weight: Float64Array;
}

/** @param pixels along the axis; @param points along the grid's axis */
export function sampleAxis(mapping: AxisMapping, pixels: number, points: number): AxisSamples {
  const { scale, offset, min, max } = mapping;
  const samples = { point: new Int32Array(pixels), weight: new Float64Array(pixels) };
  const lastCell = Math.max(0, points - 2);
  for (let u = 0; u < pixels; u++) {
    const inside = Math.min(max, Math.max(min, scale * (u + 0.5) + offset));
    const at = Math.min(points - 1, Math.max(0, inside));
    const point = Math.min(lastCell, Math.floor(at));
    samples.point[u] = point;
    samples.weight[u] = at - point;
  }
  return samples;
}

/**
 * Ends of the stretches of pixels that lie between the same two points; a list to be read with 0 before it.
 */
export function cellEnds({ point }: AxisSamples): number[] {
  const ends: number[] = [];
  for (let u = 1; u <= point.length; u++) if (u === point.length || point[u] !== point[u - 1]) ends.push(u);
  return ends;
}
