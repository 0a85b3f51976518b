import { type AxisSamples, cellEnds, type GridMapping, sampleAxis } from './grid_mapping.ts';
import { checkLogits, cornerWinner, type LogitMap, readCell } from './logits.ts';
import type { Size } from './size.ts';

/**
 * Softmax probability of the winning class at every photo pixel, as a byte: 255 times the probability,
 * rounded. All classes' logits are interpolated as for the class map.
 *
 * Classes that can't matter are left out: within a cell of the grid a class's logit is nowhere closer to
 * another's than at one of the corners, so that one which is behind the same class by 12 at all four has a
 * 160 000th of its probability at most. With 21 classes the sum is off by less than 20 of these, 0.03 of a
 * step. Along a row of a cell logits change evenly, so that the powers are geometric series: a multiplication
 * for each pixel and class, not an exponential.
 * @returns [photo.height, photo.width]
 * @throws RangeError if the logits do not fit their shape or are not finite
 */
export function confidenceMap(logits: LogitMap, mapping: GridMapping, photo: Size): Uint8Array {
  checkLogits(logits);
  const rows = sampleAxis(mapping.y, photo.height, logits.height);
  const columns = sampleAxis(mapping.x, photo.width, logits.width);
  const columnEnds = evenEnds(columns);
  const out = new Uint8Array(photo.height * photo.width);
  const cell = new Float64Array(logits.classes * 4);
  const row = {
    left: new Float64Array(logits.classes),
    right: new Float64Array(logits.classes),
    power: new Float64Array(logits.classes),
    factor: new Float64Array(logits.classes),
  };

  let top = 0;
  for (const bottom of cellEnds(rows)) {
    let from = 0;
    for (const to of columnEnds) {
      readCell(logits, rows.point[top], columns.point[from], cell);
      const count = keepRelevant(cell);
      for (let y = top; y < bottom; y++) {
        const pixels = out.subarray(y * photo.width + from, y * photo.width + to);
        if (count === 1) pixels.fill(255);
        else {
          interpolateEnds(cell, count, rows.weight[y], columns.weight[from], columns.weight[to - 1], row);
          paintRow(row, count, pixels);
        }
      }
      from = to;
    }
    top = bottom;
  }
  return out;
}

/**
 * Ends of the stretches of pixels that lie in one cell and equally far from each other; at the photo's ends
 * some lie in one place.
 */
function evenEnds({ point, weight }: AxisSamples): number[] {
  const ends: number[] = [];
  let start = 0;
  for (let x = 1; x <= point.length; x++) {
    const step = x > start + 1 ? weight[start + 1] - weight[start] : weight[x] - weight[x - 1];
    if (point[x] === point[x - 1] && Math.abs(weight[x] - weight[x - 1] - step) < 1e-9) continue;
    ends.push(x);
    start = x;
  }
  return ends;
}

interface Row {
  /** [classes] logits at the first and at the last pixel. */
  readonly left: Float64Array;
  readonly right: Float64Array;
  /** [classes] working space */
  readonly power: Float64Array;
  readonly factor: Float64Array;
}

/**
 * Interpolates the corners of a cell to the first and last pixel of a row.
 * @param lower weight of the lower corners; @param first of the right ones at the first pixel; @param last
 */
function interpolateEnds(
  cell: Float64Array,
  count: number,
  lower: number,
  first: number,
  last: number,
  { left, right }: Row,
): void {
  for (let i = 0; i < count; i++) {
    const a = cell[i * 4] * (1 - lower) + cell[i * 4 + 2] * lower;
    const b = cell[i * 4 + 1] * (1 - lower) + cell[i * 4 + 3] * lower;
    left[i] = a * (1 - first) + b * first;
    right[i] = a * (1 - last) + b * last;
  }
}

/**
 * Logits further apart than this in one row are not stepped through: their powers would leave the range of
 * numbers.
 */
const WIDEST = 600;

function paintRow({ left, right, power, factor }: Row, count: number, pixels: Uint8Array): void {
  const steps = Math.max(1, pixels.length - 1);
  let highest = -Infinity;
  let lowest = Infinity;
  for (let i = 0; i < count; i++) {
    highest = Math.max(highest, left[i], right[i]);
    lowest = Math.min(lowest, left[i], right[i]);
  }
  if (!(highest - lowest < WIDEST)) {
    for (let x = 0; x < pixels.length; x++) pixels[x] = confidence(left, right, count, x / steps);
    return;
  }
  for (let i = 0; i < count; i++) {
    power[i] = Math.exp(left[i] - highest);
    factor[i] = Math.exp((right[i] - left[i]) / steps);
  }
  for (let x = 0; x < pixels.length; x++) {
    let most = 0;
    let sum = 0;
    for (let i = 0; i < count; i++) {
      const value = power[i];
      sum += value;
      if (value > most) most = value;
      power[i] = value * factor[i];
    }
    pixels[x] = Math.round((255 * most) / sum);
  }
}

/** 255 times the largest softmax probability, between a row's two sides. */
function confidence(left: Float64Array, right: Float64Array, count: number, weight: number): number {
  // The sum of powers is kept relative to the largest value so far.
  let most = left[0] * (1 - weight) + right[0] * weight;
  let sum = 1;
  for (let i = 1; i < count; i++) {
    const value = left[i] * (1 - weight) + right[i] * weight;
    if (value <= most) sum += value > most - NEGLIGIBLE ? Math.exp(value - most) : 0;
    else {
      sum = most > value - NEGLIGIBLE ? sum * Math.exp(most - value) + 1 : 1;
      most = value;
    }
  }
  return Math.round(255 / sum);
}

/** Difference of logits from which on a probability is taken for 0. */
const NEGLIGIBLE = 12;

/** Moves the corners of the classes that matter in a cell to its beginning. Returns how many there are. */
function keepRelevant(cell: Float64Array): number {
  const winners = new Set([0, 1, 2, 3].map((corner) => cornerWinner(cell, corner)));
  const behind = (p: number, q: number) => {
    for (let corner = 0; corner < 4; corner++)
      if (!(cell[p * 4 + corner] - cell[q * 4 + corner] >= NEGLIGIBLE)) return false;
    return true;
  };
  const relevant: number[] = [];
  for (let q = 0; q < cell.length / 4; q++) if (![...winners].some((p) => behind(p, q))) relevant.push(q);
  relevant.forEach((q, i) => {
    cell.copyWithin(i * 4, q * 4, q * 4 + 4);
  });
  return relevant.length;
}
