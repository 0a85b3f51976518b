import { forEachHorizontal, type RowEdges, type RowRuns, rowEdges } from './row_runs.ts';

/**
 * COCO's run-length encoding of one mask: lengths of runs down the columns, left to right, background and
 * foreground in turn, beginning with background (a length of 0 where the first pixel is foreground).
 * Source: cocodataset/cocoapi common/maskApi.h, PythonAPI/pycocotools/mask.py.
 */
export interface Rle<Counts = string | readonly number[]> {
  /** [height, width] in pixels. */
  readonly size: readonly [height: number, width: number];
  /** The lengths, or COCO's compressed form of them. */
  readonly counts: Counts;
}

/** An RLE that is none. The message says what is wrong with it. */
export class RleError extends Error {
  override readonly name = 'RleError';
}

/**
 * Pixels of a mask at most, so that a few characters can't ask for all memory: twice the largest camera's.
 */
export const MAX_MASK_PIXELS = 2 ** 28;

/** Run-length encodes the pixels of one class. */
export function encodeRle(runs: RowRuns, classId: number): Rle<number[]> {
  const edges = rowEdges(runs, classId);
  const { height, width } = runs;
  const counts: number[] = [];
  let since = 0;
  const switches = columnSwitches(edges);
  for (let i = 0; i < switches.length; i++) {
    // A column that ends in foreground and its neighbour that begins with it: one run goes on.
    if (switches[i] === switches[i + 1]) i++;
    else {
      counts.push(switches[i] - since);
      since = switches[i];
    }
  }
  if (since < height * width || counts.length === 0) counts.push(height * width - since);
  return { size: [height, width], counts };
}

/**
 * Places, counted down the columns, where foreground begins or ends; it ends at the latest with its column.
 * Ascending. These are the horizontal edges of the region, met row by row and sorted into columns by
 * counting.
 */
function columnSwitches(edges: RowEdges): Float64Array {
  const { height, width, x } = edges;
  const next = new Uint32Array(width + 1);
  const eachEdge = (visit: (column: number, line: number) => void) => {
    for (let line = 0; line <= height; line++) {
      forEachHorizontal(edges, line, (from, to) => {
        for (let column = x[from]; column < x[to]; column++) visit(column, line);
      });
    }
  };
  eachEdge((column) => {
    next[column + 1]++;
  });
  for (let column = 0; column < width; column++) next[column + 1] += next[column];
  const switches = new Float64Array(next[width]);
  eachEdge((column, line) => {
    switches[next[column]++] = column * height + line;
  });
  return switches;
}

/** COCO's compressed string of run lengths. */
export function compressCounts(counts: readonly number[]): string {
  const codes: number[] = [];
  counts.forEach((count, i) => {
    // Like runs of neighbouring columns, so that the difference is small.
    let rest = i > 2 ? count - counts[i - 2] : count;
    for (let more = true; more; ) {
      let code = rest & 0x1f;
      rest >>= 5;
      more = code & 0x10 ? rest !== -1 : rest !== 0;
      if (more) code |= 0x20;
      codes.push(code + 48);
    }
  });
  return Buffer.from(codes).toString('latin1');
}

/** Characters of one count at most: 7 * 5 bits hold any 32-bit number. */
const MAX_CHARACTERS = 7;

/**
 * Run lengths of COCO's compressed string.
 * @throws RleError if the string holds a character that it can't, ends inside a number, or a length is
 * negative or too large
 */
