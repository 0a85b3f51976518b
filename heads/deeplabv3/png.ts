import { constants, crc32, deflateSync } from 'node:zlib';
import { checkSize, type Size } from './size.ts';

/** What the first chunk calls the kinds of pixels that are written here. */
const GREY = 0;
const PALETTE = 3;

/**
 * A palette PNG whose indices are the classes, exactly, at 8 bits a pixel: what tools for PASCAL VOC read and
 * write. An image library would choose a palette of its own.
 * Source: PNG Specification, Third Edition (W3C, 2025).
 * @param map [height, width] of palette indices
 * @param palette [entries, 3] red, green, blue, at most 256 entries
 * @throws RangeError if the map is not of that size, or has an index beyond the palette
 */
export function encodePalettePng(map: Uint8Array, size: Size, palette: Uint8Array): Uint8Array {
  checkSize('the class map', map, size);
  const entries = palette.length / 3;
  if (!Number.isInteger(entries) || entries < 1 || entries > 256)
    throw new RangeError(`a palette is 1 to 256 times red, green and blue, not ${palette.length} numbers`);
  if (entries < 256) {
    const beyond = map.findIndex((index) => index >= entries);
    if (beyond >= 0) throw new RangeError(`index ${map[beyond]} is beyond a palette of ${entries} colours`);
  }
  return assemble(size, 8, PALETTE, [['PLTE', palette]], rowsOf(map, size));
}

/**
 * One class as a PNG of 1 bit a pixel: white where the class is, black elsewhere.
 * @param map [height, width] of classes, or of 0 and 1
 * @throws RangeError if the map is not of that size
 */
export function encodeMaskPng(map: Uint8Array, size: Size, classId: number): Uint8Array {
  checkSize('the class map', map, size);
  const { height, width } = size;
  const stride = 1 + Math.ceil(width / 8);
  const rows = new Uint8Array(height * stride);
  for (let y = 0, at = 0; y < height; y++) {
    let to = y * stride;
    let bits = 1;
    // A one in front of the bits tells when there are eight.
    for (let x = 0; x < width; x++, at++) {
      bits = (bits << 1) | (map[at] === classId ? 1 : 0);
      if (bits < 256) continue;
      rows[++to] = bits;
      bits = 1;
    }
    while (bits > 1 && bits < 256) bits <<= 1;
    if (bits > 1) rows[++to] = bits;
  }
  return assemble(size, 1, GREY, [], rows);
}

/**
 * One byte a pixel as a grey PNG of 8 bits, as for a confidence map.
 * @param values [height, width]
 * @throws RangeError if the values are not of that size
 */
export function encodeGreyPng(values: Uint8Array, size: Size): Uint8Array {
  checkSize('the map', values, size);
  return assemble(size, 8, GREY, [], rowsOf(values, size));
}

/** Whole bytes row by row, each row behind its 0. */
function rowsOf(values: Uint8Array, { height, width }: Size): Uint8Array {
  const rows = new Uint8Array(height * (width + 1));
  for (let y = 0; y < height; y++) rows.set(values.subarray(y * width, (y + 1) * width), y * (width + 1) + 1);
  return rows;
}

/** @param rows every row behind a 0, which says that its bytes stand for themselves */
function assemble(
  { height, width }: Size,
  bits: number,
  kind: number,
  chunks: readonly [type: string, data: Uint8Array][],
  rows: Uint8Array,
): Uint8Array {
  const header = new DataView(new ArrayBuffer(13));
  header.setUint32(0, width);
  header.setUint32(4, height);
  header.setUint8(8, bits);
  header.setUint8(9, kind);
  // Long runs of one value. A search for runs only takes a fifth of the time of zlib's default and gives
  // less; filtered rows give more.
  const data = deflateSync(rows, { strategy: constants.Z_RLE });
  return Buffer.concat([
    Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a),
    chunk('IHDR', new Uint8Array(header.buffer)),
    ...chunks.map(([type, bytes]) => chunk(type, bytes)),
    chunk('IDAT', data),
    chunk('IEND', new Uint8Array(0)),
  ]);
}

function chunk(type: string, data: Uint8Array): Uint8Array {
  const bytes = Buffer.alloc(data.length + 12);
  bytes.writeUInt32BE(data.length, 0);
  bytes.write(type, 4, 'latin1');
  bytes.set(data, 8);
  bytes.writeUInt32BE(crc32(bytes.subarray(4, -4)), bytes.length - 4);
  return bytes;
}
