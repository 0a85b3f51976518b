import type { Precision } from '../../server/zoo/record.ts';
import type { Turn } from './contestants.ts';
import type { Machine } from './machine.ts';
import type { BenchTask, Contestant, ContestantKind } from './plan.ts';
import { nameOf } from './plan.ts';
import type { Latency, Spread } from './statistics.ts';
import { latencyOf, quantile, spreadOf } from './statistics.ts';

/** Clients of the busy half of a turn. */
export const CLIENTS = 16;

/** What a contestant did in one round. */
export interface Round {
  /** With 16 clients. */
  readonly busy: Turn;
  /** With one. */
  readonly alone: Turn;
}

/** All rounds of one contestant. */
export interface Series {
  readonly contestant: Contestant;
  readonly rounds: readonly Round[];
}

/** Of one contestant, over all rounds. Latencies are of all requests together, the rest is taken once a round. */
export interface Figures {
  readonly name: string;
  readonly kind: ContestantKind;
  readonly task: BenchTask;
  readonly precision: Precision;
  readonly busy: LoadFigures;
  readonly alone: LoadFigures;
  /** While 16 clients post photos; null for the floor, which has no such thing. */
  readonly livez_ms: Latency | null;
  readonly memory_bytes: {
    /** The most that each process ever had resident, added up: shared pages count once a process. */
    readonly peak_rss: number;
    /** The most of what was resident in the middle of turns, shared pages once. */
    readonly shared_once: number;
  };
  readonly requests: number;
  /** Answers other than 200, and broken connections, by what they were. */
  readonly failures: Readonly<Record<string, number>>;
  /** Connections opened beyond one a client and turn: above 0 where the server does not keep them alive. */
  readonly reconnections: number;
}

export interface LoadFigures {
  readonly photos_per_second: Spread;
  readonly photos_per_cpu_second: Spread;
  readonly cpu_seconds_per_photo: Spread;
  /** Of the process that listens, its workers left out; null for the floor. */
  readonly listener_cpu_seconds_per_photo: Spread | null;
  /** Of the load generator; null for the floor. */
  readonly client_cpu_seconds_per_photo: Spread | null;
  readonly latency_ms: Latency;
}

/** What contestants are compared by, each from one round. */
const MEASURES = {
  photos_per_cpu_second: ({ busy }: Round) => busy.done / busy.cpuSeconds,
  photos_per_second: ({ busy }: Round) => busy.done / busy.seconds,
  one_client_p50: ({ alone }: Round) => quantile(alone.latenciesMs, 0.5),
} as const;
export type Measure = keyof typeof MEASURES;

/** thinlens over another contestant, from the turns of the same round. */
export interface Ratio {
  readonly task: BenchTask;
  readonly precision: Precision;
  readonly over: ContestantKind;
  readonly measure: Measure;
  readonly ratio: Spread;
}

/** A requirement, and whether it is met. */
export interface Bar {
  readonly what: string;
  readonly wanted: string;
  readonly found: string;
  readonly met: boolean;
}

/** What is written as JSON. */
export interface BenchResult {
  readonly date: string;
  readonly machine: Machine;
  /** Share of the machine's CPUs that went to other programs, by round, 0 to 1. */
  readonly other_work: Spread;
  readonly photos: { readonly folder: string; readonly count: number };
  readonly seconds: number;
  readonly rounds: number;
  readonly workers: number;
  readonly clients: number;
  readonly contestants: readonly Figures[];
  readonly ratios: readonly Ratio[];
  readonly bars: readonly Bar[];
}

function loadFigures(turns: readonly Turn[], isServer: boolean): LoadFigures {
  const spread = (of: (turn: Turn) => number) => spreadOf(turns.map(of));
  return {
    photos_per_second: spread(({ done, seconds }) => done / seconds),
    photos_per_cpu_second: spread(({ done, cpuSeconds }) => done / cpuSeconds),
    cpu_seconds_per_photo: spread(({ done, cpuSeconds }) => cpuSeconds / done),
    listener_cpu_seconds_per_photo: isServer
      ? spread(({ done, listenerCpuSeconds }) => listenerCpuSeconds / done)
      : null,
    client_cpu_seconds_per_photo: isServer
      ? spread(({ done, clientCpuSeconds }) => clientCpuSeconds / done)
      : null,
    latency_ms: latencyOf(turns.flatMap(({ latenciesMs }) => latenciesMs)),
  };
}

