import { decode } from 'fast-png';
import { declaredSize, identifyImage } from './format.ts';
import { ImageError } from './image-error.ts';
import type { Size } from './region.ts';

/** The class of every pixel of a picture, as annotated. */
export interface LabelMap extends Size {
  /** [height, width] class ids; 255 where the pixel does not count. */
  readonly labels: Uint8Array;
}

/** What a PNG's header calls kinds of pixels. */
const GREY = 0;
const PALETTE = 3;
const KINDS: Readonly<Record<number, string>> = {
  [GREY]: 'grey',
  2: 'colour',
  [PALETTE]: 'palette',
  4: 'grey and alpha',
  6: 'colour and alpha',
};
/** Where the header tells bits a sample, kind of pixels, and whether rows come interlaced. */
const BITS_AT = 24;
const KIND_AT = 25;
const INTERLACE_AT = 28;

const WANTED = 'A mask is a PNG of class ids, grey at 8 bits or with a palette.';

/**
 * Reads an annotated mask: a PNG whose values are class ids, grey at 8 bits, or with a palette as in PASCAL VOC's
 * SegmentationClass, where the indices count and not their colours. Other kinds hold colours that would have to be
 * guessed at, or grey values that may have been stretched.
 * Source: PNG Specification, Third Edition (W3C, 2025).
 * @throws ImageError where the bytes are no such PNG, are broken, or have more than `maxPixels`
 */
export function decodeLabelMap(bytes: Uint8Array, { maxPixels }: { readonly maxPixels: number }): LabelMap {
  const format = identifyImage(bytes);
  if (format !== 'png') throw unsupported(`This is a ${format.toUpperCase()} file.`);
  const size = declaredSize(bytes);
  if (size && size.width * size.height > maxPixels) {
    const { width, height } = size;
    throw new ImageError(
      'image_too_large',
      `The mask has ${width} x ${height} = ${width * height} pixels; the limit is ${maxPixels}.`,
    );
  }
  const [bits = 0, kind = 0, interlaced = 0] = [BITS_AT, KIND_AT, INTERLACE_AT].map((at) => bytes[at]);
  if (!(kind === PALETTE || (kind === GREY && bits === 8))) {
    throw unsupported(`This PNG is ${bits}-bit ${KINDS[kind] ?? `of kind ${kind}`}.`);
  }
  if (interlaced && bits < 8) {
    throw unsupported(`This PNG is ${bits}-bit and interlaced; interlaced ones are read at 8 bits only.`);
  }
  const { width, height, data } = read(bytes);
  return { width, height, labels: unpack(data as Uint8Array, { width, height }, bits) };
}

function read(bytes: Uint8Array): ReturnType<typeof decode> {
  try {
    return decode(bytes, { checkCrc: true });
  } catch (error) {
    const { message, cause } = error as Error;
    // Reading beyond the end is how a file that was cut ends.
    const why = error instanceof RangeError ? 'cut short' : cause instanceof Error ? cause.message : message;
    throw new ImageError(
      'undecodable_image',
      `The mask cannot be decoded: it is broken or incomplete (${why}).`,
      { cause: error },
    );
  }
}

/**
 * Samples of fewer than 8 bits as bytes.
 * @param packed rows of whole bytes, the first pixel in the highest bits
 */
function unpack(packed: Uint8Array, { width, height }: Size, bits: number): Uint8Array {
  if (bits === 8) return packed;
  const stride = Math.ceil((width * bits) / 8);
  const labels = new Uint8Array(width * height);
  for (let y = 0, to = 0; y < height; y++) {
    for (let x = 0; x < width; x++, to++) {
      const bit = x * bits;
      const byte = packed[y * stride + (bit >> 3)] as number;
      labels[to] = (byte >> (8 - bits - (bit & 7))) & ((1 << bits) - 1);
    }
  }
  return labels;
}

const unsupported = (what: string) => new ImageError('unsupported_image', `${what} ${WANTED}`);
