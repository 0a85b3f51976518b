/**
 * The two profiles of `thinlens serve`: how long one client waits for a photo, and how many photos a second 16 clients get.
 *   node dist/bench/profiles.js [--images DIR] [--model NAME] [--seconds N] [--rounds N] [--json]
 * Both servers run at the same time and are loaded in turns within every round; ratios are of the same round, and medians over the rounds.
 */
import { readdirSync } from 'node:fs';
import { cpus } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { usableCpus } from '../server/inference/cpus.ts';
import { PROFILES, shareCpus } from '../server/inference/profiles.ts';
import { catalog } from '../server/zoo/catalog.ts';
import { cpuSeconds } from './support/process_tree.ts';
import { startClient, startThinlens } from './support/processes.ts';
import { median, quantile } from './support/statistics.ts';

const { values: options } = parseArgs({
  options: {
    images: { type: 'string', default: 'samples' },
    model: { type: 'string', default: 'ssdlite_mobilenet_v2_coco' },
    seconds: { type: 'string', default: '5' },
    rounds: { type: 'string', default: '5' },
    json: { type: 'boolean', default: false },
  },
});
const seconds = Number(options.seconds);
const rounds = Number(options.rounds);
const record = catalog.find(({ name }) => name === options.model);
if (!record) throw new Error(`there is no model '${options.model}'`);
const files = readdirSync(options.images)
  .filter((name) => /\.jpe?g$/.test(name))
  .sort()
  .map((name) => join(options.images, name));
if (files.length === 0) throw new Error(`${options.images} holds no .jpg`);
const CLIENTS = 16;
const WARM_UP_SECONDS = 5;

const generator = startClient();
const servers = [];
for (const profile of PROFILES) {
  const server = await startThinlens(profile, ['--profile', profile, '--models', record.name]);
  servers.push({
    profile,
    server,
    task: {
      origin: server.origin,
      paths: [`/v1/${record.task === 'detection' ? 'detect' : 'segment'}`],
      body: 'raw' as const,
      files,
      until: { seconds },
      pauseMs: 0,
    },
    alone: [] as number[],
    alonePerRound: [] as number[],
    perSecond: [] as number[],
    perCpuSecond: [] as number[],
    failures: 0,
  });
}
try {
  for (const { task } of servers) {
    await generator.run({ ...task, clients: CLIENTS, until: { seconds: WARM_UP_SECONDS } });
  }
  for (let round = 0; round < rounds; round++) {
    for (const measured of servers) {
      const { task, server } = measured;
      const { latenciesMs } = await generator.run({ ...task, clients: 1 });
      measured.alone.push(...latenciesMs);
      measured.alonePerRound.push(median(latenciesMs));
      const before = cpuSeconds(server.pid);
      const busy = await generator.run({ ...task, clients: CLIENTS });
      measured.perSecond.push(busy.done / busy.seconds);
      measured.perCpuSecond.push(busy.done / (cpuSeconds(server.pid) - before));
      measured.failures += Object.values(busy.failures).reduce((sum, count) => sum + count, 0);
    }
    console.error(`round ${round + 1} of ${rounds}`);
  }
} finally {
  for (const { server } of servers) await server.stop();
  await generator.stop();
}

const [throughput, latency] = servers;
const ratio = (key: 'alonePerRound' | 'perSecond' | 'perCpuSecond') =>
  median((latency?.[key] ?? []).map((value, round) => value / (throughput?.[key][round] ?? Number.NaN)));
const result = {
  date: new Date().toISOString().slice(0, 10),
  machine: { cpu: cpus()[0]?.model, cpus: cpus().length, node: process.version },
  model: record.name,
  profiles: servers.map(({ profile, alone, perSecond, perCpuSecond, failures }) => ({
    profile,
    ...shareCpus(profile, usableCpus()),
    one_client_ms: { p50: quantile(alone, 0.5), p95: quantile(alone, 0.95) },
    photos_per_second: median(perSecond),
    photos_per_cpu_second: median(perCpuSecond),
    failures,
  })),
  latency_over_throughput: {
    one_client_p50: ratio('alonePerRound'),
    photos_per_second: ratio('perSecond'),
    photos_per_cpu_second: ratio('perCpuSecond'),
  },
};
if (options.json) {
  console.log(JSON.stringify(result, null, 2));
} else {
  const { date, machine, model, latency_over_throughput: over } = result;
  console.log(
    `${date}, ${machine.cpus} x ${machine.cpu}, Node ${machine.node}, ${model}, ${files.length} photos of ${options.images}`,
  );
  for (const { profile, workers, threads, one_client_ms, ...figures } of result.profiles) {
    const { photos_per_second, photos_per_cpu_second, failures } = figures;
    console.log(
      `  ${profile} (${workers} x ${threads}): one client p50 ${one_client_ms.p50.toFixed(1)} p95 ${one_client_ms.p95.toFixed(1)} ms; ${CLIENTS} clients ${photos_per_second.toFixed(1)} photos/s, ${photos_per_cpu_second.toFixed(1)} per CPU-second, ${failures} failures`,
    );
  }
  console.log(
    `  latency over throughput: p50 ${over.one_client_p50.toFixed(2)}, photos/s ${over.photos_per_second.toFixed(2)}, per CPU-second ${over.photos_per_cpu_second.toFixed(2)}`,
  );
}
