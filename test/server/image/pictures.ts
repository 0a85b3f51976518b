// Pictures made in the tests: pixels computed here, encoded by sharp or, where sharp cannot, by hand.
import { crc32, deflateSync } from 'node:zlib';
import sharp, { type Sharp } from 'sharp';

export interface Raster {
  width: number;
  height: number;
  /** [height, width, 3] */
  pixels: Uint8Array;
}

/** A picture from a colour for each place. */
export function paint(
  width: number,
  height: number,
  colour: (x: number, y: number) => readonly number[],
): Raster {
  const pixels = new Uint8Array(width * height * 3);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) pixels.set(colour(x, y), (y * width + x) * 3);
  }
  return { width, height, pixels };
}

/** A smooth picture without symmetry: red grows to the right, green downward, blue shrinks on the diagonal. */
export function scene(width: number, height: number): Raster {
  return paint(width, height, (x, y) => {
    const [u, v] = [x / width, y / height];
    return [30 + 200 * u, 20 + 190 * v, 220 - 100 * (u + v)].map(Math.round);
  });
}

/** A picture with detail everywhere, so that every part of an encoded file matters. */
export function texture(width: number, height: number): Raster {
  const random = randomBytes(1);
  return paint(width, height, (x, y) => [
    (x + (random() & 31)) & 255,
    (y + (random() & 31)) & 255,
    (x + y) >> 1,
  ]);
}

export function crop(picture: Raster, left: number, top: number, width: number, height: number): Raster {
  return paint(width, height, (x, y) => {
    const at = ((top + y) * picture.width + left + x) * 3;
    return [...picture.pixels.subarray(at, at + 3)];
  });
}

export function open({ pixels, width, height }: Raster): Sharp {
  return sharp(pixels, { raw: { width, height, channels: 3 } });
}

/** Seeded bytes (Marsaglia's xorshift32), so that a failing case fails again. */
export function randomBytes(seed: number): () => number {
  let state = seed;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 8) & 255;
  };
}

/** Largest difference of two pixel arrays of one length. */
export function difference(actual: Uint8Array, expected: Uint8Array): number {
  if (actual.length !== expected.length) return Number.POSITIVE_INFINITY;
  return actual.reduce((worst, value, at) => Math.max(worst, Math.abs(value - expected[at]!)), 0);
}

/** A PNG chunk; `damaged` gives it a wrong checksum. */
export function pngChunk(type: string, data: Buffer, damaged = false): Buffer {
  const body = Buffer.concat([Buffer.from(type, 'latin1'), data]);
  const frame = Buffer.alloc(4 + body.length + 4);
  frame.writeUInt32BE(data.length, 0);
  body.copy(frame, 4);
  frame.writeUInt32BE((crc32(body) ^ (damaged ? 1 : 0)) >>> 0, 4 + body.length);
  return frame;
}

/** A PNG that declares a size and holds next to no pixels. */
export function hollowPng(width: number, height: number): Buffer {
  const header = Buffer.from([0, 0, 0, 0, 0, 0, 0, 0, 8, 2, 0, 0, 0]);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  return Buffer.concat([
    Buffer.from('\x89PNG\r\n\x1a\n', 'latin1'),
    pngChunk('IHDR', header),
    pngChunk('IDAT', deflateSync(Buffer.alloc(1000))),
    pngChunk('IEND', Buffer.alloc(0)),
  ]);
}

interface TiffOptions {
  bigEndian?: boolean;
  /** samples in each pixel */
  samples?: number;
  /** TIFF 6.0's PhotometricInterpretation: 2 is RGB, 5 is CMYK */
  photometric?: number;
  /** further directory entries of type LONG: [tag, value] */
  entries?: readonly (readonly [number, number])[];
}

/** An uncompressed TIFF with its directory in front of its one strip: libtiff, and so sharp, writes it behind. */
export function tiff(width: number, height: number, pixels: Uint8Array, options: TiffOptions = {}): Buffer {
  const { bigEndian = false, samples = 3, photometric = 2, entries = [] } = options;
  const directory = [
    [256, width],
    [257, height],
    [258, 8], // BitsPerSample, one value for all
    [259, 1],
    [262, photometric],
    [273, 0], // StripOffsets, below
    [277, samples],
    [278, height],
    [279, pixels.length],
    ...entries,
  ].sort((a, b) => a[0]! - b[0]!);
  const start = 8 + 2 + directory.length * 12 + 4;
  const head = Buffer.alloc(start);
  const write16 = (value: number, at: number) =>
    bigEndian ? head.writeUInt16BE(value, at) : head.writeUInt16LE(value, at);
  const write32 = (value: number, at: number) =>
    bigEndian ? head.writeUInt32BE(value, at) : head.writeUInt32LE(value, at);
  head.write(bigEndian ? 'MM' : 'II', 0, 'latin1');
  write16(42, 2);
  write32(8, 4);
  write16(directory.length, 8);
  directory.forEach(([tag, value], index) => {
    const at = 10 + index * 12;
    write16(tag!, at);
    write16(4, at + 2);
    write32(1, at + 4);
    write32(tag === 273 ? start : value!, at + 8);
  });
  return Buffer.concat([head, pixels]);
}

