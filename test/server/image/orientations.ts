import sharp, { type Sharp } from 'sharp';
import type { Raster } from './pictures.ts';

/** Where a pixel of the upright image lies in the file: [column, row]. */
type Place = (x: number, y: number, width: number, height: number) => [number, number];

/**
 * CIPA DC-008 (Exif), tag Orientation: what the file's 0th row and 0th column are to a person. So in 6, whose 0th row
 * is the right-hand side and 0th column the top, a pixel's row counts from the right and its column from the top.
 */
const PLACES: Readonly<Record<number, Place>> = {
  1: (x, y) => [x, y],
  2: (x, y, width) => [width - 1 - x, y],
  3: (x, y, width, height) => [width - 1 - x, height - 1 - y],
  4: (x, y, _width, height) => [x, height - 1 - y],
  5: (x, y) => [y, x],
  6: (x, y, width) => [y, width - 1 - x],
  7: (x, y, width, height) => [height - 1 - y, width - 1 - x],
  8: (x, y, _width, height) => [height - 1 - y, x],
};

export const ORIENTATIONS: readonly number[] = Object.keys(PLACES).map(Number);

/** An upright scene as a camera held otherwise stores it, with the tag that says so. */
export function stored({ pixels: upright, width, height }: Raster, orientation: number): Sharp {
  const place = PLACES[orientation] as Place;
  const [columns, rows] = orientation >= 5 ? [height, width] : [width, height];
  const pixels = new Uint8Array(upright.length);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const [column, row] = place(x, y, width, height);
      const from = (y * width + x) * 3;
      pixels.set(upright.subarray(from, from + 3), (row * columns + column) * 3);
    }
  }
  return sharp(pixels, { raw: { width: columns, height: rows, channels: 3 } }).withMetadata({ orientation });
}

/** The pixels of a photo without transparency. */
export async function rasterOf(photo: Uint8Array): Promise<Raster> {
  const { data, info } = await sharp(photo).raw().toBuffer({ resolveWithObject: true });
  return { width: info.width, height: info.height, pixels: new Uint8Array(data) };
}
