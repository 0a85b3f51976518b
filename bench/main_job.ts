/**
 * The main job, measured: POST a photo, get boxes.
 *   node dist/bench/main_job.js [--images DIR] [--seconds N] [--rounds N] [--json]
 * Prints
 *  1. inference throughput of one and two workers (decoded pixels through the pool), processes and threads;
 *  2. photos per CPU-second of the whole server with 16 clients, beside bare sharp + onnxruntime-node doing the same decode,
 *     resize and run in as many processes; latency; /livez meanwhile; failures.
 * Everything that is compared is measured in turns within one run, and compared as a ratio.
 */
import { readdirSync } from 'node:fs';
import { cpus } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { spawnProcess, spawnThread } from '../server/inference/channel.ts';
import { WorkerPool } from '../server/inference/pool.ts';
import { readSettings } from '../server/settings.ts';
import { catalog } from '../server/zoo/catalog.ts';
import { ModelStore } from '../server/zoo/store.ts';
import { cpuSeconds, peakMemory } from './support/cpu.ts';
import { load, runBare, startBare, startThinlens } from './support/processes.ts';
import { median, quantile } from './support/statistics.ts';

const { values: options } = parseArgs({
  options: {
    images: { type: 'string', default: 'samples' },
    seconds: { type: 'string', default: '5' },
    rounds: { type: 'string', default: '5' },
    json: { type: 'boolean', default: false },
  },
});
const seconds = Number(options.seconds);
const rounds = Number(options.rounds);
const files = readdirSync(options.images)
  .filter((name) => /\.jpe?g$/.test(name))
  .sort()
  .map((name) => join(options.images, name));
if (files.length === 0) throw new Error(`${options.images} holds no .jpg`);
const WORKERS = 2;
const CLIENTS = 16;
const WARM_UP_SECONDS = 10;
/** Ten probes a second: enough for a p99, and their own cost does not count as the photos'. */
const PROBE_PAUSE_MS = 100;
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

async function measureServer() {
  const { path } = await new ModelStore(home).compiled(record as NonNullable<typeof record>);
  const server = await startThinlens(['--workers', String(WORKERS), '--log-level', 'info']);
  const bare = Array.from({ length: WORKERS }, startBare);
  const url = `${server.url}/v1/detect`;
  const bareTask = { model: path, files, seconds };
  const clientTask = { url, files, clients: CLIENTS, seconds, pauseMs: 0 };
  // What JavaScript runs is compiled while it runs: the first seconds are not what a server does all day.
  await load({ ...clientTask, seconds: WARM_UP_SECONDS });
  await Promise.all(bare.map((child) => runBare(child, { ...bareTask, seconds: WARM_UP_SECONDS })));

  const perCpuSecond = { server: [] as number[], bare: [] as number[] };
  const perSecond = { server: [] as number[], bare: [] as number[] };
  const latencies: number[] = [];
  const alone: number[] = [];
  const bareAlone: number[] = [];
  const livez: number[] = [];
  const failures: Record<string, number> = {};
  for (let round = 0; round < rounds; round++) {
    const floor = await Promise.all(bare.map((child) => runBare(child, bareTask)));
    const floorDone = floor.reduce((sum, { done }) => sum + done, 0);
    perCpuSecond.bare.push(floorDone / floor.reduce((sum, report) => sum + report.cpuSeconds, 0));
    perSecond.bare.push(floorDone / Math.max(...floor.map((report) => report.seconds)));

    const cpuBefore = cpuSeconds(server.pid);
    const [busy, probe] = await Promise.all([
      load(clientTask),
      load({ url: `${server.url}/livez`, files: [], clients: 1, seconds, pauseMs: PROBE_PAUSE_MS }),
    ]);
    perCpuSecond.server.push(busy.done / (cpuSeconds(server.pid) - cpuBefore));
    perSecond.server.push(busy.done / busy.seconds);
    latencies.push(...busy.latenciesMs);
    livez.push(...probe.latenciesMs);
    for (const report of [busy, probe]) {
      for (const [what, count] of Object.entries(report.failures))
        failures[what] = (failures[what] ?? 0) + count;
    }

    const [child] = bare;
    if (child) bareAlone.push(...(await runBare(child, { ...bareTask, seconds: seconds / 2 })).latenciesMs);
    alone.push(...(await load({ ...clientTask, clients: 1, seconds: seconds / 2 })).latenciesMs);
    say(
      `server round ${round + 1}: photos per CPU-second ${perCpuSecond.server.at(-1)?.toFixed(1)}, bare ${perCpuSecond.bare.at(-1)?.toFixed(1)}`,
    );
  }
  const memory = peakMemory(server.pid);
  await server.stop();
  for (const child of bare) child.kill();
  const milliseconds = (values: readonly number[]) => ({
    p50: quantile(values, 0.5),
    p95: quantile(values, 0.95),
    p99: quantile(values, 0.99),
  });
  return {
    clients: CLIENTS,
    workers: WORKERS,
    photos_per_cpu_second: { server: median(perCpuSecond.server), bare: median(perCpuSecond.bare) },
    server_over_bare: median(
      perCpuSecond.server.map((value, i) => value / (perCpuSecond.bare[i] ?? Number.NaN)),
    ),
    photos_per_second: { server: median(perSecond.server), bare: median(perSecond.bare) },
    latency_ms: milliseconds(latencies),
    one_client_latency_ms: { server: milliseconds(alone), bare: milliseconds(bareAlone) },
    livez_ms: milliseconds(livez),
    requests: latencies.length,
    failures,
    peak_memory_bytes: memory,
  };
}

