import { inflateSync } from 'node:zlib';

/** CRC-32 of PNG, bit by bit. */
function checksum(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1;
  }
  return ~crc >>> 0;
}

/**
 * Reads the samples of a PNG of one channel and up to 8 bits, as they are stored: palette indices stay
 * indices. Throws for whatever it does not know, and for a checksum that is wrong.
 */
export function readPng(bytes: Uint8Array) {
  const buffer = Buffer.from(bytes);
  if (buffer.toString('latin1', 0, 8) !== '\x89PNG\r\n\x1a\n') throw new Error('signature');
  const chunks: { type: string; data: Buffer }[] = [];
  for (let at = 8; at < buffer.length; ) {
    const length = buffer.readUInt32BE(at);
    if (checksum(buffer.subarray(at + 4, at + 8 + length)) !== buffer.readUInt32BE(at + 8 + length))
      throw new Error('checksum');
    chunks.push({
      type: buffer.toString('latin1', at + 4, at + 8),
      data: buffer.subarray(at + 8, at + 8 + length),
    });
    at += 12 + length;
  }
  const header = chunks[0].data;
  const [width, height] = [header.readUInt32BE(0), header.readUInt32BE(4)];
  const [bits, kind, compression, filter, interlace] = header.subarray(8);
  if (compression + filter + interlace !== 0) throw new Error('methods');
  const parts = chunks.filter(({ type }) => type === 'IDAT').map(({ data }) => data);
  const rows = inflateSync(Buffer.concat(parts));
  const stride = 1 + Math.ceil((width * bits) / 8);
  if (rows.length !== stride * height) throw new Error('length of the rows');
  const samples = new Uint8Array(width * height);
  for (let y = 0; y < height; y++) {
    if (rows[y * stride] !== 0) throw new Error('filter');
    for (let x = 0; x < width; x++) {
      const byte = rows[y * stride + 1 + Math.floor((x * bits) / 8)];
      samples[y * width + x] = (byte >> (8 - bits - ((x * bits) % 8))) & (2 ** bits - 1);
    }
  }
  const palette = chunks.find(({ type }) => type === 'PLTE')?.data;
  return { types: chunks.map(({ type }) => type), width, height, bits, kind, palette, samples };
}
