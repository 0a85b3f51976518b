// Masks of an answer as pixels, whatever they were written as.
import assert from 'node:assert/strict';
import sharp from 'sharp';
import { decodeRle } from '../../heads/deeplabv3/rle.ts';
import type { Segment } from '../../openapi/types.ts';

type Size = { readonly width: number; readonly height: number };
type Polygons = NonNullable<Segment['mask']['polygons']>;

/** The mask of a segment: 0 and 1, [height, width]. */
export async function maskOf({ mask }: Segment, size: Size): Promise<Uint8Array> {
  if (mask.png !== undefined) return (await greyOf(mask.png, size)).map((value) => value / 255);
  if (mask.polygons) return rasterised(mask.polygons, size);
  const { size: sides, counts } = mask.rle ?? assert.fail('there is no mask');
  const [height, width] = sides as [number, number];
  assert.deepEqual({ width, height }, size);
  return decodeRle({ size: [height, width], counts });
}

/** The samples of a base64 grey PNG, of 1 bit as 0 and 255. */
export async function greyOf(png: string, size: Size): Promise<Uint8Array> {
  const file = Buffer.from(png, 'base64');
  const picture = sharp(file).toColourspace('b-w').raw();
  const { data, info } = await picture.toBuffer({ resolveWithObject: true });
  assert.deepEqual([info.width, info.height, info.channels], [size.width, size.height, 1]);
  assert.equal((await sharp(file).metadata()).channels, 1);
  return new Uint8Array(data);
}

/** Pixels whose centres are inside a polygon, by the even-odd rule over its rings; inside two, they count twice. */
function rasterised(polygons: Polygons, { width, height }: Size): Uint8Array {
  const mask = new Uint8Array(width * height);
  for (const { outer, holes } of polygons) {
    const crossings = Array.from({ length: height }, (): number[] => []);
    for (const ring of [outer, ...holes]) {
      for (let at = 0; at < ring.length; at += 2) {
        const next = (at + 2) % ring.length;
        const [ax, ay, bx, by] = [ring[at], ring[at + 1], ring[next], ring[next + 1]] as [
          number,
          number,
          number,
          number,
        ];
        for (let y = Math.max(0, Math.ceil(Math.min(ay, by) - 0.5)); y + 0.5 < Math.max(ay, by); y++)
          crossings[y]?.push(ax + ((y + 0.5 - ay) * (bx - ax)) / (by - ay));
      }
    }
    for (const [y, row] of crossings.entries()) {
      row.sort((a, b) => a - b);
      for (let i = 0; i < row.length; i += 2) {
        const [from, to] = [row[i] as number, row[i + 1] as number];
        for (let x = Math.ceil(from - 0.5); x + 0.5 < to; x++) {
          const place = y * width + x;
          mask[place] = (mask[place] as number) + 1;
        }
      }
    }
  }
  return mask;
}

/** Intersection over union of the pixels that two maps of classes give to one. */
export function classOverlap(a: Uint8Array, b: Uint8Array, classId: number): number {
  assert.equal(a.length, b.length);
  let both = 0;
  let either = 0;
  for (let at = 0; at < a.length; at++) {
    const [inA, inB] = [a[at] === classId, b[at] === classId];
    if (inA && inB) both++;
    if (inA || inB) either++;
  }
  return both / either;
}

/** A map mirrored left to right. @param map [height, width] */
export function mirrored(map: Uint8Array, { width }: Size): Uint8Array {
  return map.map((_, at) => map[at - (at % width) + width - 1 - (at % width)] as number);
}
