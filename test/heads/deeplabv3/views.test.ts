import assert from 'node:assert/strict';
import { test } from 'node:test';
import { classMap } from '../../../heads/deeplabv3/class_map.ts';
import { gridMapping } from '../../../heads/deeplabv3/grid_mapping.ts';
import type { LogitMap } from '../../../heads/deeplabv3/logits.ts';
import { averageViews, commonGrid, type View } from '../../../heads/deeplabv3/views.ts';
import { blobLogits, denseClassMap, logitsAt, probabilitiesOf } from './dense.ts';

const CLASSES = 5;
const resized = { height: 61, width: 97 };

/** A view whose network saw the photo at one scale, padded to a multiple of 16, plus 1. */
function view(seed: number, scale: number, mirrored: boolean, grid: { height: number; width: number }): View {
  const scaled = { height: Math.round(resized.height * scale), width: Math.round(resized.width * scale) };
  const points = { height: Math.ceil(scaled.height / 16) + 1, width: Math.ceil(scaled.width / 16) + 1 };
  const input = { height: points.height * 16 - 15, width: points.width * 16 - 15 };
  const logits = blobLogits(seed, CLASSES, points.height, points.width);
  // Less background, so that objects still win where views differ.
  logits.data.subarray(0, points.height * points.width).fill(-1);
  const placement = { photo: grid, resized: scaled, input, grid: points, alignCorners: true, mirrored };
  return { logits, mapping: gridMapping(placement) };
}

const views = (grid: { height: number; width: number }) => [
  view(1, 1, false, grid),
  view(1, 1, true, grid),
  view(2, 0.5, false, grid),
  view(3, 1.75, true, grid),
];

/** Logits of a map at one point. */
const read = ({ data, classes, height, width }: LogitMap, y: number, x: number) =>
  Array.from({ length: classes }, (_, c) => data[(c * height + y) * width + x]);

test('on the grid: the mean of the softmax probabilities of all views', () => {
  for (const grid of [resized, { height: 9, width: 14 }, { height: 1, width: 1 }]) {
    const all = views(grid);
    const found = averageViews(all, grid);
    assert.deepEqual([found.height, found.width, found.classes], [grid.height, grid.width, CLASSES]);
    for (let y = 0; y < grid.height; y++) {
      for (let x = 0; x < grid.width; x++) {
        const each = all.map(({ logits, mapping }) => probabilitiesOf(logitsAt(logits, mapping, y, x)));
        const logarithms = read(found, y, x);
        for (let c = 0; c < CLASSES; c++) {
          const mean = each.reduce((sum, p) => sum + p[c], 0) / all.length;
          assert.ok(Math.abs(Math.exp(logarithms[c]) - mean) < 1e-5 * mean, `${y}, ${x}, ${c}`);
        }
      }
    }
  }
});

test('with a point for each pixel, the class map is the argmax of the mean there', () => {
  const all = views(resized);
  const grid = commonGrid(resized, resized, 1);
  assert.deepEqual([grid.height, grid.width], [61, 97]);
  const found = classMap(averageViews(all, grid), grid.mapping, resized);
  let different = 0;
  for (let at = 0; at < found.length; at++) {
    const [y, x] = [Math.floor(at / resized.width), at % resized.width];
    const each = all.map(({ logits, mapping }) => probabilitiesOf(logitsAt(logits, mapping, y, x)));
    const mean = each[0].map((_, c) => each.reduce((sum, p) => sum + p[c], 0));
    const best = mean.indexOf(Math.max(...mean));
    // float32 may settle what is all but equal otherwise.
    if (found[at] !== best && Math.abs(mean[found[at]] - mean[best]) > 1e-6) different++;
  }
  assert.equal(different, 0);
  assert.ok(new Set(found).size > 2);
});

test('one view on its own grid is what it was', () => {
  const logits = blobLogits(9, CLASSES, 7, 9);
  const photo = { height: 80, width: 100 };
  const self = { height: 7, width: 9 };
  const identity = gridMapping({ photo: self, resized: self, input: self, grid: self, alignCorners: true });
  const found = averageViews([{ logits, mapping: identity }], self);
  for (let y = 0; y < 7; y++) {
    for (let x = 0; x < 9; x++) {
      const [before, after] = [read(logits, y, x), read(found, y, x)];
      before.forEach((value, c) => {
        assert.ok(Math.abs(value - before[0] - (after[c] - after[0])) < 1e-4);
      });
    }
  }
  const grid = commonGrid(photo, self, 1);
  assert.deepEqual(classMap(found, grid.mapping, photo), denseClassMap(logits, grid.mapping, photo));
});

test('a photo and its mirrored view agree', () => {
  // The mirrored photo's logits are the mirrored logits; averaging the two must change nothing.
  const { height, width } = { height: 5, width: 7 };
  const input = { height: 65, width: 97 };
  const logits = blobLogits(4, CLASSES, height, width);
  const backwards = logits.data.map((_, i) => logits.data[i - (i % width) + (width - 1 - (i % width))]);
  const grid = { height: 33, width: 49 };
  const mapping = (mirrored: boolean) =>
    gridMapping({
      photo: grid,
      resized: input,
      input,
      grid: { height, width },
      alignCorners: true,
      mirrored,
    });
  const one = averageViews([{ logits, mapping: mapping(false) }], grid);
  const both = averageViews(
    [
      { logits, mapping: mapping(false) },
      { logits: { ...logits, data: backwards }, mapping: mapping(true) },
    ],
    grid,
  );
  both.data.forEach((value, i) => {
    assert.ok(Math.abs(value - one.data[i]) < 1e-5);
  });
});

test('a hopeless class stays finite', () => {
  const logits = { data: Float32Array.of(0, -1000), classes: 2, height: 1, width: 1 };
  const one = { height: 1, width: 1 };
  const mapping = gridMapping({ photo: one, resized: one, input: one, grid: one, alignCorners: true });
  const { data } = averageViews([{ logits, mapping }], one);
  assert.equal(data[0], 0);
  assert.ok(Math.abs(data[1] + 40) < 1e-5);
});

test('views that do not go together are errors', () => {
  assert.throws(() => averageViews([], resized), /no view/);
  const [first] = views(resized);
  const other = { ...first, logits: blobLogits(1, 3, 2, 2) };
  assert.throws(() => averageViews([first, other], resized), /views of 5 and of 3 classes/);
});