const machine = { cpu: cpus()[0]?.model, cpus: cpus().length, node: process.version };
const result = {
  date: new Date().toISOString().slice(0, 10),
  machine,
  photos: { folder: options.images, count: files.length },
  pool: await measurePools(),
  server: await measureServer(),
};

if (options.json) {
  console.log(JSON.stringify(result, null, 2));
} else {
  const { pool, server } = result;
  const ms = ({ p50, p95, p99 }: { p50: number; p95: number; p99: number }) =>
    `p50 ${p50.toFixed(1)}  p95 ${p95.toFixed(1)}  p99 ${p99.toFixed(1)} ms`;
  console.log(
    `${result.date}, ${machine.cpus} x ${machine.cpu}, Node ${machine.node}, ${files.length} photos of ${options.images}`,
  );
  for (const [name, rate] of Object.entries(pool.photos_per_second))
    console.log(`  pool, ${name}: ${rate.toFixed(1)} photos/s`);
  console.log(`  two worker processes over one: ${pool.two_processes_over_one.toFixed(2)}`);
  console.log(`  two worker threads over one: ${pool.two_threads_over_one.toFixed(2)}`);
  console.log(`  two processes over two threads: ${pool.two_processes_over_two_threads.toFixed(2)}`);
  console.log(
    `  photos per CPU-second, ${server.clients} clients: ${server.photos_per_cpu_second.server.toFixed(1)}, bare ${server.photos_per_cpu_second.bare.toFixed(1)}, ratio ${server.server_over_bare.toFixed(3)}`,
  );
  console.log(
    `  photos/s: ${server.photos_per_second.server.toFixed(1)}, bare ${server.photos_per_second.bare.toFixed(1)}`,
  );
  console.log(`  latency, ${server.clients} clients: ${ms(server.latency_ms)}`);
  console.log(
    `  latency, 1 client: ${ms(server.one_client_latency_ms.server)}; bare ${ms(server.one_client_latency_ms.bare)}`,
  );
  console.log(`  /livez meanwhile: ${ms(server.livez_ms)}`);
  console.log(
    `  requests ${server.requests}, failures ${JSON.stringify(server.failures)}, peak memory ${(server.peak_memory_bytes / 2 ** 20).toFixed(0)} MiB`,
  );
}
process.exit(0);
