import assert from 'node:assert/strict';
import { test } from 'node:test';
import { mirrorPixels, resizePixels } from '../../../server/image/resize.ts';
import { smoothNoise, uniformNoise } from '../../reference/noise.ts';

test('a mirrored picture has every pixel on the other side, its channels in order', () => {
  const [width, height] = [5, 3];
  const pixels = uniformNoise(3, width, height);
  const mirrored = mirrorPixels(pixels, { width, height });
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const at = (column: number) => (y * width + column) * 3;
      assert.deepEqual(mirrored.subarray(at(x), at(x) + 3), pixels.subarray(at(4 - x), at(4 - x) + 3));
    }
  }
});

test('resizing to the same size gives the very pixels', async () => {
  const pixels = uniformNoise(4, 7, 5);
  assert.equal(await resizePixels(pixels, { width: 7, height: 5 }, { width: 7, height: 5 }), pixels);
});

test('a picture at half its size has the means of its parts, and resizing and mirroring can change places', async () => {
  const from = { width: 80, height: 60 };
  const to = { width: 40, height: 30 };
  const pixels = smoothNoise(5, from.width, from.height);
  const small = await resizePixels(pixels, from, to);
  assert.equal(small.length, 40 * 30 * 3);
  let furthest = 0;
  for (let y = 2; y < 28; y++) {
    for (let x = 2; x < 38; x++) {
      const of = (dy: number, dx: number) => pixels[((2 * y + dy) * 80 + 2 * x + dx) * 3] as number;
      const mean = (of(0, 0) + of(0, 1) + of(1, 0) + of(1, 1)) / 4;
      furthest = Math.max(furthest, Math.abs(mean - (small[(y * 40 + x) * 3] as number)));
    }
  }
  assert.ok(furthest < 5, `off by ${furthest}`);
  const other = await resizePixels(mirrorPixels(pixels, from), from, to);
  const mirrored = mirrorPixels(small, to);
  const worst = other.reduce(
    (most, value, at) => Math.max(most, Math.abs(value - (mirrored[at] as number))),
    0,
  );
  assert.ok(worst <= 1, `off by ${worst}`);
});
