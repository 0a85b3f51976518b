import type { Turn } from '../../bench/support/contestants.ts';
import type { BenchTask, ContestantKind } from '../../bench/support/plan.ts';
import type { BenchResult, Round, Series } from '../../bench/support/result.ts';
import { barsOf, figuresOf, ratiosOf } from '../../bench/support/result.ts';
import { spreadOf } from '../../bench/support/statistics.ts';
import type { Precision } from '../../server/zoo/record.ts';

/** What a made-up contestant does in one round. */
export interface Pace {
  /** Photos a second with 16 clients. */
  readonly rate: number;
  /** CPU seconds of a photo. */
  readonly cpu: number;
  /** Latency of one client, of each photo. */
  readonly latencyMs: number;
  readonly livezMs?: number;
  readonly failures?: Readonly<Record<string, number>>;
}

const turn = (done: number, seconds: number, pace: Pace, connections: number): Turn => ({
  done,
  seconds,
  cpuSeconds: done * pace.cpu,
  listenerCpuSeconds: done * 0.002,
  clientCpuSeconds: done * 0.001,
  latenciesMs: Array.from({ length: done }, () => pace.latencyMs),
  livezMs: pace.livezMs === undefined ? [] : [pace.livezMs],
  failures: {},
  connections,
  memory: { peakRss: 300e6, sharedOnce: 200e6 },
});

export function series(
  kind: ContestantKind,
  precision: Precision,
  paces: readonly Pace[],
  task: BenchTask = 'detection',
): Series {
  const rounds = paces.map((pace): Round => {
    const busy = { ...turn(pace.rate * 2, 2, pace, 16), failures: pace.failures ?? {} };
    return { busy, alone: turn(10, 2, pace, 1) };
  });
  return { contestant: { kind, task, precision }, rounds };
}

export function resultOf(all: readonly Series[]): BenchResult {
  const contestants = all.map(figuresOf);
  const ratios = ratiosOf(all);
  return {
    date: '2026-01-02',
    machine: { cpu: 'Made <up> & "quoted"', cpus: 2, node: 'v20' },
    other_work: spreadOf([0.01, 0.02]),
    photos: { folder: 'samples', count: 5 },
    seconds: 2,
    rounds: 2,
    workers: 2,
    clients: 16,
    contestants,
    ratios,
    bars: barsOf(contestants, ratios),
  };
}
