import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { before, describe, test } from 'node:test';
import sharp from 'sharp';
import {
  compressCounts,
  decodeRle,
  decompressCounts,
  encodeRle,
  MAX_MASK_PIXELS,
  type Rle,
  RleError,
  rleArea,
  rleBox,
} from '../../../heads/deeplabv3/rle.ts';
import { rowRuns } from '../../../heads/deeplabv3/row_runs.ts';
import { mulberry32 } from '../../reference/noise.ts';

interface Golden {
  name: string;
  size: [number, number];
  png: string;
  counts_compressed: string;
  counts_uncompressed: number[];
  area: number;
  bbox: number[];
}

const masks: Golden[] = JSON.parse(readFileSync('test/fixtures/rle.json', 'utf8'));

for (const golden of masks) {
  describe(`pycocotools: ${golden.name}`, () => {
    const [height, width] = golden.size;
    let mask: Uint8Array;
    before(async () => {
      const pixels = await sharp(Buffer.from(golden.png, 'base64')).toColourspace('b-w').raw().toBuffer();
      mask = Uint8Array.from(pixels);
    });

    test('mask to both forms', () => {
      const rle = encodeRle(rowRuns(mask, { height, width }), 1);
      assert.deepEqual(rle, { size: golden.size, counts: golden.counts_uncompressed });
      assert.equal(compressCounts(rle.counts), golden.counts_compressed);
    });
    test('both forms to the mask', () => {
      assert.equal(mask.length, height * width);
      assert.deepEqual(decompressCounts(golden.counts_compressed), golden.counts_uncompressed);
      for (const counts of [golden.counts_compressed, golden.counts_uncompressed])
        assert.ok(Buffer.from(mask).equals(decodeRle({ size: golden.size, counts })));
    });
    test('area and box', () => {
      for (const counts of [golden.counts_compressed, golden.counts_uncompressed]) {
        assert.equal(rleArea({ size: golden.size, counts }), golden.area);
        assert.deepEqual(rleBox({ size: golden.size, counts }), golden.bbox);
      }
    });
  });
}

/** The definition: walk down the columns and count. */
function countColumns(map: Uint8Array, height: number, width: number, classId: number): number[] {
  const counts = [0];
  let foreground = false;
  for (let x = 0; x < width; x++) {
    for (let y = 0; y < height; y++) {
      if ((map[y * width + x] === classId) !== foreground) {
        foreground = !foreground;
        counts.push(0);
      }
      counts[counts.length - 1]++;
    }
  }
  return counts;
}

test('every class of a class map, whatever its shape', () => {
  const random = mulberry32(1);
  for (let i = 0; i < 300; i++) {
    const [height, width] = [1 + Math.floor(random() * 12), 1 + Math.floor(random() * 12)];
    const classes = 1 + Math.floor(random() * 4);
    const map = Uint8Array.from({ length: height * width }, () => Math.floor(random() * classes));
    const runs = rowRuns(map, { height, width });
    for (let classId = 0; classId <= classes; classId++) {
      const rle = encodeRle(runs, classId);
      assert.deepEqual(rle.counts, countColumns(map, height, width, classId));
      const wanted = map.map((value) => (value === classId ? 1 : 0));
      assert.deepEqual(decodeRle({ ...rle, counts: compressCounts(rle.counts) }), wanted);
    }
  }
});

test('runs of length 0 in the middle are read as what they are', () => {
  const rle = { size: [2, 2] as const, counts: [1, 1, 0, 1, 1] };
  assert.deepEqual(decodeRle(rle), Uint8Array.of(0, 1, 1, 0));
  assert.equal(rleArea(rle), 2);
  assert.deepEqual(rleBox(rle), [0, 0, 2, 2]);
});

const broken: [name: string, rle: unknown, message: RegExp][] = [
  ['a character below', { size: [1, 5], counts: '/' }, /character 0 is "\/": only those from '0' to 'o'/],
  ['a character above', { size: [1, 5], counts: '5p' }, /character 1 is "p"/],
  ['a character beyond a byte', { size: [1, 5], counts: '5\u0135' }, /character 1/],
  ['cut off', { size: [1, 100], counts: '4T' }, /ends inside the count at character 1/],
  ['an endless number', { size: [1, 5], counts: 'PPPPPPPPPPPP0' }, /character 0 is longer than 7/],
  ['too large a number', { size: [1, 5], counts: 'oooooo?' }, /count at character 0 is \d+: 0 to/],
  ['a negative number', { size: [1, 5], counts: 'O' }, /count at character 0 is -1/],
  ['a difference below 0', { size: [1, 5], counts: '111N' }, /count at character 3 is -1/],
  ['too few pixels', { size: [2, 5], counts: [3, 3] }, /add up to 6 pixels; 5 x 2 has 10/],
  ['too many pixels', { size: [2, 5], counts: '9:' }, /add up to 19 pixels/],
  ['no counts', { size: [2, 5], counts: '' }, /add up to 0 pixels/],
  ['a fraction', { size: [2, 5], counts: [3.5, 6.5] }, /counts\[0\] must be a whole number, not 3.5/],
  ['a negative length', { size: [2, 5], counts: [11, -1] }, /counts\[1\]/],
  [
    'a text among the lengths',
    { size: [2, 5], counts: [5, '5'] },
    /counts\[1\] must be a whole number, not "5"/,
  ],
  ['no size', { counts: '5' }, /size must be \[height, width\]/],
  ['a size of nothing', { size: [0, 5], counts: [0] }, /size must be/],
  ['three sizes', { size: [1, 5, 1], counts: [5] }, /size must be/],
  ['a huge mask', { size: [1e6, 1e6], counts: [1e12] }, /too large: at most/],
  ['counts of another kind', { size: [1, 5], counts: 5 }, /counts must be a string or an array/],
];
for (const [name, rle, message] of broken) {
  test(`refused: ${name}`, () => {
    for (const read of [decodeRle, rleArea, rleBox]) {
      assert.throws(
        () => read(rle as Rle),
        (error) => error instanceof RleError && message.test(error.message),
      );
    }
  });
}

test('the largest counts survive compression', () => {
  const counts = [MAX_MASK_PIXELS, 0, MAX_MASK_PIXELS, MAX_MASK_PIXELS, 0, 1];
  assert.deepEqual(decompressCounts(compressCounts(counts)), counts);
});