export function figuresOf({ contestant, rounds }: Series): Figures {
  const busy = rounds.map((round) => round.busy);
  const alone = rounds.map((round) => round.alone);
  const turns = [...busy, ...alone];
  const served = contestant.kind !== 'floor';
  const failures: Record<string, number> = {};
  for (const [what, count] of turns.flatMap((turn) => Object.entries(turn.failures)))
    failures[what] = (failures[what] ?? 0) + count;
  return {
    name: nameOf(contestant),
    ...contestant,
    busy: loadFigures(busy, served),
    alone: loadFigures(alone, served),
    livez_ms: served ? latencyOf(busy.flatMap(({ livezMs }) => livezMs)) : null,
    memory_bytes: {
      peak_rss: Math.max(...turns.map(({ memory }) => memory.peakRss)),
      shared_once: Math.max(...turns.map(({ memory }) => memory.sharedOnce)),
    },
    requests: turns.reduce((sum, { done }) => sum + done, 0),
    failures,
    reconnections: served
      ? turns.reduce((sum, { connections }) => sum + connections, 0) - rounds.length * (CLIENTS + 1)
      : 0,
  };
}

/** thinlens over each of the others of its task: over the floor of its own precision, over the rivals as they are. */
export function ratiosOf(series: readonly Series[]): Ratio[] {
  return series
    .filter(({ contestant }) => contestant.kind === 'thinlens')
    .flatMap(({ contestant: { task, precision }, rounds }) =>
      series
        .filter(({ contestant: { kind, task: its, precision: theirs } }) =>
          its !== task ? false : kind === 'floor' ? theirs === precision : kind !== 'thinlens',
        )
        .flatMap((other) =>
          (Object.keys(MEASURES) as Measure[]).map((measure): Ratio => {
            const of = MEASURES[measure];
            const values = rounds.map((round, at) => of(round) / of(other.rounds[at] as Round));
            return { task, precision, over: other.contestant.kind, measure, ratio: spreadOf(values) };
          }),
        ),
    );
}

/** The requirements, for those that took part; of detection in bytes, or in the only precision that was measured. */
export function barsOf(figures: readonly Figures[], ratios: readonly Ratio[]): Bar[] {
  const own = figures.filter(({ kind }) => kind === 'thinlens');
  const detecting = own.filter(({ task }) => task === 'detection').map(({ precision }) => precision);
  const precision = detecting.includes('int8') ? 'int8' : 'fp32';
  const stand = precision === 'int8' ? 'int8' : 'fp32 (int8 was not measured)';
  const bars: Bar[] = [];
  const add = (
    measure: Measure,
    over: ContestantKind,
    what: string,
    sign: 'at least' | 'at most',
    limit: number,
  ) => {
    const found = ratios.find(
      (each) =>
        each.task === 'detection' &&
        each.precision === precision &&
        each.measure === measure &&
        each.over === over,
    );
    if (!found) return;
    const { median, lowest, highest } = found.ratio;
    bars.push({
      what: `${what}, detection, ${stand}`,
      wanted: `${sign} ${limit}`,
      found: `${median.toFixed(3)} (rounds ${lowest.toFixed(3)} to ${highest.toFixed(3)})`,
      met: sign === 'at least' ? median >= limit : median <= limit,
    });
  };
  add(
    'photos_per_cpu_second',
    'floor',
    `photos per CPU-second of all server processes over the floor's, ${CLIENTS} clients`,
    'at least',
    0.85,
  );
  add('one_client_p50', 'floor', "median latency of one client over the floor's", 'at most', 1.3);
  add(
    'photos_per_second',
    'tfjs',
    `photos per second over the TF.js rival's, ${CLIENTS} clients`,
    'at least',
    6,
  );
  if (own.length > 0) {
    const worst = Math.max(...own.map(({ livez_ms }) => livez_ms?.p99 ?? Number.NaN));
    const tutorial = figures.find(({ kind }) => kind === 'tutorial')?.livez_ms;
    const beside = tutorial ? `; the tutorial server's ${tutorial.p99.toFixed(1)} ms` : '';
    bars.push({
      what: `/livez p99 while ${CLIENTS} clients post photos, the worst of all tasks and precisions`,
      wanted: 'under 25 ms',
      found: `${worst.toFixed(1)} ms${beside}`,
      met: worst < 25,
    });
    const failed = own.reduce(
      (sum, { failures }) => sum + Object.values(failures).reduce((a, b) => a + b, 0),
      0,
    );
    const requests = own.reduce((sum, each) => sum + each.requests, 0);
    bars.push({
      what: 'requests to thinlens that failed',
      wanted: 'none',
      found: `${failed} of ${failed + requests}`,
      met: failed === 0,
    });
  }
  return bars;
}
