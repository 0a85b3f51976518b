import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { mulberry32, smoothNoise, uniformNoise } from './noise.ts';

describe('seeded images', () => {
  for (const noise of [uniformNoise, smoothNoise]) {
    test(`${noise.name}: the seed decides the pixels`, () => {
      assert.equal(noise(1, 40, 30).length, 40 * 30 * 3);
      assert.deepEqual(noise(1, 40, 30), noise(1, 40, 30));
      assert.notDeepEqual(noise(1, 40, 30), noise(2, 40, 30));
    });
  }

  test('mulberry32 spreads evenly over [0, 1)', () => {
    const random = mulberry32(7);
    const bins = new Array<number>(16).fill(0);
    for (let i = 0; i < 16_000; i++) bins[Math.floor(random() * 16)]!++;
    // Five standard deviations of a binomial count with mean 1000.
    assert.ok(
      bins.every((count) => Math.abs(count - 1000) < 155),
      String(bins),
    );
  });

  test('uniformNoise reaches every byte, smoothNoise has neighbours alike and the whole not', () => {
    assert.equal(new Set(uniformNoise(1)).size, 256);
    const cell = 25;
    const smooth = smoothNoise(1, 300, 300, cell);
    const right = smooth.subarray(3).map((value, i) => Math.abs(value - smooth[i]!));
    const steps = right.filter((_, i) => Math.floor(i / 3) % 300 !== 299);
    assert.ok(steps.reduce((a, b) => Math.max(a, b)) <= Math.ceil(255 / cell) + 1);
    const sorted = smooth.toSorted();
    assert.ok(sorted.at(-1)! - sorted[0]! > 150);
  });
});
