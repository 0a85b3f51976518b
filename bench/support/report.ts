import Table from 'cli-table3';
import type { BenchTask } from './plan.ts';
import { DESCRIPTIONS, KINDS } from './plan.ts';
import type { BenchResult, Figures, LoadFigures, Measure } from './result.ts';
import type { Latency, Spread } from './statistics.ts';

const PLAIN = { border: [], compact: true };
const MEASURE_TITLES: Readonly<Record<Measure, string>> = {
  photos_per_cpu_second: 'photos per CPU-second, 16 clients',
  photos_per_second: 'photos per second, 16 clients',
  one_client_p50: 'median latency, 1 client',
};

const ms = (value: number) => value.toFixed(1);
const quantiles = ({ p50, p95, p99 }: Latency) => [p50, p95, p99].map(ms);
const mebibytes = (bytes: number) => (bytes / 2 ** 20).toFixed(0);
const cpuMs = (figures: LoadFigures) =>
  [
    figures.cpu_seconds_per_photo,
    figures.listener_cpu_seconds_per_photo,
    figures.client_cpu_seconds_per_photo,
  ].map((spread) => (spread ? ms(spread.median * 1000) : '-'));

/** A result in words and tables. */
export function reportText(result: BenchResult): string {
  const { date, machine, photos, seconds, rounds, workers, clients, contestants } = result;
  const lines = [
    `${date}, ${machine.cpus} x ${machine.cpu}, Node ${machine.node}, ${photos.count} photos of ${photos.folder}`,
    `${rounds} rounds; in each, every contestant in turn, ${seconds} s with ${clients} clients and ${seconds} s with one; ${workers} worker processes`,
    'Latencies are of all requests, other figures medians of the rounds. CPU is milliseconds a photo of all processes of a contestant, of the one among them that listens, and apart from them of the load generator.',
    otherWork(result.other_work),
    '',
  ];
  for (const kind of KINDS) {
    const names = contestants.filter((each) => each.kind === kind).map(({ name }) => name);
    if (names.length > 0) lines.push(`${[...new Set(names)].join(', ')}: ${DESCRIPTIONS[kind]}.`);
  }
  for (const task of new Set(contestants.map((each) => each.task))) {
    lines.push('', ...taskLines(result, task));
  }
  if (result.bars.length > 0) lines.push('', 'Requirements');
  for (const { what, wanted, found, met } of result.bars)
    lines.push(`  ${met ? 'met    ' : 'NOT MET'}  ${what}: ${found}, wanted ${wanted}`);
  return lines.join('\n');
}

/** Above this share, wall-clock figures say as much about the other work as about the contestants. */
const MUCH_OTHER_WORK = 0.05;

function otherWork({ median, lowest, highest }: Spread): string {
  const [middle, low, high] = [median, lowest, highest].map((share) => (100 * share).toFixed(0));
  const warning =
    highest > MUCH_OTHER_WORK
      ? ': photos per second and latencies are those of a busy machine; CPU time and ratios hold better'
      : '';
  return `Other programs took ${middle} % of the machine (rounds ${low} to ${high} %)${warning}.`;
}

function taskLines({ contestants, ratios, clients }: BenchResult, task: BenchTask): string[] {
  const figures = contestants.filter((each) => each.task === task);
  const lines = [
    `${task}, ${clients} clients`,
    table(
      [
        '',
        'photos/s',
        'per CPU-s',
        'CPU ms',
        'listener',
        'client',
        'p50 ms',
        'p95',
        'p99',
        '/livez p50',
        'p95',
        'p99',
      ],
      figures.map(({ name, busy, livez_ms }) => [
        name,
        ms(busy.photos_per_second.median),
        ms(busy.photos_per_cpu_second.median),
        ...cpuMs(busy),
        ...quantiles(busy.latency_ms),
        ...(livez_ms ? quantiles(livez_ms) : ['-', '-', '-']),
      ]),
    ),
    '',
    `${task}, 1 client`,
    table(
      [
        '',
        'photos/s',
        'CPU ms',
        'listener',
        'client',
        'p50 ms',
        'p95',
        'p99',
        'peak MiB',
        'shared once',
        'failed',
      ],
      figures.map((each) => [
        each.name,
        ms(each.alone.photos_per_second.median),
        ...cpuMs(each.alone),
        ...quantiles(each.alone.latency_ms),
        mebibytes(each.memory_bytes.peak_rss),
        mebibytes(each.memory_bytes.shared_once),
        failuresOf(each),
      ]),
    ),
    '',
    `${task}, thinlens over others, median of the rounds' ratios (lowest to highest)`,
  ];
  for (const { precision, over, measure, ratio } of ratios.filter((each) => each.task === task)) {
    const { median, lowest, highest } = ratio;
    lines.push(
      `  ${precision} over ${over.padEnd(8)}  ${MEASURE_TITLES[measure].padEnd(33)}  ${median.toFixed(3)} (${lowest.toFixed(3)} to ${highest.toFixed(3)})`,
    );
  }
  for (const { name, failures, reconnections } of figures) {
    for (const [what, count] of Object.entries(failures))
      lines.push(`  ${name} failed: ${what}, ${count} times`);
    if (reconnections > 0) lines.push(`  ${name} closed connections: ${reconnections} had to be opened anew`);
  }
  return lines;
}

const failuresOf = ({ failures, requests }: Figures) => {
  const failed = Object.values(failures).reduce((a, b) => a + b, 0);
  return `${failed}/${requests + failed}`;
};

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const made = new Table({
    head: [...head],
    chars: { ...NO_LINES },
    style: { ...PLAIN, head: [], 'padding-left': 1, 'padding-right': 1 },
    colAligns: head.map((_, column) => (column === 0 ? 'left' : 'right')),
  });
  for (const row of rows) made.push([...row]);
  return made.toString();
}

const NO_LINES = {
  top: '',
  'top-mid': '',
  'top-left': '',
  'top-right': '',
  bottom: '',
  'bottom-mid': '',
  'bottom-left': '',
  'bottom-right': '',
  left: '',
  'left-mid': '',
  mid: '',
  'mid-mid': '',
  right: '',
  'right-mid': '',
  middle: '',
};
