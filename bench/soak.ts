/**
 * Whether the server's memory grows: sends many requests with 16 clients to `thinlens serve`, and looks at what its processes
 * have resident after each part of them.
 *   npm run bench:soak -- [options]          --help lists them
 * Between two parts nothing is asked for, so that what is seen is what is kept. Growth is from the first figures after the
 * warm-up to the last ones, each the median of a few: garbage collection makes single ones go up and down.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { usableCpus } from '../server/inference/cpus.ts';
import { readSettings, SETTINGS, SettingError } from '../server/settings.ts';
import { modelFor } from './support/contestants.ts';
import { growthOf, growthText, MOST_GROWTH, type Sample, sampleOf } from './support/growth.ts';
import { thisMachine } from './support/machine.ts';
import { count, OptionError, parsed, photosIn } from './support/options.ts';
import { treeMemory } from './support/process_tree.ts';
import { ProcessError, startClient, startThinlens } from './support/processes.ts';

const USAGE = `npm run bench:soak -- [options]
  --requests N       requests after the warm-up (50000)
  --warm-up N        requests before memory is looked at (10000): heaps take some thousand photos to settle
  --clients N        clients at once (16)
  --segment-every N  every Nth request is for masks, the others for boxes (50)
  --samples N        how often memory is looked at (50)
  --images DIR       folder of .jpg photos (samples)
  --workers N        worker processes (CPUs that may be used)
  --precision NAME   auto, fp32 or int8 (auto)
  --json FILE        write all figures there
  --help`;

/** Requests in turn, the last of each round for masks. */
function pathsFor(segmentEvery: number): string[] {
  return Array.from({ length: segmentEvery }, (_, at) =>
    at === segmentEvery - 1 ? '/v1/segment' : '/v1/detect',
  );
}

async function soak(args: readonly string[]) {
  const values = parsed(args, {
    requests: { type: 'string', default: '50000' },
    'warm-up': { type: 'string', default: '10000' },
    clients: { type: 'string', default: '16' },
    'segment-every': { type: 'string', default: '50' },
    samples: { type: 'string', default: '50' },
    images: { type: 'string', default: 'samples' },
    workers: { type: 'string', default: String(usableCpus()) },
    precision: { type: 'string', default: SETTINGS.precision.default },
    json: { type: 'string' },
    help: { type: 'boolean', default: false },
  });
  if (values.help) return console.log(USAGE);
  const requests = count('requests', values.requests);
  const warmUp = count('warm-up', values['warm-up']);
  const clients = count('clients', values.clients);
  const samples = Math.min(count('samples', values.samples), requests);
  const workers = count('workers', values.workers);
  const paths = pathsFor(count('segment-every', values['segment-every']));
  const files = photosIn(values.images);
  const { home } = readSettings({}, process.env);
  const models = [modelFor('detection'), modelFor('segmentation')].map(({ name }) => name);

  const server = await startThinlens('thinlens', [
    ...[
      '--home',
      home,
      '--workers',
      String(workers),
      '--models',
      models.join(),
      '--precision',
      values.precision,
    ],
  ]);
  const generator = startClient();
  const failures: Record<string, number> = {};
  const send = async (some: number) => {
    const report = await generator.run({
      origin: server.origin,
      paths,
      files,
      body: 'raw',
      clients,
      until: { requests: some },
      pauseMs: 0,
    });
    for (const [what, times] of Object.entries(report.failures))
      failures[what] = (failures[what] ?? 0) + times;
  };
  const series: Sample[] = [];
  const look = (sent: number) => {
    const sample = sampleOf(sent, treeMemory(server.pid));
    series.push(sample);
    const { rss, pss, processes } = sample;
    console.error(
      `${sent} of ${requests} requests: ${mebibytes(rss)} MiB resident in ${processes.length} processes, PSS ${mebibytes(pss)} MiB`,
    );
  };
  console.error(`warming up with ${warmUp} requests`);
  await send(warmUp);
  look(0);
  for (let sample = 1, sent = 0; sample <= samples; sample++) {
    const until = Math.round((requests * sample) / samples);
    await send(until - sent);
    sent = until;
    look(sent);
  }
  await generator.stop();
  await server.stop();

  const growth = growthOf(series);
  const result = {
    date: new Date().toISOString().slice(0, 10),
    machine: thisMachine(),
    photos: { folder: values.images, count: files.length },
    requests,
    warm_up: warmUp,
    clients,
    workers,
    precision: values.precision,
    segment_every: paths.length,
    models,
    failures,
    growth,
    wanted: { growth_under: MOST_GROWTH },
    met: growth.rss.ratio < MOST_GROWTH && !growth.replaced && Object.keys(failures).length === 0,
    series,
  };
  console.log(growthText(result));
  if (values.json) {
    mkdirSync(dirname(values.json), { recursive: true });
    writeFileSync(values.json, `${JSON.stringify(result, null, 2)}\n`);
    console.error(`written: ${values.json}`);
  }
}

const mebibytes = (bytes: number) => (bytes / 2 ** 20).toFixed(1);

try {
  await soak(process.argv.slice(2));
  process.exit(0);
} catch (error) {
  const expected = [OptionError, ProcessError, SettingError].some((kind) => error instanceof kind);
  console.error(expected ? `soak: ${(error as Error).message}` : error);
  process.exit(1);
}
