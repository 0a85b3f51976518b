import assert from 'node:assert/strict';
import { test } from 'node:test';
import { confidenceMap } from '../../../heads/deeplabv3/confidence.ts';
import { gridMapping } from '../../../heads/deeplabv3/grid_mapping.ts';
import type { LogitMap } from '../../../heads/deeplabv3/logits.ts';
import { mulberry32 } from '../../reference/noise.ts';
import { blobLogits, logitsAt, probabilitiesOf } from './dense.ts';

function noise(seed: number, shape: [number, number, number], spread: number): LogitMap {
  const random = mulberry32(seed);
  const [classes, height, width] = shape;
  const data = Float32Array.from({ length: classes * height * width }, () => (random() - 0.5) * spread);
  return { data, classes, height, width };
}

const cases: [name: string, logits: LogitMap][] = [
  ['blobs', blobLogits(1, 21, 17, 17)],
  ['close logits', noise(2, [21, 9, 9], 2)],
  ['far logits', noise(3, [21, 9, 9], 60)],
  ['differences around the one that is left out', noise(4, [200, 5, 5], 14)],
  ['huge logits', noise(5, [4, 9, 9], 6e38)],
  ['one class', noise(6, [1, 3, 3], 5)],
  ['one point', noise(7, [5, 1, 1], 5)],
];

for (const [name, logits] of cases) {
  test(`the largest softmax probability, to the nearest step: ${name}`, () => {
    const photo = { height: 57, width: 71 };
    const input = { height: logits.height * 16 - 15, width: logits.width * 16 - 15 };
    const mapping = gridMapping({ photo, resized: input, input, grid: logits, alignCorners: true });
    const found = confidenceMap(logits, mapping, photo);
    assert.equal(found.length, 57 * 71);
    for (let at = 0; at < found.length; at++) {
      const values = logitsAt(logits, mapping, Math.floor(at / 71), at % 71);
      const wanted = 255 * Math.max(...probabilitiesOf(values));
      const allowance = 0.5 + logits.classes * 255 * Math.exp(-12);
      assert.ok(Math.abs(found[at] - wanted) <= allowance, `${at}: ${found[at]}, not ${wanted}`);
    }
  });
}