export function decompressCounts(text: string): number[] {
  const counts: number[] = [];
  for (let at = 0; at < text.length; ) {
    const began = at;
    let count = 0;
    let code = 0x20;
    for (let factor = 1; code & 0x20; factor *= 32) {
      if (at === text.length) throw new RleError(`the string ends inside the count at character ${began}`);
      code = text.charCodeAt(at) - 48;
      if (!(code >= 0 && code < 64))
        throw new RleError(
          `character ${at} is ${JSON.stringify(text[at])}: only those from '0' to 'o' occur`,
        );
      if (++at - began > MAX_CHARACTERS)
        throw new RleError(`the count at character ${began} is longer than ${MAX_CHARACTERS} characters`);
      count += (code & 0x1f) * factor;
      if (!(code & 0x20) && code & 0x10) count -= factor * 32;
    }
    if (counts.length > 2) count += counts[counts.length - 2];
    if (count < 0 || count > MAX_MASK_PIXELS)
      throw new RleError(`the count at character ${began} is ${count}: 0 to ${MAX_MASK_PIXELS} is possible`);
    counts.push(count);
  }
  return counts;
}

/**
 * Run lengths of a mask from anywhere, checked: they are whole numbers that add up to its pixels.
 * @throws RleError at the first thing that is wrong
 */
export function readCounts({ size, counts }: Rle): readonly number[] {
  const whole = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;
  if (!Array.isArray(size) || size.length !== 2 || !size.every((side) => whole(side) && side > 0))
    throw new RleError(`size must be [height, width], whole numbers from 1 on, not ${JSON.stringify(size)}`);
  const [height, width] = size;
  if (height * width > MAX_MASK_PIXELS)
    throw new RleError(`a mask of ${width} x ${height} is too large: at most ${MAX_MASK_PIXELS} pixels`);
  if (typeof counts !== 'string' && !Array.isArray(counts))
    throw new RleError('counts must be a string or an array of whole numbers');
  const lengths: readonly number[] = typeof counts === 'string' ? decompressCounts(counts) : counts;
  let sum = 0;
  lengths.forEach((length, i) => {
    if (!whole(length))
      throw new RleError(`counts[${i}] must be a whole number, not ${JSON.stringify(length)}`);
    sum += length;
  });
  if (sum !== height * width)
    throw new RleError(`the counts add up to ${sum} pixels; ${width} x ${height} has ${height * width}`);
  return lengths;
}

/**
 * The mask of an RLE: 0 and 1, [height, width] row by row.
 * @throws RleError see readCounts
 */
export function decodeRle(rle: Rle): Uint8Array {
  const counts = readCounts(rle);
  const [height, width] = rle.size;
  const mask = new Uint8Array(height * width);
  forEachForeground(counts, (from, to) => {
    let x = Math.floor(from / height);
    let y = from % height;
    for (let place = from; place < to; place++) {
      mask[y * width + x] = 1;
      if (++y === height) {
        y = 0;
        x++;
      }
    }
  });
  return mask;
}

/** Foreground pixels. @throws RleError see readCounts */
export function rleArea(rle: Rle): number {
  let area = 0;
  forEachForeground(readCounts(rle), (from, to) => {
    area += to - from;
  });
  return area;
}

/**
 * Smallest box around the foreground, [x, y, width, height] in pixels; all 0 for an empty mask.
 * @throws RleError see readCounts
 */
export function rleBox(rle: Rle): [x: number, y: number, width: number, height: number] {
  const counts = readCounts(rle);
  const [height] = rle.size;
  let [left, top, right, bottom] = [Infinity, Infinity, 0, 0];
  forEachForeground(counts, (from, to) => {
    const first = Math.floor(from / height);
    const last = Math.floor((to - 1) / height);
    left = Math.min(left, first);
    right = Math.max(right, last + 1);
    // A run over the end of a column has that column's last pixel and the next one's first.
    top = Math.min(top, first === last ? from % height : 0);
    bottom = Math.max(bottom, first === last ? ((to - 1) % height) + 1 : height);
  });
  return right === 0 ? [0, 0, 0, 0] : [left, top, right - left, bottom - top];
}

/** Each run of foreground that is not empty, as places down the columns. */
function forEachForeground(counts: readonly number[], visit: (from: number, to: number) => void): void {
  let place = 0;
  counts.forEach((count, i) => {
    if (i % 2 === 1 && count > 0) visit(place, place + count);
    place += count;
  });
}
