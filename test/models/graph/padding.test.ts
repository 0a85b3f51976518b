import assert from 'node:assert/strict';
import { test } from 'node:test';
import { axisPadding } from '../../../models/graph/padding.ts';

const outputSize = (
  size: number,
  kernel: number,
  stride: number,
  dilation: number,
  [before, after]: readonly [number, number],
) => Math.floor((size + before + after - (kernel - 1) * dilation - 1) / stride) + 1;

test('same padding gives ceil(size / stride), with the odd pixel after', () => {
  for (let size = 1; size < 40; size++) {
    for (const kernel of [1, 3, 5]) {
      for (const stride of [1, 2]) {
        for (const dilation of [1, 2, 4]) {
          const padding = axisPadding('same', size, kernel, stride, dilation);
          const [before, after] = padding;
          assert.equal(outputSize(size, kernel, stride, dilation, padding), Math.ceil(size / stride));
          assert.ok(after === before || after === before + 1, `${before} before, ${after} after`);
        }
      }
    }
  }
});

test('same padding is none before and one after for a 3x3 stride-2 layer on an even size', () => {
  assert.deepEqual(axisPadding('same', 300, 3, 2, 1), [0, 1]);
  assert.deepEqual(axisPadding('same', 75, 3, 2, 1), [1, 1]);
});

test('symmetric padding does not look at size or stride', () => {
  assert.deepEqual(axisPadding('symmetric', 300, 3, 2, 1), [1, 1]);
  assert.deepEqual(axisPadding('symmetric', 7, 5, 1, 2), [4, 4]);
  assert.deepEqual(axisPadding('valid', 300, 3, 2, 1), [0, 0]);
});
