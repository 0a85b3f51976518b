import assert from 'node:assert/strict';
import { test } from 'node:test';
import { rowRuns } from '../../../heads/deeplabv3/row_runs.ts';
import { summarizeClasses } from '../../../heads/deeplabv3/summary.ts';
import { mulberry32 } from '../../reference/noise.ts';

test('classes of a map drawn by hand', () => {
  const map = Uint8Array.from([
    ...[0, 0, 0, 7, 7],
    ...[0, 3, 0, 0, 0],
    ...[0, 0, 0, 0, 7],
    ...[0, 0, 0, 0, 0], //
  ]);
  assert.deepEqual(summarizeClasses(rowRuns(map, { height: 4, width: 5 })), [
    { class_id: 0, pixels: 16, fraction: 0.8, box: { x_min: 0, y_min: 0, x_max: 5, y_max: 4 } },
    { class_id: 3, pixels: 1, fraction: 0.05, box: { x_min: 1, y_min: 1, x_max: 2, y_max: 2 } },
    { class_id: 7, pixels: 3, fraction: 0.15, box: { x_min: 3, y_min: 0, x_max: 5, y_max: 3 } },
  ]);
});

test('classes of random maps, looked at pixel by pixel', () => {
  const random = mulberry32(5);
  for (let i = 0; i < 100; i++) {
    const [height, width] = [1 + Math.floor(random() * 9), 1 + Math.floor(random() * 9)];
    const map = Uint8Array.from({ length: height * width }, () => Math.floor(random() * 256 * random()));
    const wanted = [...new Set(map)]
      .sort((a, b) => a - b)
      .map((class_id) => {
        const places = [...map.keys()].filter((at) => map[at] === class_id);
        const xs = places.map((at) => at % width);
        const ys = places.map((at) => Math.floor(at / width));
        return {
          class_id,
          pixels: places.length,
          fraction: places.length / map.length,
          box: {
            x_min: Math.min(...xs),
            y_min: Math.min(...ys),
            x_max: Math.max(...xs) + 1,
            y_max: Math.max(...ys) + 1,
          },
        };
      });
    assert.deepEqual(summarizeClasses(rowRuns(map, { height, width })), wanted);
  }
});

test('a map of another size is an error', () => {
  assert.throws(
    () => rowRuns(new Uint8Array(5), { height: 2, width: 3 }),
    /has 5 values; 3 x 2 pixels need 6/,
  );
  assert.throws(() => rowRuns(new Uint8Array(0), { height: 0, width: 3 }), /a size of 3 x 0 is none/);
});
