import type { Machine } from './machine.ts';
import type { ProcessMemory } from './process_tree.ts';
import { median } from './statistics.ts';

/** Of the memory after the warm-up, how much more there may be at the end. */
export const MOST_GROWTH = 0.05;
/** Figures at each end that a median is taken of. */
const AT_EACH_END = 5;
/** Lines of the printed series. */
const MOST_LINES = 11;

/** Memory after so many requests, in bytes. */
export interface Sample {
  readonly requests: number;
  readonly rss: number;
  readonly pss: number;
  readonly processes: readonly ProcessMemory[];
}

export function sampleOf(requests: number, processes: readonly ProcessMemory[]): Sample {
  const sum = (of: (process: ProcessMemory) => number) =>
    processes.reduce((total, process) => total + of(process), 0);
  return { requests, rss: sum(({ rss }) => rss), pss: sum(({ pss }) => pss), processes };
}

/** From the first figures to the last ones. */
export interface Change {
  readonly first: number;
  readonly last: number;
  readonly bytes: number;
  /** Of the first. */
  readonly ratio: number;
}

export interface Growth {
  /** All processes together. */
  readonly rss: Change;
  readonly pss: Change;
  readonly processes: readonly { readonly pid: number; readonly rss: Change; readonly pss: Change }[];
  /** Whether a process went or came meanwhile: then the figures are not of the same processes, and no growth is told by them. */
  readonly replaced: boolean;
}

/** What grew over a series of at least two samples, by the medians of up to five at each end that do not overlap. */
export function growthOf(series: readonly Sample[]): Growth {
  const ends = Math.max(1, Math.min(AT_EACH_END, Math.floor(series.length / 2)));
  const change = (of: (sample: Sample) => number): Change => {
    const first = median(series.slice(0, ends).map(of));
    const last = median(series.slice(-ends).map(of));
    return { first, last, bytes: last - first, ratio: last / first - 1 };
  };
  const pidsOf = ({ processes }: Sample) => processes.map(({ pid }) => pid);
  const pids = [...new Set(series.flatMap(pidsOf))];
  const inAll = pids.filter((pid) => series.every((sample) => pidsOf(sample).includes(pid)));
  const within = (pid: number, of: (process: ProcessMemory) => number) =>
    change(({ processes }) => {
      const found = processes.find((process) => process.pid === pid);
      return found ? of(found) : Number.NaN;
    });
  return {
    rss: change(({ rss }) => rss),
    pss: change(({ pss }) => pss),
    processes: inAll.map((pid) => ({
      pid,
      rss: within(pid, ({ rss }) => rss),
      pss: within(pid, ({ pss }) => pss),
    })),
    replaced: inAll.length < pids.length,
  };
}

/** All that is said of a soak. */
export interface SoakResult {
  readonly date: string;
  readonly machine: Machine;
  readonly photos: { readonly folder: string; readonly count: number };
  readonly requests: number;
  readonly warm_up: number;
  readonly clients: number;
  readonly workers: number;
  readonly precision: string;
  readonly segment_every: number;
  readonly failures: Readonly<Record<string, number>>;
  readonly growth: Growth;
  readonly met: boolean;
  readonly series: readonly Sample[];
}

const mebibytes = (bytes: number) => (bytes / 2 ** 20).toFixed(1);
const changeText = ({ first, last, bytes, ratio }: Change) => {
  const sign = bytes < 0 ? '' : '+';
  return `${mebibytes(first)} -> ${mebibytes(last)} MiB (${sign}${mebibytes(bytes)} MiB, ${sign}${(100 * ratio).toFixed(1)} %)`;
};

export function growthText(result: SoakResult): string {
  const { date, machine, photos, requests, warm_up, clients, workers, precision, segment_every, series } =
    result;
  const { rss, pss, processes, replaced } = result.growth;
  const every = Math.max(1, Math.ceil((series.length - 1) / (MOST_LINES - 1)));
  const shown = series.filter((_, at) => at % every === 0 || at === series.length - 1);
  const failures = Object.entries(result.failures).map(([what, times]) => `${what} ${times} times`);
  return [
    `${date}, ${machine.cpus} x ${machine.cpu}, Node ${machine.node}, ${photos.count} photos of ${photos.folder}`,
    `${requests} requests by ${clients} clients after ${warm_up} of warm-up, every ${segment_every}th for masks; ${workers} workers, precision ${precision}`,
    `failed: ${failures.join(', ') || 'none'}`,
    '',
    'requests  resident MiB  PSS MiB',
    ...shown.map((sample) =>
      [
        String(sample.requests).padStart(8),
        mebibytes(sample.rss).padStart(12),
        mebibytes(sample.pss).padStart(7),
      ].join('  '),
    ),
    '',
    `resident  ${changeText(rss)}`,
    `PSS       ${changeText(pss)}`,
    ...processes.map(
      (process, at) =>
        `  ${at === 0 ? 'server' : `worker ${at}`}, resident ${changeText(process.rss)}, PSS ${changeText(process.pss)}`,
    ),
    ...(replaced ? ['A process was replaced meanwhile: the figures are not of the same ones.'] : []),
    `${result.met ? 'met' : 'NOT MET'}: resident memory grows by less than ${100 * MOST_GROWTH} %, and no request fails`,
  ].join('\n');
}
