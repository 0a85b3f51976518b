// Annotated masks: that the values stored are what is read, whatever the PNG's form, and that what cannot be class ids is refused.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { deflateSync } from 'node:zlib';
import sharp from 'sharp';
import { encodeGreyPng, encodeMaskPng, encodePalettePng } from '../../../heads/deeplabv3/png.ts';
import { VOC_COLORS } from '../../../heads/deeplabv3/voc_colors.ts';
import { ImageError, type ImageErrorCode } from '../../../server/image/image-error.ts';
import { decodeLabelMap } from '../../../server/image/label_map.ts';
import { pngChunk, randomBytes } from './pictures.ts';

const limits = { maxPixels: 10_000 };
const size = { width: 37, height: 11 };

/** [height, width] of values below `end`, in runs as masks have them, and single pixels. */
function labelsBelow(end: number): Uint8Array {
  const random = randomBytes(end);
  let value = 0;
  return Uint8Array.from({ length: size.width * size.height }, () => {
    if (random() < 60) value = random() % end;
    return value;
  });
}

/** A palette PNG written by hand: rows unfiltered, pixels from the highest bits on, all colours black. */
function packed(labels: Uint8Array, bits: number, { kind = 3, interlace = 0 } = {}): Buffer {
  const rows: number[] = [];
  for (let y = 0; y < size.height; y++) {
    const row = [...labels.subarray(y * size.width, (y + 1) * size.width)];
    const text = row.map((label) => label.toString(2).padStart(bits, '0')).join('');
    rows.push(0, ...(text.match(/.{1,8}/g) ?? []).map((byte) => Number.parseInt(byte.padEnd(8, '0'), 2)));
  }
  const header = Buffer.alloc(13);
  header.writeUInt32BE(size.width, 0);
  header.writeUInt32BE(size.height, 4);
  header.set([bits, kind, 0, 0, interlace], 8);
  return Buffer.concat([
    Buffer.from('\x89PNG\r\n\x1a\n', 'latin1'),
    pngChunk('IHDR', header),
    ...(kind === 3 ? [pngChunk('PLTE', Buffer.alloc(3 * 2 ** bits))] : []),
    pngChunk('IDAT', deflateSync(Buffer.from(rows))),
    pngChunk('IEND', Buffer.alloc(0)),
  ]);
}

const raw = (pixels: Uint8Array, channels: 1 | 2 | 3 = 1) => sharp(pixels, { raw: { ...size, channels } });

describe('decodeLabelMap', () => {
  const labels = labelsBelow(256);

  test('a grey PNG gives its values: unfiltered, filtered, interlaced', async () => {
    const grey = () => raw(labels).toColourspace('b-w');
    const files = {
      unfiltered: encodeGreyPng(labels, size),
      filtered: await grey().png({ adaptiveFiltering: true }).toBuffer(),
      interlaced: await grey().png({ progressive: true }).toBuffer(),
    };
    for (const [name, file] of Object.entries(files)) {
      assert.deepEqual(decodeLabelMap(file, limits), { ...size, labels }, name);
    }
    assert.equal(files.interlaced[28], 1, 'the header says that it is interlaced');
  });

  test('a palette gives its indices, whatever their colours', () => {
    const voc = encodePalettePng(labels, size, VOC_COLORS);
    assert.deepEqual(decodeLabelMap(voc, limits), { ...size, labels });
    const black = encodePalettePng(labels, size, new Uint8Array(256 * 3));
    assert.deepEqual(decodeLabelMap(black, limits), { ...size, labels });
  });

  test('a palette at 1, 2 or 4 bits gives its indices too', () => {
    for (const bits of [1, 2, 4]) {
      const few = labelsBelow(2 ** bits);
      assert.equal(Math.max(...few), 2 ** bits - 1);
      assert.deepEqual(decodeLabelMap(packed(few, bits), limits), { ...size, labels: few }, `${bits} bits`);
    }
  });

  test('refuses what holds no class ids, and says what would', async () => {
    const cases: [string, Uint8Array, RegExp][] = [
      [
        'colour',
        await raw(new Uint8Array(37 * 11 * 3), 3)
          .png()
          .toBuffer(),
        /is 8-bit colour\./,
      ],
      [
        'grey and alpha',
        await raw(new Uint8Array(37 * 11 * 2), 2)
          .toColourspace('b-w')
          .png()
          .toBuffer(),
        /is 8-bit grey and alpha\./,
      ],
      ['16 bits', await raw(labels).toColourspace('grey16').png().toBuffer(), /is 16-bit grey\./],
      ['1 bit', encodeMaskPng(labels, size, 1), /is 1-bit grey\./],
      ['interlaced', packed(labelsBelow(16), 4, { interlace: 1 }), /is 4-bit and interlaced;/],
      ['jpeg', await raw(labels).jpeg().toBuffer(), /JPEG file/],
    ];
    for (const [name, file, wanted] of cases) {
      const message = assertRefused(file, 'unsupported_image', name);
      assert.match(message, wanted);
      assert.match(message, /A mask is a PNG of class ids, grey at 8 bits or with a palette\./);
    }
  });

  test('refuses what is broken, cut short or too large', () => {
    const file = Buffer.from(encodeGreyPng(labels, size));
    for (const length of [1, 15, 40, 200]) {
      assertRefused(file.subarray(0, -length), 'undecodable_image', `without its last ${length} bytes`);
    }
    const damaged = Buffer.from(file);
    damaged[100] = 255 - (damaged[100] as number);
    assertRefused(damaged, 'undecodable_image', 'a changed byte');
    assertRefused(new Uint8Array(0), 'no_image', 'nothing');
    assert.throws(
      () => decodeLabelMap(file, { maxPixels: 37 * 11 - 1 }),
      /37 x 11 = 407 pixels; the limit is 406/,
    );
  });
});

function assertRefused(file: Uint8Array, code: ImageErrorCode, name: string): string {
  try {
    decodeLabelMap(file, limits);
  } catch (error) {
    assert.ok(error instanceof ImageError, `${name}: ${error}`);
    assert.equal(error.code, code, name);
    return error.message;
  }
  assert.fail(`${name} was read`);
}
