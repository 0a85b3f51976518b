import { type AxisSamples, cellEnds, type GridMapping, sampleAxis } from './grid_mapping.ts';
import { checkLogits, cornerWinner, type LogitMap, readCell } from './logits.ts';
import type { Size } from './size.ts';

export interface ClassMapOptions {
  /**
   * Classes that are reported. The others take part in the argmax; the pixels that they win become
   * `background`.
   */
  readonly classes?: Iterable<number>;
  /** 0 to 255, also one that is none of the classes. Default 0. */
  readonly background?: number;
}

/**
 * The class of every photo pixel: all classes' logits interpolated bilinearly at the pixel, argmax, equal
 * values to the lowest class.
 *
 * Equal, pixel for pixel, to doing just that in double precision, with value
 *   left * (1 - x) + right * x,
 *   left = upperLeft * (1 - y) + lowerLeft * y, right = upperRight * (1 - y) + lowerRight * y
 * where x and y are the pixel's place in its cell of the grid; but most of it is never computed, because
 * interpolation can't put a class ahead that is behind at all corners. In floating point that holds as
 * follows.
 *  - Multiplying by a weight >= 0 and adding, rounded to nearest, never reverse an order. So from p >= q at
 *    all corners follows p >= q at every pixel as computed, and where p is the lower class, q does not win.
 *  - Where p is the higher class, q would win a tie that rounding made. The value as computed is off by at
 *    most 6 roundings of 2^-53 relative to the weighted sum of magnitudes; where p is ahead at every corner
 *    by 2^-40 of the magnitudes, it is ahead of q by 2^-40 of their weighted sum at every pixel, and rounding
 *    can't close that. Two different float32 are 2^-25 apart at the least, so that at the points of the grid
 *    "ahead" is always enough.
 * The same holds along one row between its values at the left and right side of a cell.
 *
 * @returns [photo.height, photo.width]
 * @throws RangeError if the logits do not fit their shape or are not finite, or a class is out of range
 */
export function classMap(
  logits: LogitMap,
  mapping: GridMapping,
  photo: Size,
  options: ClassMapOptions = {},
): Uint8Array {
  checkLogits(logits);
  const reported = reportedAs(logits.classes, options);
  const rows = sampleAxis(mapping.y, photo.height, logits.height);
  const columns = sampleAxis(mapping.x, photo.width, logits.width);
  const columnEnds = cellEnds(columns);
  const out = new Uint8Array(photo.height * photo.width);
  const painter = new RowPainter(out, columns, reported, logits.classes);
  const cell = new Float64Array(logits.classes * 4);

  let top = 0;
  for (const bottom of cellEnds(rows)) {
    const stretches: Stretch[] = [];
    let left = 0;
    for (const right of columnEnds) {
      readCell(logits, rows.point[top], columns.point[left], cell);
      const contenders = contendersOf(cell);
      const before = stretches.at(-1);
      // Neighbouring cells of one and the same class are painted in one go.
      if (before && contenders.length === 1 && isOnly(before, contenders[0])) before.right = right;
      else stretches.push({ left, right, contenders, corners: cornersOf(cell, contenders) });
      left = right;
    }
    for (let y = top; y < bottom; y++) {
      for (const stretch of stretches) painter.paint(y * photo.width, rows.weight[y], stretch);
    }
    top = bottom;
  }
  return out;
}

/** Pixels of a row of cells that lie in one cell, or in several that one class has to itself. */
interface Stretch {
  readonly left: number;
  right: number;
  /** Classes that can win here, ascending. */
  readonly contenders: readonly number[];
  /** [contenders, 4], see readCell */
  readonly corners: Float64Array;
}

const isOnly = ({ contenders }: Stretch, classId: number) =>
  contenders.length === 1 && contenders[0] === classId;

/** What every class is written as. */
function reportedAs(count: number, { classes, background = 0 }: ClassMapOptions): Uint8Array {
  const check = (classId: number) => {
    if (!Number.isInteger(classId) || classId < 0 || classId >= count)
      throw new RangeError(`class ${classId} is not one of the ${count} classes, 0 to ${count - 1}`);
    return classId;
  };
  const reported = Uint8Array.from({ length: count }, (_, classId) => classId);
  if (!Number.isInteger(background) || background < 0 || background > 255)
    throw new RangeError(`background must be a whole number from 0 to 255, not ${background}`);
  if (!classes) return reported;
  reported.fill(background);
  for (const classId of classes) reported[check(classId)] = classId;
  return reported;
}

/** See classMap for why this size. */
const MARGIN = 2 ** -40;

/**
 * True where class p, with value a, stays ahead of class q, with value b, through interpolation and rounding.
 */
const isAhead = (p: number, a: number, q: number, b: number) =>
  p < q ? a >= b : a - b > MARGIN * (Math.abs(a) + Math.abs(b));

