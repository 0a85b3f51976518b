import sharp from 'sharp';
import type { Canvas } from './canvas.ts';
import { decodeImage } from './decode.ts';
import { ImageError } from './image-error.ts';

/** What pictures for people are written as. */
export type PictureType = 'png' | 'jpeg';

/** What drawing on a photo may cost. */
export interface PictureLimits {
  readonly maxPixels: number;
  readonly timeoutSeconds?: number;
}

const JPEG_QUALITY = 90;
/** Sides are 16-bit numbers in a JPEG. */
const MAX_JPEG_SIDE = 65_535;

/**
 * An upright photo at its own size, drawn on and written as a file.
 * @param bytes of the photo's file
 * @param draw changes the pixels
 * @throws ImageError as `decodeImage`, or where a JPEG cannot be so large
 */
export async function drawOn(
  bytes: Uint8Array,
  type: PictureType,
  limits: PictureLimits,
  draw: (canvas: Canvas) => void,
): Promise<Uint8Array> {
  const { pixels, size } = await decodeImage(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength), {
    fit: (photo) => photo,
    ...limits,
  });
  const { width, height } = size;
  if (type === 'jpeg' && Math.max(width, height) > MAX_JPEG_SIDE) {
    throw new ImageError(
      'image_too_large',
      `The photo is ${width} x ${height}, and a JPEG has at most ${MAX_JPEG_SIDE} pixels a side: ask for a PNG.`,
    );
  }
  draw({ pixels, width, height });
  const picture = sharp(pixels, { raw: { width, height, channels: 3 } });
  // Thin coloured lines and letters would fray if colour had half the resolution.
  const file =
    type === 'png' ? picture.png() : picture.jpeg({ quality: JPEG_QUALITY, chromaSubsampling: '4:4:4' });
  return file.toBuffer();
}
