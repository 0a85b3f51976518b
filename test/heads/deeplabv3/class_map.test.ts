import assert from 'node:assert/strict';
import { test } from 'node:test';
import { classMap } from '../../../heads/deeplabv3/class_map.ts';
import { type GridMapping, gridMapping } from '../../../heads/deeplabv3/grid_mapping.ts';
import type { LogitMap } from '../../../heads/deeplabv3/logits.ts';
import type { Size } from '../../../heads/deeplabv3/size.ts';
import { mulberry32 } from '../../reference/noise.ts';
import { blobLogits, denseClassMap } from './dense.ts';

function random(seed: number, shape: readonly [number, number, number], value: (r: number) => number) {
  const next = mulberry32(seed);
  const [classes, height, width] = shape;
  const data = Float32Array.from({ length: classes * height * width }, () => value(next()));
  return { data, classes, height, width };
}

/** The whole photo, squashed onto an input of 16 pixels a point. */
function squashed(logits: LogitMap, photo: Size, alignCorners: boolean, mirrored = false): GridMapping {
  const input = { height: logits.height * 16 - 15, width: logits.width * 16 - 15 };
  return gridMapping({ photo, resized: input, input, grid: logits, alignCorners, mirrored });
}

const few = (count: number) => (r: number) => Math.floor(r * count);
const cases: [name: string, logits: LogitMap, photo: Size][] = [
  ['uniform noise', random(1, [21, 9, 7], (r) => r * 20 - 10), { height: 83, width: 120 }],
  ['blobs', blobLogits(2, 21, 33, 33), { height: 211, width: 320 }],
  ['two values, many ties', random(3, [21, 9, 9], few(2)), { height: 97, width: 97 }],
  ['three values, few classes', random(4, [3, 17, 17], few(3)), { height: 257, width: 257 }],
  ['all equal', random(5, [21, 5, 5], () => 1.5), { height: 40, width: 30 }],
  ['one class', random(6, [1, 5, 5], (r) => r), { height: 40, width: 30 }],
  ['256 classes', random(7, [256, 3, 3], few(9)), { height: 20, width: 31 }],
  ['one point', random(8, [21, 1, 1], (r) => r), { height: 13, width: 17 }],
  ['one row of points', random(9, [21, 1, 6], (r) => r), { height: 13, width: 57 }],
  ['one column of points', random(10, [21, 6, 1], (r) => r), { height: 57, width: 13 }],
  ['huge values', random(11, [9, 7, 7], (r) => (r - 0.5) * 6e38), { height: 60, width: 60 }],
  ['tiny values', random(12, [9, 7, 7], (r) => (r - 0.5) * 1e-44), { height: 60, width: 60 }],
  [
    'one unit in the last place apart',
    random(13, [6, 9, 9], (r) => 1e7 + Math.floor(r * 3)),
    { height: 140, width: 90 },
  ],
  [
    'huge beside tiny',
    random(14, [6, 9, 9], (r) => (r < 0.5 ? 1e30 : -1e-30) * (1 + 1e-6 * few(3)(r * 2))),
    { height: 77, width: 91 },
  ],
  ['photo smaller than the grid', random(15, [21, 9, 9], (r) => r), { height: 4, width: 5 }],
  ['one pixel', random(16, [21, 9, 9], (r) => r), { height: 1, width: 1 }],
  ['one row', random(17, [21, 9, 9], few(5)), { height: 1, width: 333 }],
  ['one column', random(18, [21, 9, 9], few(5)), { height: 333, width: 1 }],
  ['long and low', random(19, [21, 3, 30], few(4)), { height: 7, width: 500 }],
];

for (const [name, logits, photo] of cases) {
  test(`every pixel is what interpolating all classes gives: ${name}`, () => {
    for (const alignCorners of [true, false]) {
      for (const mirrored of [true, false]) {
        const mapping = squashed(logits, photo, alignCorners, mirrored);
        assert.deepEqual(classMap(logits, mapping, photo), denseClassMap(logits, mapping, photo));
      }
    }
  });
}