/** Classes that can win somewhere in a cell: those that no winner of a corner is ahead of at all four. */
function contendersOf(cell: Float64Array): number[] {
  const winners = [0, 1, 2, 3].map((corner) => cornerWinner(cell, corner));
  const [first] = winners;
  if (winners.every((winner) => winner === first)) return [first];
  const contenders: number[] = [];
  for (let q = 0; q < cell.length / 4; q++) {
    const beaten = winners.some((p) => {
      if (p === q) return false;
      for (let corner = 0; corner < 4; corner++)
        if (!isAhead(p, cell[p * 4 + corner], q, cell[q * 4 + corner])) return false;
      return true;
    });
    if (!beaten) contenders.push(q);
  }
  return contenders;
}

const cornersOf = (cell: Float64Array, contenders: readonly number[]) =>
  Float64Array.from({ length: contenders.length * 4 }, (_, i) => cell[contenders[i >> 2] * 4 + (i & 3)]);

/** Writes the pixels of one row of one stretch. */
class RowPainter {
  readonly #out: Uint8Array;
  readonly #columns: AxisSamples;
  readonly #reported: Uint8Array;
  /**
   * Classes that can win on the row at hand, ascending, and their values at the left and right side of the
   * cell.
   */
  readonly #classes: Int32Array;
  readonly #left: Float64Array;
  readonly #right: Float64Array;

  constructor(out: Uint8Array, columns: AxisSamples, reported: Uint8Array, classes: number) {
    this.#out = out;
    this.#columns = columns;
    this.#reported = reported;
    this.#classes = new Int32Array(classes);
    this.#left = new Float64Array(classes);
    this.#right = new Float64Array(classes);
  }

  /** @param row where the row begins in the map; @param weight of the lower corners */
  paint(row: number, weight: number, stretch: Stretch): void {
    const { left, right, contenders } = stretch;
    if (contenders.length === 1) {
      this.#out.fill(this.#reported[contenders[0]], row + left, row + right);
      return;
    }
    const count = this.#prune(stretch, weight);
    if (count === 1) this.#out.fill(this.#reported[this.#classes[0]], row + left, row + right);
    else if (count === 2) this.#compareTwo(row, left, right);
    else this.#compareAll(row, left, right, count);
  }

  /** Interpolates down to the row and keeps the classes that can win on it. Returns how many. */
  #prune({ contenders, corners }: Stretch, lower: number): number {
    const classes = this.#classes;
    const left = this.#left;
    const right = this.#right;
    const upper = 1 - lower;
    let first = 0;
    let last = 0;
    for (let i = 0; i < contenders.length; i++) {
      left[i] = corners[i * 4] * upper + corners[i * 4 + 2] * lower;
      right[i] = corners[i * 4 + 1] * upper + corners[i * 4 + 3] * lower;
      classes[i] = contenders[i];
      if (left[i] > left[first]) first = i;
      if (right[i] > right[last]) last = i;
    }
    // Copies, because the loop below moves what the winners are compared with.
    const p = classes[first];
    const pLeft = left[first];
    const pRight = right[first];
    const r = classes[last];
    const rLeft = left[last];
    const rRight = right[last];
    let kept = 0;
    for (let i = 0; i < contenders.length; i++) {
      const q = classes[i];
      if (q !== p && isAhead(p, pLeft, q, left[i]) && isAhead(p, pRight, q, right[i])) continue;
      if (q !== r && isAhead(r, rLeft, q, left[i]) && isAhead(r, rRight, q, right[i])) continue;
      classes[kept] = q;
      left[kept] = left[i];
      right[kept++] = right[i];
    }
    return kept;
  }

  #compareTwo(row: number, from: number, to: number): void {
    const out = this.#out;
    const { weight } = this.#columns;
    const left0 = this.#left[0];
    const left1 = this.#left[1];
    const right0 = this.#right[0];
    const right1 = this.#right[1];
    const lower = this.#reported[this.#classes[0]];
    const higher = this.#reported[this.#classes[1]];
    for (let x = from; x < to; x++) {
      const w = weight[x];
      const v = 1 - w;
      out[row + x] = left1 * v + right1 * w > left0 * v + right0 * w ? higher : lower;
    }
  }

  #compareAll(row: number, from: number, to: number, count: number): void {
    const left = this.#left;
    const right = this.#right;
    const { weight } = this.#columns;
    for (let x = from; x < to; x++) {
      const w = weight[x];
      const v = 1 - w;
      let best = 0;
      let most = left[0] * v + right[0] * w;
      for (let i = 1; i < count; i++) {
        const value = left[i] * v + right[i] * w;
        if (value > most) {
          most = value;
          best = i;
        }
      }
      this.#out[row + x] = this.#reported[this.#classes[best]];
    }
  }
}
