import sharp from 'sharp';
import { RESIZE_KERNEL } from './decode.ts';
import { enlargePixels, smallerOf } from './enlarge.ts';
import type { Size } from './region.ts';

/**
 * Pixels brought to another size as photos are when they are decoded.
 * @param pixels [from.height, from.width, 3]
 * @returns [to.height, to.width, 3]; `pixels` itself where nothing changes
 */
export async function resizePixels(pixels: Uint8Array, from: Size, to: Size): Promise<Uint8Array> {
  if (from.width === to.width && from.height === to.height) return pixels;
  const shrunk = smallerOf(from, to);
  const { data } = await sharp(pixels, { raw: { width: from.width, height: from.height, channels: 3 } })
    .resize(shrunk.width, shrunk.height, { fit: 'fill', kernel: RESIZE_KERNEL })
    .raw()
    .toBuffer({ resolveWithObject: true });
  return enlargePixels(new Uint8Array(data.buffer, data.byteOffset, data.length), shrunk, to);
}

/** The picture mirrored left to right. @param pixels [height, width, 3] */
export function mirrorPixels(pixels: Uint8Array, { width, height }: Size): Uint8Array {
  const mirrored = new Uint8Array(pixels.length);
  for (let y = 0; y < height; y++) {
    const row = y * width;
    for (let x = 0; x < width; x++) {
      const from = (row + x) * 3;
      const to = (row + width - 1 - x) * 3;
      mirrored[to] = pixels[from] as number;
      mirrored[to + 1] = pixels[from + 1] as number;
      mirrored[to + 2] = pixels[from + 2] as number;
    }
  }
  return mirrored;
}
