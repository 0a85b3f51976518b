/**
 * Worker processes against worker threads: photos a second of decoded pixels through the pool, one worker and two, always
 * with work to do.
 *   node dist/bench/workers.js [--seconds N] [--rounds N] [--json]
 * The pools take turns within one run, and are compared as ratios of the same round.
 */
import { cpus } from 'node:os';
import { parseArgs } from 'node:util';
import { spawnProcess, spawnThread } from '../server/inference/channel.ts';
import { WorkerPool } from '../server/inference/pool.ts';
import { readSettings } from '../server/settings.ts';
import { catalog } from '../server/zoo/catalog.ts';
import { median } from './support/statistics.ts';

const { values: options } = parseArgs({
  options: {
    seconds: { type: 'string', default: '5' },
    rounds: { type: 'string', default: '5' },
    json: { type: 'boolean', default: false },
  },
});
const seconds = Number(options.seconds);
const rounds = Number(options.rounds);
const [record] = catalog;
if (!record) throw new Error('the catalog is empty');
const { home } = readSettings({}, process.env);
const say = (...words: unknown[]) => console.error(...words);

/** Photos a second through a pool, when it always has something to do. */
async function throughput(pool: WorkerPool, workers: number): Promise<number> {
  const { width, height } = record?.input ?? { width: 0, height: 0 };
  const pixels = new Uint8Array(width * height * 3).map((_, i) => (i * 7919) % 256);
  const job = {
    task: 'detect' as const,
    model: record?.name ?? '',
    precision: 'fp32' as const,
    photo: { kind: 'pixels' as const, bytes: pixels },
    options: { scoreThreshold: 0.3, iouThreshold: 0.6, maxDetections: 100, agnosticNms: false },
    pixels: 0,
  };
  const started = performance.now();
  let done = 0;
  await Promise.all(
    Array.from({ length: workers * 2 }, async () => {
      while (performance.now() - started < seconds * 1000) {
        await Promise.all(pool.submit([job]));
        done++;
      }
    }),
  );
  return done / ((performance.now() - started) / 1000);
}

async function measurePools() {
  const queue = { images: 1000, bytes: 1e12, pixels: 1e12 };
  const loadMessage = {
    models: record ? [record] : [],
    home,
    threads: 1,
    precision: 'fp32' as const,
    limits: { maxPixels: 50e6 },
  };
  const variants = [
    { name: 'process x1', workers: 1, spawn: spawnProcess },
    { name: 'process x2', workers: 2, spawn: spawnProcess },
    { name: 'thread x1', workers: 1, spawn: spawnThread },
    { name: 'thread x2', workers: 2, spawn: spawnThread },
  ];
  const pools = variants.map(
    ({ workers, spawn }) =>
      new WorkerPool({ workers, spawn, queue, jobTimeoutMs: 60_000, load: loadMessage }),
  );
  for (const pool of pools) await pool.start();
  const rates = variants.map((): number[] => []);
  for (let round = 0; round < rounds; round++) {
    for (const [index, pool] of pools.entries())
      rates[index]?.push(await throughput(pool, variants[index]?.workers ?? 1));
    say(
      `pool round ${round + 1}:`,
      rates.map((values, i) => `${variants[i]?.name} ${values.at(-1)?.toFixed(1)}/s`).join(', '),
    );
  }
  for (const pool of pools) pool.close();
  const ratio = (a: number, b: number) =>
    median((rates[a] ?? []).map((value, i) => value / (rates[b]?.[i] ?? Number.NaN)));
  return {
    photos_per_second: Object.fromEntries(variants.map(({ name }, i) => [name, median(rates[i] ?? [])])),
    two_processes_over_one: ratio(1, 0),
    two_threads_over_one: ratio(3, 2),
    two_processes_over_two_threads: ratio(1, 3),
  };
}

const machine = { cpu: cpus()[0]?.model, cpus: cpus().length, node: process.version };
const result = {
  date: new Date().toISOString().slice(0, 10),
  machine,
  pool: await measurePools(),
};

if (options.json) {
  console.log(JSON.stringify(result, null, 2));
} else {
  const { pool } = result;
  console.log(`${result.date}, ${machine.cpus} x ${machine.cpu}, Node ${machine.node}`);
  for (const [name, rate] of Object.entries(pool.photos_per_second))
    console.log(`  pool, ${name}: ${rate.toFixed(1)} photos/s`);
  console.log(`  two worker processes over one: ${pool.two_processes_over_one.toFixed(2)}`);
  console.log(`  two worker threads over one: ${pool.two_threads_over_one.toFixed(2)}`);
  console.log(`  two processes over two threads: ${pool.two_processes_over_two_threads.toFixed(2)}`);
}
process.exit(0);