/** A JPEG segment: marker, length, data. */
export function jpegSegment(marker: number, data: Uint8Array): Buffer {
  const head = Buffer.from([0xff, marker, 0, 0]);
  head.writeUInt16BE(data.length + 2, 2);
  return Buffer.concat([head, data]);
}

/**
 * A 16 x 8 grey JPEG with a restart marker between its two blocks, 192 on the left and 64 on the right, and
 * stray bytes before that marker, as webcams leave them. One DC code of category 7 (01) and one AC code, end
 * of block (0), are all it uses.
 */
export function webcamJpeg(stray: Uint8Array): Buffer {
  const huffman = (table: number, lengths: readonly number[], symbols: readonly number[]) =>
    jpegSegment(0xc4, Buffer.from([table, ...lengths, ...Array(16 - lengths.length).fill(0), ...symbols]));
  return Buffer.concat([
    Buffer.from([0xff, 0xd8]),
    jpegSegment(0xdb, Buffer.from([0, ...Array(64).fill(8)])),
    jpegSegment(0xc0, Buffer.from([8, 0, 8, 0, 16, 1, 1, 0x11, 0])),
    huffman(0x00, [0, 2], [0, 7]),
    huffman(0x10, [1], [0]),
    jpegSegment(0xdd, Buffer.from([0, 1])),
    jpegSegment(0xda, Buffer.from([1, 1, 0, 0, 63, 0])),
    Buffer.from([0x60, 0x3f]), // 01 1000000 0: DC +64 x 8
    stray,
    Buffer.from([0xff, 0xd0]),
    Buffer.from([0x5f, 0xbf]), // 01 0111111 0: DC -64 x 8
    Buffer.from([0xff, 0xd9]),
  ]);
}

/**
 * A photo as Android phones take it: a JPEG with a second one behind it, a gain map for bright screens. Ultra HDR 1.0 wants
 * XMP in both and the index of CIPA DC-007 (Multi-Picture Format) in the first.
 */
export function ultraHdrJpeg(photo: Buffer, gainMap: Buffer): Buffer {
  const withSegment = (jpeg: Buffer, marker: number, data: Buffer) =>
    Buffer.concat([jpeg.subarray(0, 2), jpegSegment(marker, data), jpeg.subarray(2)]);
  const withXmp = (jpeg: Buffer, attributes: string) => {
    const names = 'xmlns:hdrgm="http://ns.adobe.com/hdr-gain-map/1.0/" hdrgm:Version="1.0"';
    const xmp = `http://ns.adobe.com/xap/1.0/\0<x:xmpmeta xmlns:x="adobe:ns:meta/">
      <rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
      <rdf:Description ${names} ${attributes}/></rdf:RDF></x:xmpmeta>`;
    return withSegment(jpeg, 0xe1, Buffer.from(xmp));
  };
  const first = withXmp(photo, '');
  const second = withXmp(gainMap, 'hdrgm:GainMapMax="2" hdrgm:HDRCapacityMax="2"');
  const index = Buffer.alloc(86);
  index.write('MPF\0II*\0\x08\0\0\0\x03\0', 0, 'latin1');
  const entry = (at: number, tag: number, type: number, count: number, value: number) => {
    index.writeUInt16LE(tag, at);
    index.writeUInt16LE(type, at + 2);
    index.writeUInt32LE(count, at + 4);
    index.writeUInt32LE(value, at + 8);
  };
  entry(14, 0xb000, 7, 4, 0x30303130); // version '0100'
  entry(26, 0xb001, 4, 1, 2); // two pictures
  entry(38, 0xb002, 7, 32, 50); // described at offset 50 from 'II'
  index.writeUInt32LE(0x30000, 54);
  index.writeUInt32LE(first.length + 90, 58);
  index.writeUInt32LE(second.length, 74);
  index.writeUInt32LE(first.length + 90 - 10, 78); // from 'II', which is 10 bytes into the file
  return Buffer.concat([withSegment(first, 0xe2, index), second]);
}