test('... and for many small maps', () => {
  const next = mulberry32(99);
  const upTo = (most: number) => 1 + Math.floor(next() * most);
  for (let seed = 100; seed < 500; seed++) {
    const values = [2, 3, 5, 1000][seed % 4];
    const logits = random(seed, [upTo(5), upTo(4), upTo(4)], (r) => few(values)(r) * 0.1);
    const photo = { height: upTo(40), width: upTo(40) };
    const mapping = squashed(logits, photo, seed % 3 > 0, seed % 5 === 0);
    assert.deepEqual(classMap(logits, mapping, photo), denseClassMap(logits, mapping, photo), `seed ${seed}`);
  }
});

test('... and where values are equal but for rounding: whole numbers at thirds, fifths, sevenths of a cell', () => {
  for (let seed = 500; seed < 1100; seed++) {
    const logits = random(seed, [4, 4, 4], few(8));
    const parts = [3, 5, 6, 7, 11][seed % 5];
    const axis = { scale: 1 / parts, offset: 0.5 / parts, min: 0, max: 3 };
    const mapping = { y: axis, x: axis };
    const photo = { height: parts * 3 + 1, width: parts * 3 + 1 };
    assert.deepEqual(classMap(logits, mapping, photo), denseClassMap(logits, mapping, photo), `seed ${seed}`);
  }
});

test('what lies in the padding does not count', () => {
  // The last row of the resized photo lies on point row 16; the photo's own last rows lie a little below its
  // centre.
  const photo = { height: 1000, width: 20 };
  const logits = random(20, [4, 33, 33], (r) => r);
  const input = { height: 513, width: 513 };
  const resized = { height: 257, width: 513 };
  const mapping = gridMapping({ photo, resized, input, grid: logits, alignCorners: true });
  const before = classMap(logits, mapping, photo);
  logits.data.fill(50, 3 * 33 * 33 + 17 * 33); // Class 3 everywhere below.
  assert.deepEqual(classMap(logits, mapping, photo), before);
});

test('a tie goes to the lowest class', () => {
  const logits = { data: Float32Array.of(0, 2, 2), classes: 3, height: 1, width: 1 };
  const photo = { height: 1, width: 2 };
  assert.deepEqual(classMap(logits, squashed(logits, photo, true), photo), Uint8Array.of(1, 1));
});

test('classes that were not asked for become background after they have won', () => {
  const logits = blobLogits(3, 6, 9, 9);
  const photo = { height: 70, width: 70 };
  const mapping = squashed(logits, photo, true);
  const all = classMap(logits, mapping, photo);
  assert.ok(new Set(all).size >= 4);
  const some = classMap(logits, mapping, photo, { classes: [1, 4] });
  assert.deepEqual(
    some,
    all.map((c) => (c === 1 || c === 4 ? c : 0)),
  );
  const other = classMap(logits, mapping, photo, { classes: [1, 4], background: 5 });
  assert.deepEqual(
    other,
    all.map((c) => (c === 1 || c === 4 ? c : 5)),
  );
  assert.throws(() => classMap(logits, mapping, photo, { classes: [6] }), /class 6 is not one of the 6/);
});

test('logits that do not fit, or are no numbers, are errors', () => {
  const photo = { height: 4, width: 4 };
  const mapping = squashed({ ...blobLogits(1, 2, 3, 3) }, photo, true);
  const make = (length: number, classes = 2) => ({
    data: new Float32Array(length),
    classes,
    height: 3,
    width: 3,
  });
  assert.throws(() => classMap(make(17), mapping, photo), /\[2,3,3\] are not 17 numbers/);
  assert.throws(() => classMap(make(257 * 9, 257), mapping, photo), /at most 256 classes/);
  const bad = make(18);
  bad.data[5] = Number.NaN;
  assert.throws(() => classMap(bad, mapping, photo), /logit 5 of \[2,3,3\] is NaN/);
});
