import assert from 'node:assert/strict';
import { test } from 'node:test';
import { reportText } from '../../bench/support/report.ts';
import { barsOf, figuresOf, ratiosOf } from '../../bench/support/result.ts';
import type { Pace } from './made_up.ts';
import { resultOf, series } from './made_up.ts';

const pace = (rate: number, cpu: number, latencyMs: number, livezMs?: number): Pace => ({
  rate,
  cpu,
  latencyMs,
  ...(livezMs !== undefined && { livezMs }),
});
/** A machine that is half as fast in every second round: ratios must not see it. */
const both = (rate: number, cpu: number, latencyMs: number, livezMs?: number) => [
  pace(rate, cpu, latencyMs, livezMs),
  pace(rate / 2, cpu * 2, latencyMs * 2, livezMs),
];

test('ratios are of the same round, over the floor of the same precision and over every rival', () => {
  const ratios = ratiosOf([
    series('thinlens', 'fp32', both(60, 0.03, 30, 2)),
    series('thinlens', 'int8', both(100, 0.02, 24, 2)),
    series('floor', 'fp32', both(70, 0.027, 25)),
    series('floor', 'int8', both(120, 0.018, 20)),
    series('tfjs', 'fp32', both(10, 0.12, 100, 500)),
    series('floor', 'int8', both(1, 1, 1), 'segmentation'),
  ]);
  const found = ratios.map(({ precision, over, measure, ratio }) => [
    `${precision} over ${over}: ${measure}`,
    ratio,
  ]);
  const want: Record<string, number> = {
    'fp32 over floor: photos_per_cpu_second': 0.027 / 0.03,
    'fp32 over floor: photos_per_second': 60 / 70,
    'fp32 over floor: one_client_p50': 30 / 25,
    'fp32 over tfjs: photos_per_cpu_second': 0.12 / 0.03,
    'fp32 over tfjs: photos_per_second': 6,
    'fp32 over tfjs: one_client_p50': 0.3,
    'int8 over floor: photos_per_cpu_second': 0.018 / 0.02,
    'int8 over floor: photos_per_second': 100 / 120,
    'int8 over floor: one_client_p50': 1.2,
    'int8 over tfjs: photos_per_cpu_second': 6,
    'int8 over tfjs: photos_per_second': 10,
    'int8 over tfjs: one_client_p50': 0.24,
  };
  assert.deepEqual(
    found.map(([name]) => name),
    Object.keys(want),
  );
  for (const { precision, over, measure, ratio } of ratios) {
    const expected = want[`${precision} over ${over}: ${measure}`] as number;
    for (const value of Object.values(ratio)) assert.ok(Math.abs(value / expected - 1) < 1e-9, measure);
  }
});

test('figures: latency of all requests, the rest by round; failures and connections that had to be opened anew', () => {
  const slow: Pace = { ...pace(30, 0.06, 60, 4), failures: { '503': 2, '/livez: 503': 1 } };
  const figures = figuresOf(series('thinlens', 'fp32', [pace(60, 0.03, 30, 2), slow]));
  assert.equal(figures.busy.photos_per_second.median, 45);
  assert.ok(Math.abs(figures.busy.cpu_seconds_per_photo.median - 0.045) < 1e-12);
  assert.ok(Math.abs((figures.busy.listener_cpu_seconds_per_photo?.median ?? 0) - 0.002) < 1e-12);
  assert.ok(Math.abs((figures.busy.client_cpu_seconds_per_photo?.median ?? 0) - 0.001) < 1e-12);
  // 120 requests of 30 ms and 60 of 60 ms.
  assert.deepEqual(figures.busy.latency_ms, { p50: 30, p95: 60, p99: 60 });
  assert.deepEqual(figures.livez_ms, { p50: 2, p95: 4, p99: 4 });
  assert.deepEqual(figures.failures, { '503': 2, '/livez: 503': 1 });
  assert.equal(figures.requests, 120 + 60 + 20);
  assert.equal(figures.reconnections, 0);

  const { contestant, rounds } = series('tutorial', 'fp32', [pace(60, 0.03, 30, 2)]);
  const closing = rounds.map(({ busy, alone }) => ({ busy: { ...busy, connections: 120 }, alone }));
  assert.equal(figuresOf({ contestant, rounds: closing }).reconnections, 104);
});

const barsFor = (thinlens: Pace, precision: 'fp32' | 'int8' = 'int8') => {
  const all = [
    series('thinlens', precision, [thinlens]),
    series('floor', precision, [pace(100, 0.02, 20)]),
    series('tfjs', 'fp32', [pace(10, 0.1, 100, 300)]),
    series('tutorial', 'fp32', [pace(20, 0.1, 100, 400)]),
  ];
  return barsOf(all.map(figuresOf), ratiosOf(all));
};

test('what is wanted is met on one side of each limit, and not on the other', () => {
  const cases: [string, number, Partial<Pace>, Partial<Pace>][] = [
    ['CPU', 0, { cpu: 0.0235 }, { cpu: 0.0236 }],
    ['latency', 1, { latencyMs: 26 }, { latencyMs: 26.1 }],
    ['rival', 2, { rate: 60 }, { rate: 59 }],
    ['/livez', 3, { livezMs: 24.9 }, { livezMs: 25 }],
    ['failures', 4, {}, { failures: { '503': 1 } }],
  ];
  const fine = pace(90, 0.021, 22, 3);
  assert.ok(barsFor(fine).every(({ met }) => met));
  for (const [name, at, within, beyond] of cases) {
    assert.equal(barsFor({ ...fine, ...within })[at]?.met, true, name);
    const bars = barsFor({ ...fine, ...beyond });
    assert.deepEqual(
      bars.map(({ met }) => met),
      bars.map((_, index) => index !== at),
      name,
    );
  }
  assert.match(barsFor(fine)[3]?.found ?? '', /3\.0 ms; the tutorial server's 400\.0 ms/);
});

test('where int8 was not measured, the bars say so', () => {
  const [first] = barsFor(pace(90, 0.021, 22, 3), 'fp32');
  assert.match(first?.what ?? '', /fp32 \(int8 was not measured\)/);
});

test('the report says what failed, and what is not met', () => {
  const failing: Pace = { ...pace(30, 0.06, 60, 40), failures: { '503': 2 } };
  const text = reportText(
    resultOf([series('thinlens', 'int8', [failing]), series('floor', 'int8', [pace(100, 0.02, 20)])]),
  );
  assert.match(text, /thinlens int8 failed: 503, 2 times/);
  assert.match(text, /NOT MET {2}photos per CPU-second.*0\.333/);
  assert.match(text, /NOT MET {2}\/livez p99/);
  assert.match(text, /thinlens int8 .* 2\/72/);
});
