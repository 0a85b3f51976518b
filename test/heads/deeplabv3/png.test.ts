import assert from 'node:assert/strict';
import { test } from 'node:test';
import sharp from 'sharp';
import { encodeMaskPng, encodePalettePng } from '../../../heads/deeplabv3/png.ts';
import { VOC_COLORS } from '../../../heads/deeplabv3/voc_colors.ts';
import { mulberry32 } from '../../reference/noise.ts';
import { readPng } from './read_png.ts';

const sizes = [
  { height: 1, width: 1 },
  { height: 5, width: 8 },
  { height: 7, width: 9 },
  { height: 3, width: 63 },
  { height: 41, width: 1 },
  { height: 97, width: 130 },
];

/** Any byte, in runs and alone. */
function bytes(seed: number, length: number): Uint8Array {
  const random = mulberry32(seed);
  let value = 0;
  return Uint8Array.from({ length }, () => {
    if (random() < 0.3) value = Math.floor(random() * 256);
    return value;
  });
}

for (const size of sizes) {
  const map = bytes(size.width, size.height * size.width);

  test(`palette PNG of ${size.width} x ${size.height}: indices and palette as they were`, () => {
    const { types, kind, bits, samples, palette, ...rest } = readPng(encodePalettePng(map, size, VOC_COLORS));
    assert.deepEqual(types, ['IHDR', 'PLTE', 'IDAT', 'IEND']);
    assert.deepEqual({ kind, bits }, { kind: 3, bits: 8 });
    assert.deepEqual({ height: rest.height, width: rest.width }, size);
    assert.deepEqual(samples, map);
    assert.deepEqual(Uint8Array.from(palette ?? []), VOC_COLORS);
  });

  test(`palette PNG of ${size.width} x ${size.height}: an image library sees the colours`, async () => {
    const image = sharp(encodePalettePng(map, size, VOC_COLORS), { failOn: 'warning' });
    const { data, info } = await image.raw().toBuffer({ resolveWithObject: true });
    assert.deepEqual([info.height, info.width, info.channels], [size.height, size.width, 3]);
    const wanted = [...map].flatMap((index) => [...VOC_COLORS.subarray(index * 3, index * 3 + 3)]);
    assert.deepEqual([...data], wanted);
  });

  test(`mask PNG of ${size.width} x ${size.height}: one bit a pixel`, async () => {
    const classId = map[Math.floor(map.length / 2)];
    const png = encodeMaskPng(map, size, classId);
    const wanted = map.map((value) => (value === classId ? 1 : 0));
    const { types, kind, bits, samples } = readPng(png);
    assert.deepEqual({ types, kind, bits }, { types: ['IHDR', 'IDAT', 'IEND'], kind: 0, bits: 1 });
    assert.deepEqual(samples, wanted);
    const pixels = await sharp(png, { failOn: 'warning' }).toColourspace('b-w').raw().toBuffer();
    assert.deepEqual(
      Uint8Array.from(pixels),
      wanted.map((value) => value * 255),
    );
  });
}

test('a map beyond its palette, or of another size, is an error', () => {
  const size = { height: 1, width: 3 };
  const palette = Uint8Array.of(0, 0, 0, 255, 0, 0);
  assert.deepEqual(readPng(encodePalettePng(Uint8Array.of(0, 1, 1), size, palette)).palette?.length, 6);
  assert.throws(
    () => encodePalettePng(Uint8Array.of(0, 1, 2), size, palette),
    /index 2 is beyond .* 2 colours/,
  );
  assert.throws(
    () => encodePalettePng(new Uint8Array(4), size, palette),
    /has 4 values; 3 x 1 pixels need 3/,
  );
  assert.throws(() => encodeMaskPng(new Uint8Array(4), size, 1), /has 4 values/);
  assert.throws(() => encodePalettePng(new Uint8Array(3), size, new Uint8Array(4)), /not 4 numbers/);
});

test("VOC's colours", () => {
  const known: [label: number, color: [number, number, number]][] = [
    [0, [0, 0, 0]], // background
    [1, [128, 0, 0]], // aeroplane
    [2, [0, 128, 0]],
    [3, [128, 128, 0]],
    [4, [0, 0, 128]],
    [8, [64, 0, 0]], // cat
    [12, [64, 0, 128]], // dog
    [15, [192, 128, 128]], // person
    [20, [0, 64, 128]], // tv monitor
    [255, [224, 224, 192]], // void
  ];
  for (const [label, color] of known)
    assert.deepEqual([...VOC_COLORS.subarray(label * 3, label * 3 + 3)], color, `label ${label}`);
  const all = Array.from({ length: 256 }, (_, label) => `${VOC_COLORS.subarray(label * 3, label * 3 + 3)}`);
  assert.equal(new Set(all).size, 256);
});
