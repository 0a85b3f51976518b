import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { RangeEstimator } from '../../../../models/graph/quantization/estimators.ts';
import { leastSquares, minMax, percentile } from '../../../../models/graph/quantization/estimators.ts';
import { Histogram } from '../../../../models/graph/quantization/histogram.ts';
import { quantizerOf } from '../../../../models/graph/quantization/quantizer.ts';
import { mulberry32 } from '../../../reference/noise.ts';

function histogramOf(...pieces: readonly Float32Array[]): Histogram {
  const histogram = new Histogram();
  for (const piece of pieces) histogram.add(piece);
  return histogram;
}

function uniform(seed: number, count: number, low: number, high: number): Float32Array {
  const random = mulberry32(seed);
  return Float32Array.from({ length: count }, () => low + (high - low) * random());
}

/** Sums of twelve uniform numbers: close to normal, mean 0, deviation 1. */
function normal(seed: number, count: number): Float32Array {
  const random = mulberry32(seed);
  return Float32Array.from({ length: count }, () => {
    let sum = -6;
    for (let i = 0; i < 12; i++) sum += random();
    return sum;
  });
}

/** What bytes of that range do to the numbers, by doing it. */
function squaredError(data: Float32Array, estimate: readonly [number, number]): number {
  const { scale, zeroPoint } = quantizerOf(estimate);
  return data.reduce((sum, x) => {
    const byte = Math.min(255, Math.max(0, Math.round(x / scale) + zeroPoint));
    return sum + (x - (byte - zeroPoint) * scale) ** 2;
  }, 0);
}

describe('a histogram', () => {
  test('knows least, largest, zeros and every count, in whatever pieces the numbers come', () => {
    const data = Float32Array.from([...uniform(1, 5000, -1e-3, 2e-3), ...uniform(2, 5000, -7, 400), 0, 0, 0]);
    const whole = histogramOf(data);
    // Small numbers first: the bins grow a hundred thousand times.
    const pieces = histogramOf(...Array.from({ length: 101 }, (_, i) => data.slice(i * 100, i * 100 + 100)));
    for (const histogram of [whole, pieces]) {
      assert.equal(histogram.total, 10_003);
      assert.equal(histogram.zeros, 3);
      assert.equal(
        histogram.least,
        data.reduce((a, b) => Math.min(a, b)),
      );
      assert.equal(
        histogram.largest,
        data.reduce((a, b) => Math.max(a, b)),
      );
      assert.equal(
        histogram.bins().reduce((sum, { count }) => sum + count, 0),
        10_000,
      );
    }
    // No count is far from where it belongs.
    const sorted = [...data].filter((x) => x !== 0).sort((a, b) => a - b);
    let at = 0;
    for (const { center, count } of pieces.bins()) {
      for (const x of sorted.slice(at, at + count))
        assert.ok(Math.abs(x - center) <= 407 / 1024, `${x}, ${center}`);
      at += count;
    }
  });

  test('takes an empty piece, zeros alone, and numbers that are next to nothing', () => {
    assert.equal(histogramOf(new Float32Array(0)).total, 0);
    assert.deepEqual(minMax(histogramOf(new Float32Array(9))), [0, 0]);
    assert.deepEqual(histogramOf(new Float32Array(9)).bins(), []);
    const tiny = histogramOf(Float32Array.of(1e-44), Float32Array.of(-1e-44, 3e38, -3e38));
    assert.equal(
      tiny.bins().reduce((sum, { count }) => sum + count, 0),
      4,
    );
  });

  test('refuses what is no number', () => {
    for (const bad of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]) {
      assert.throws(() => histogramOf(Float32Array.of(1, bad)), /element 1 is (NaN|-?Infinity)/);
    }
  });
});

const ESTIMATORS: Record<string, RangeEstimator> = {
  minMax,
  'percentile 99.99': percentile(99.99),
  leastSquares,
};

describe('estimators', () => {
  for (const [name, estimate] of Object.entries(ESTIMATORS)) {
    test(`${name} takes the whole of a uniform spread`, () => {
      for (const [low, high] of [
        [-1, 1],
        [0, 6],
        [-300, 20],
      ] as const) {
        const found = estimate(histogramOf(uniform(3, 50_000, low, high)));
        const room = (high - low) / 100;
        assert.ok(Math.abs(found[0] - low) < room && Math.abs(found[1] - high) < room, `${found}`);
      }
    });

    test(`${name} takes all of zeros and one number`, () => {
      const [low, high] = estimate(histogramOf(new Float32Array(3), Float32Array.of(5)));
      assert.equal(low, 0);
      assert.ok(Math.abs(high - 5) < 0.01, `${high}`);
    });
  }

  test('minMax is exact', () => {
    assert.deepEqual(
      minMax(histogramOf(Float32Array.of(-3.25, 0, 0.125), Float32Array.of(9.5))),
      [-3.25, 9.5],
    );
  });

  test('a single outlier is cut off by percentile, and not by minMax', () => {
    const data = [uniform(4, 100_000, -1, 1), Float32Array.of(50)];
    assert.equal(minMax(histogramOf(...data))[1], 50);
    const [low, high] = percentile(99.99)(histogramOf(...data));
    assert.ok(Math.abs(low + 1) < 0.05, `${low}`);
    assert.ok(Math.abs(high - 1) < 0.05, `${high}`);
    assert.equal(percentile(100)(histogramOf(...data))[1], 50);
  });

  test('percentile keeps the share that it is told, zeros counted in', () => {
    const data = uniform(5, 40_000, 0, 1);
    const [, high] = percentile(90)(histogramOf(data));
    assert.ok(Math.abs(high - 0.95) < 0.01, `${high}`);
    // As many zeros again: the cut falls in the upper tenth of the rest.
    const [, higher] = percentile(90)(histogramOf(data, new Float32Array(40_000)));
    assert.ok(Math.abs(higher - 0.9) < 0.01, `${higher}`);
  });

  test('leastSquares errs least, by the error that bytes really make', () => {
    const spike = Float32Array.from([...normal(6, 30_000), 40, -25]);
    const cases = [normal(7, 30_000), spike, spike.map((x) => Math.max(x, 0))];
    for (const data of cases) {
      const histogram = histogramOf(data);
      const chosen = leastSquares(histogram);
      const least = squaredError(data, chosen);
      assert.ok(least < squaredError(data, minMax(histogram)));
      // No range near it or far from it is better by more than the grid of candidates is coarse.
      for (const low of [0.5, 0.8, 0.9, 1.1, 1.2, 2]) {
        for (const high of [0.5, 0.8, 0.9, 1.1, 1.2, 2]) {
          const other = squaredError(data, [chosen[0] * low, chosen[1] * high]);
          assert.ok(least < other * 1.02, `${chosen}, by ${low} and ${high}: ${least} is more than ${other}`);
        }
      }
    }
  });

  test('percentile refuses what is no share to keep', () => {
    for (const bad of [50, 100.1, 0, Number.NaN]) {
      assert.throws(() => percentile(bad), /a percentile to keep is above 50 and at most 100, not/);
    }
  });
});
