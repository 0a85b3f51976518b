import assert from 'node:assert/strict';
import { test } from 'node:test';
import { latencyOf, median, quantile, spreadOf } from '../../bench/support/statistics.ts';

const hundred = Array.from({ length: 100 }, (_, at) => 100 - at);

test('quantiles are of the nearest rank, whatever the order', () => {
  for (const [q, want] of [
    [0, 1],
    [0.5, 50],
    [0.95, 95],
    [0.99, 99],
    [1, 100],
  ] as const)
    assert.equal(quantile(hundred, q), want);
  assert.deepEqual(latencyOf(hundred), { p50: 50, p95: 95, p99: 99 });
  assert.equal(quantile([7], 0.99), 7);
});

test('the median of an even count lies between the two in the middle', () => {
  assert.equal(median([4, 1, 3]), 3);
  assert.equal(median([4, 1, 3, 10]), 3.5);
  assert.deepEqual(spreadOf([4, 1, 3, 10]), { median: 3.5, lowest: 1, highest: 10 });
});

test('there is no quantile of nothing', () => {
  assert.ok(Number.isNaN(quantile([], 0.5)));
  assert.ok(Number.isNaN(median([])));
});
