import { cellEnds, type GridMapping, sampleAxis } from './grid_mapping.ts';
import { checkLogits, cornerWinner, type LogitMap, readCell } from './logits.ts';
import type { Size } from './size.ts';

/**
 * Softmax probability of the winning class at every photo pixel, as a byte: 255 times the probability, rounded. All classes' logits are
 * interpolated as for the class map.
 *
 * Classes that can't matter are left out: within a cell of the grid a class's logit is nowhere closer to another's than at one of the
 * corners, so that one which is behind the same class by 12 at all four has a 160 000th of its probability at most. With 21
 * classes the sum is off by less than 20 of these, 0.03 of a step.
 * @returns [photo.height, photo.width]
 * @throws RangeError if the logits do not fit their shape or are not finite
 */
export function confidenceMap(logits: LogitMap, mapping: GridMapping, photo: Size): Uint8Array {
  checkLogits(logits);
  const rows = sampleAxis(mapping.y, photo.height, logits.height);
  const columns = sampleAxis(mapping.x, photo.width, logits.width);
  const columnEnds = cellEnds(columns);
  const out = new Uint8Array(photo.height * photo.width);
  const cell = new Float64Array(logits.classes * 4);
  const left = new Float64Array(logits.classes);
  const right = new Float64Array(logits.classes);

  let top = 0;
  for (const bottom of cellEnds(rows)) {
    let from = 0;
    for (const to of columnEnds) {
      readCell(logits, rows.point[top], columns.point[from], cell);
      const count = keepRelevant(cell);
      for (let y = top; y < bottom; y++) {
        const row = y * photo.width;
        if (count === 1) {
          out.fill(255, row + from, row + to);
          continue;
        }
        const lower = rows.weight[y];
        for (let i = 0; i < count; i++) {
          left[i] = cell[i * 4] * (1 - lower) + cell[i * 4 + 2] * lower;
          right[i] = cell[i * 4 + 1] * (1 - lower) + cell[i * 4 + 3] * lower;
        }
        for (let x = from; x < to; x++) out[row + x] = confidence(left, right, count, columns.weight[x]);
      }
      from = to;
    }
    top = bottom;
  }
  return out;
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
