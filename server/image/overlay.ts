import sharp from 'sharp';
import { VOC_COLORS } from '../../heads/deeplabv3/voc_colors.ts';
import { decodeImage } from './decode.ts';
import { ImageError } from './image-error.ts';

/** Share of the class's colour inside its region; its outline has the whole of it. */
const OPACITY = 0.5;
const JPEG_QUALITY = 90;
/** Sides are 16-bit numbers in a JPEG. */
const MAX_JPEG_SIDE = 65_535;

/**
 * The upright photo with every class laid over it in its PASCAL VOC colour, outlined; the background is left as it is.
 * @param bytes of the photo's file
 * @param map [height, width] of the upright photo
 * @param background the class that nothing is laid over
 * @returns the bytes of a file
 * @throws ImageError as `decodeImage`, or where a JPEG cannot be so large
 */
export async function drawClasses(
  bytes: Uint8Array,
  map: Uint8Array,
  background: number,
  type: 'png' | 'jpeg',
  limits: { readonly maxPixels: number; readonly timeoutSeconds?: number },
): Promise<Uint8Array> {
  const { pixels, size } = await decodeImage(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength), {
    fit: (photo) => photo,
    ...limits,
  });
  if (type === 'jpeg' && Math.max(size.width, size.height) > MAX_JPEG_SIDE) {
    throw new ImageError(
      'image_too_large',
      `The photo is ${size.width} x ${size.height}, and a JPEG has at most ${MAX_JPEG_SIDE} pixels a side: ask for a PNG.`,
    );
  }
  blend(pixels, map, size.width, background);
  const picture = sharp(pixels, { raw: { width: size.width, height: size.height, channels: 3 } });
  const file = type === 'png' ? picture.png() : picture.jpeg({ quality: JPEG_QUALITY });
  return file.toBuffer();
}

function blend(pixels: Uint8Array, map: Uint8Array, width: number, background: number): void {
  // The blend of each class's colour with each value a channel can have.
  const mixed = new Uint8Array(256 * 3 * 256);
  for (let entry = 0; entry < 256 * 3; entry++) {
    const color = (VOC_COLORS[entry] as number) * OPACITY;
    for (let value = 0; value < 256; value++)
      mixed[entry * 256 + value] = Math.round(color + value * (1 - OPACITY));
  }
  for (let at = 0; at < map.length; at++) {
    const classId = map[at] as number;
    if (classId === background) continue;
    const inside = isInside(map, at, width);
    for (let channel = 0; channel < 3; channel++) {
      const entry = classId * 3 + channel;
      const to = at * 3 + channel;
      pixels[to] = (inside ? mixed[entry * 256 + (pixels[to] as number)] : VOC_COLORS[entry]) as number;
    }
  }
}

/** Whether the four neighbours, as far as there are any, have the same class. */
function isInside(map: Uint8Array, at: number, width: number): boolean {
  const classId = map[at];
  const column = at % width;
  return (
    (column === 0 || map[at - 1] === classId) &&
    (column === width - 1 || map[at + 1] === classId) &&
    (at < width || map[at - width] === classId) &&
    (at + width >= map.length || map[at + width] === classId)
  );
}
