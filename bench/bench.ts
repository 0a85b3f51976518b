/**
 * thinlens beside what else could answer photos, on the same photos: the floor (sharp and onnxruntime-node in a plain loop),
 * TensorFlow.js behind express, and the server that a tutorial would have one write. All are started, warmed up, and measured
 * in turns within one run; what is compared is compared within a round, as a ratio.
 *   npm run bench -- [options]          --help lists them
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { readSettings, SettingError } from '../server/settings.ts';
import { ModelUnavailableError } from '../server/zoo/weights.ts';
import { chart } from './chart.ts';
import type { Arena, Running, Turn } from './support/contestants.ts';
import { start } from './support/contestants.ts';
import { OtherWork, thisMachine } from './support/machine.ts';
import type { BenchOptions } from './support/options.ts';
import { BENCH_USAGE, OptionError, parseBenchOptions, photosIn } from './support/options.ts';
import type { BenchTask } from './support/plan.ts';
import { contestantsOf, nameOf, turnsOf } from './support/plan.ts';
import { ProcessError, startClient } from './support/processes.ts';
import { reportText } from './support/report.ts';
import type { BenchResult, Round, Series } from './support/result.ts';
import { barsOf, CLIENTS, figuresOf, ratiosOf } from './support/result.ts';
import { spreadOf } from './support/statistics.ts';

interface Entrant {
  readonly series: Series & { readonly rounds: Round[] };
  readonly running: Running;
}

/** One turn. @throws ProcessError where nothing was answered: no figure could be told from it. */
async function turn({ series, running }: Entrant, clients: number, seconds: number): Promise<Turn> {
  const taken = await running.turn(clients, seconds);
  if (taken.done > 0) return taken;
  const failures = Object.entries(taken.failures).map(([what, times]) => `${what} ${times} times`);
  throw new ProcessError(
    `${nameOf(series.contestant)} answered no photo of ${clients} clients in ${seconds} s: ${failures.join(', ') || 'nothing came back'}`,
  );
}

const say = (text: string) => console.error(text);

/** All rounds of a task. Its contestants are started before the first and stopped after the last. */
async function measure(
  task: BenchTask,
  options: BenchOptions,
  arena: Arena,
  others: number[],
): Promise<Series[]> {
  const { seconds, rounds, warmUp } = options;
  const entrants: Entrant[] = [];
  for (const contestant of contestantsOf(task, options.precisions, options.only)) {
    say(`${task}: starting ${nameOf(contestant)}`);
    entrants.push({ series: { contestant, rounds: [] }, running: await start(contestant, arena) });
  }
  // What JavaScript runs is compiled while it runs: the first seconds are not what a server does all day.
  for (const entrant of entrants) {
    say(`${task}: warming up ${nameOf(entrant.series.contestant)}`);
    await turn(entrant, CLIENTS, warmUp);
  }
  const other = new OtherWork();
  for (let round = 0; round < rounds; round++) {
    other.begin();
    for (const entrant of turnsOf(entrants, round)) {
      const busy = await turn(entrant, CLIENTS, seconds);
      const alone = await turn(entrant, 1, seconds);
      const { series } = entrant;
      series.rounds.push({ busy, alone });
      say(
        `${task}, round ${round + 1} of ${rounds}: ${nameOf(series.contestant)} ${(busy.done / busy.seconds).toFixed(1)} photos/s, ${(busy.done / busy.cpuSeconds).toFixed(1)} a CPU-second`,
      );
    }
    others.push(other.share());
  }
  await Promise.all(entrants.map(({ running }) => running.stop()));
  return entrants.map(({ series }) => series);
}

async function run(options: BenchOptions): Promise<BenchResult> {
  const { images, workers, seconds, rounds } = options;
  const files = photosIn(images);
  const { home } = readSettings({}, process.env);
  const arena = { files, workers, home, generator: startClient(), prober: startClient() };
  const series: Series[] = [];
  const others: number[] = [];
  for (const task of options.tasks) series.push(...(await measure(task, options, arena, others)));
  if (series.length === 0) throw new OptionError(`--only ${options.only} leaves nobody for ${options.tasks}`);
  await Promise.all([arena.generator.stop(), arena.prober.stop()]);
  const contestants = series.map(figuresOf);
  const ratios = ratiosOf(series);
  return {
    date: new Date().toISOString().slice(0, 10),
    machine: thisMachine(),
    other_work: spreadOf(others),
    photos: { folder: images, count: files.length },
    seconds,
    rounds,
    workers,
    clients: CLIENTS,
    contestants,
    ratios,
    bars: barsOf(contestants, ratios),
  };
}

function write(file: string, text: string): void {
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, text);
  say(`written: ${file}`);
}

try {
  const options = parseBenchOptions(process.argv.slice(2));
  if (options === 'help') {
    console.log(BENCH_USAGE);
  } else {
    const result = options.from
      ? (JSON.parse(readFileSync(options.from, 'utf8')) as BenchResult)
      : await run(options);
    console.log(reportText(result));
    if (options.json) write(options.json, `${JSON.stringify(result, null, 2)}\n`);
    if (options.svg) write(options.svg, chart(result));
  }
  process.exit(0);
} catch (error) {
  const expected = [OptionError, ProcessError, SettingError, ModelUnavailableError].some(
    (kind) => error instanceof kind,
  );
  console.error(expected ? `bench: ${(error as Error).message}` : error);
  process.exit(1);
}
