import type { Size } from './region.ts';

/** The smaller of each side: what a library that only shrinks well is to make of a picture of size `a` that should have size `b`. */
export const smallerOf = (a: Size, b: Size): Size => ({
  width: Math.min(a.width, b.width),
  height: Math.min(a.height, b.height),
});

/** Between which two pixels of a row or column each pixel of a longer one lies. */
interface Samples {
  readonly first: Int32Array;
  readonly second: Int32Array;
  /** Of the second, in 256ths. */
  readonly weight: Int32Array;
}

const ONE = 256;

/** By half-pixel centres; what lies beyond the outermost ones has their value. */
function samples(from: number, to: number): Samples {
  const found = { first: new Int32Array(to), second: new Int32Array(to), weight: new Int32Array(to) };
  for (let at = 0; at < to; at++) {
    const place = Math.min(from - 1, Math.max(0, ((at + 0.5) * from) / to - 0.5));
    const first = Math.floor(place);
    found.first[at] = first;
    found.second[at] = Math.min(from - 1, first + 1);
    found.weight[at] = Math.round((place - first) * ONE);
  }
  return found;
}

/**
 * Enlarges a picture bilinearly, by half-pixel centres, as TensorFlow and PIL do; a side may also stay. libvips enlarges with
 * a shift of half a pixel of the result (vips_resize gives vips_affine an input displacement of 0.5 and no output
 * displacement), which moves boxes and masks of small photos.
 * @param pixels [from.height, from.width, 3]
 * @param to no smaller than `from` in any direction
 * @returns [to.height, to.width, 3]; `pixels` itself where nothing changes
 */
export function enlargePixels(pixels: Uint8Array, from: Size, to: Size): Uint8Array {
  if (from.width === to.width && from.height === to.height) return pixels;
  const columns = samples(from.width, to.width);
  const rows = samples(from.height, to.height);
  const enlarged = new Uint8Array(to.width * to.height * 3);
  const upper = new Int32Array(to.width * 3);
  const lower = new Int32Array(to.width * 3);
  let [upperRow, lowerRow] = [-1, -1];
  for (let y = 0; y < to.height; y++) {
    const [first, second] = [rows.first[y] as number, rows.second[y] as number];
    // Neighbouring rows of the result mostly lie between the same two.
    if (first !== upperRow) widen(pixels, first * from.width, columns, upper);
    if (second !== lowerRow) widen(pixels, second * from.width, columns, lower);
    [upperRow, lowerRow] = [first, second];
    const below = rows.weight[y] as number;
    const above = ONE - below;
    const row = y * to.width * 3;
    for (let i = 0; i < upper.length; i++) {
      const sum = (upper[i] as number) * above + (lower[i] as number) * below;
      enlarged[row + i] = (sum + (ONE * ONE) / 2) >> 16;
    }
  }
  return enlarged;
}

/** One row, as wide as the result, in 256ths. @param start its first pixel */
function widen(pixels: Uint8Array, start: number, { first, second, weight }: Samples, out: Int32Array): void {
  for (let x = 0, to = 0; x < first.length; x++) {
    const right = weight[x] as number;
    const left = ONE - right;
    let a = (start + (first[x] as number)) * 3;
    let b = (start + (second[x] as number)) * 3;
    for (let channel = 0; channel < 3; channel++)
      out[to++] = (pixels[a++] as number) * left + (pixels[b++] as number) * right;
  }
}
