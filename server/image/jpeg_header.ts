import type { Size } from './region.ts';

/** What the segments before a JPEG's picture say. */
export interface JpegHeader extends Size {
  /** 3 for colour; 1 for grey, 4 for CMYK. */
  readonly components: number;
  /** Whether there may be Exif data (an APP1 segment), and so an orientation. */
  readonly exif: boolean;
  /** The embedded ICC profile, where it is one segment long, as all but print profiles are. */
  readonly profile?: Uint8Array;
}

const APP1 = 0xe1;
const APP2 = 0xe2;
const START_OF_SCAN = 0xda;
/** Start of frame: baseline, extended sequential and progressive, all Huffman-coded. */
const FRAMES = [0xc0, 0xc1, 0xc2];
/** Segments between these are tables and application data; any other marker here is odd. */
const TABLES = [0xc4, 0xdb, 0xdd, 0xfe];
const PROFILE_NAME = 'ICC_PROFILE\0';

/**
 * Reads the header of an ordinary JPEG (ITU-T T.81, annex B): 8 bits, one frame, segments without gaps up to the first
 * scan. Costs some microseconds, where a decoder that is opened to be asked costs a fiftieth of a photo.
 * @returns nothing where the header is in any way out of the ordinary: then the decoder has to say
 */
export function readJpegHeader(bytes: Buffer): JpegHeader | undefined {
  let frame: (Size & { components: number }) | undefined;
  let exif = false;
  let profile: Uint8Array | undefined;
  for (let at = 2; at + 4 <= bytes.length; ) {
    const marker = bytes[at + 1] as number;
    const end = at + 2 + bytes.readUInt16BE(at + 2);
    if (bytes[at] !== 0xff || end > bytes.length || end < at + 4) return undefined;
    if (marker === START_OF_SCAN) return frame && { ...frame, exif, ...(profile && { profile }) };
    const segment = bytes.subarray(at + 4, end);
    if (FRAMES.includes(marker)) {
      if (frame || segment.length < 6 || segment[0] !== 8) return undefined;
      const [height, width] = [segment.readUInt16BE(1), segment.readUInt16BE(3)];
      if (width === 0 || height === 0) return undefined;
      frame = { width, height, components: segment[5] as number };
    } else if (marker === APP1) exif = true;
    else if (marker === APP2 && segment.toString('latin1', 0, PROFILE_NAME.length) === PROFILE_NAME) {
      const [number, count] = segment.subarray(PROFILE_NAME.length);
      if (profile || number !== 1 || count !== 1) return undefined;
      profile = segment.subarray(PROFILE_NAME.length + 2);
    } else if (!TABLES.includes(marker) && (marker & 0xf0) !== 0xe0) return undefined;
    at = end;
  }
  return undefined;
}
