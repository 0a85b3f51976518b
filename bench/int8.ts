/**
 * What a network gains on bytes: CPU time of the catalogued models in single precision and quantised, and how far the outputs are apart.
 *   node dist/bench/int8.js [--model PART_OF_NAME] [--rounds N] [--estimator NAME] [--json]
 * Calibrated on the photos of samples/, for a quick look. Both forms run on one thread with the session options of the server, in
 * turns; a round's time is the least of a few runs, because others' work only ever adds, and ratios are of the same round.
 */

import { readdir, readFile } from 'node:fs/promises';
import { cpus } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import type { Graph } from '../models/graph/graph.ts';
import { lower } from '../models/graph/lowering.ts';
import { toOnnx } from '../models/graph/onnx/writer.ts';
import { Calibration } from '../models/graph/quantization/calibration.ts';
import type { RangeEstimator } from '../models/graph/quantization/estimators.ts';
import { leastSquares, minMax, percentile } from '../models/graph/quantization/estimators.ts';
import { toQuantizedOnnx } from '../models/graph/quantization/onnx.ts';
import { quantize } from '../models/graph/quantization/quantize.ts';
import type { Weights } from '../models/graph/tensor.ts';
import { decodeImage } from '../server/image/decode.ts';
import { InferenceSession, Tensor } from '../server/inference/onnx_runtime.ts';
import { readSettings } from '../server/settings.ts';
import { catalog } from '../server/zoo/catalog.ts';
import { networkOf } from '../server/zoo/network.ts';
import { loadWeights } from '../server/zoo/weights.ts';
import { median } from './support/statistics.ts';

const ESTIMATORS: Readonly<Record<string, RangeEstimator>> = {
  leastSquares,
  minMax,
  percentile: percentile(99.99),
};
const { values: options } = parseArgs({
  options: {
    model: { type: 'string', default: '' },
    rounds: { type: 'string', default: '40' },
    estimator: { type: 'string', default: 'percentile' },
    json: { type: 'boolean', default: false },
  },
});
const estimate = ESTIMATORS[options.estimator];
if (!estimate) {
  throw new Error(`there is no estimator '${options.estimator}': ${Object.keys(ESTIMATORS).join(', ')}`);
}
const rounds = Number(options.rounds);
const RUNS_A_ROUND = 3;
const WARM_UP_RUNS = 5;
const SESSION: InferenceSession.SessionOptions = {
  executionProviders: ['cpu'],
  intraOpNumThreads: 1,
  interOpNumThreads: 1,
  graphOptimizationLevel: 'all',
  extra: { session: { intra_op: { allow_spinning: '0' } } },
};
const SAMPLES = fileURLToPath(new URL('../../samples/', import.meta.url));

type Feeds = Record<string, Tensor>;

/** The photos of samples/ at the network's size. */
async function photosFor({ width, height }: { width: number; height: number }): Promise<Feeds[]> {
  const names = (await readdir(SAMPLES)).filter((name) => name.endsWith('.jpg')).sort();
  return Promise.all(
    names.map(async (name) => {
      const bytes = await readFile(join(SAMPLES, name));
      const { pixels } = await decodeImage(bytes, { width, height, maxPixels: 100_000_000 });
      return { pixels: new Tensor('uint8', pixels, [1, height, width, 3]) };
    }),
  );
}

async function calibrated(
  graph: Graph,
  weights: Weights,
  photos: readonly Feeds[],
  estimate: RangeEstimator,
) {
  const calibration = new Calibration(graph);
  const session = await InferenceSession.create(toOnnx(calibration.graph, weights), SESSION);
  for (const photo of photos) {
    for (const [name, { data }] of Object.entries(await session.run(photo))) {
      calibration.observe(name, data as Float32Array);
    }
  }
  await session.release();
  return calibration.calibrated(estimate);
}

/** CPU milliseconds of one run. */
async function timeOf(session: InferenceSession, feeds: Feeds): Promise<number> {
  const before = process.cpuUsage();
  await session.run(feeds);
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1000;
}

/** Signal to noise of the quantised outputs, in decibels, over all photos. */
async function noiseOf(exact: InferenceSession, quantized: InferenceSession, photos: readonly Feeds[]) {
  const sums = new Map<string, { signal: number; noise: number }>();
  for (const photo of photos) {
    const expected = await exact.run(photo);
    const actual = await quantized.run(photo);
    for (const [name, { data }] of Object.entries(expected)) {
      const sum = sums.get(name) ?? { signal: 0, noise: 0 };
      const found = actual[name]?.data as Float32Array;
      (data as Float32Array).forEach((value, i) => {
        sum.signal += value ** 2;
        sum.noise += (value - (found[i] as number)) ** 2;
      });
      sums.set(name, sum);
    }
  }
  return Object.fromEntries(
    [...sums].map(([name, { signal, noise }]) => [name, 10 * Math.log10(signal / noise)]),
  );
}

async function measure(record: (typeof catalog)[number], estimate: RangeEstimator) {
  const { home } = readSettings({}, process.env);
  const { graph, weights: lowered } = lower(networkOf(record).graph);
  const weights = lowered(await loadWeights(record, home));
  const photos = await photosFor(record.input);
  const files = {
    fp32: toOnnx(graph, weights),
    int8: toQuantizedOnnx(quantize(graph, weights, await calibrated(graph, weights, photos, estimate))),
  };
  const [photo] = photos;
  if (!photo) throw new Error(`there is no photo in ${SAMPLES}`);
  const fp32 = { session: await InferenceSession.create(files.fp32, SESSION), times: [] as number[] };
  const int8 = { session: await InferenceSession.create(files.int8, SESSION), times: [] as number[] };
  for (const { session } of [fp32, int8]) {
    for (let i = 0; i < WARM_UP_RUNS; i++) await session.run(photo);
  }
  for (let round = 0; round < rounds; round++) {
    for (const { session, times } of [fp32, int8]) {
      const runs: number[] = [];
      for (let i = 0; i < RUNS_A_ROUND; i++) runs.push(await timeOf(session, photo));
      times.push(Math.min(...runs));
    }
  }
  const decibels = await noiseOf(fp32.session, int8.session, photos);
  await fp32.session.release();
  await int8.session.release();
  return {
    model: record.name,
    fp32_ms: median(fp32.times),
    int8_ms: median(int8.times),
    ratio: median(fp32.times.map((time, round) => time / (int8.times[round] as number))),
    fp32_bytes: files.fp32.length,
    int8_bytes: files.int8.length,
    decibels,
  };
}

const result = {
  date: new Date().toISOString().slice(0, 10),
  machine: { cpu: cpus()[0]?.model, cpus: cpus().length, node: process.version },
  rounds,
  estimator: options.estimator,
  models: [] as Awaited<ReturnType<typeof measure>>[],
};
for (const record of catalog) {
  if (!record.name.includes(options.model)) continue;
  console.error(`measuring ${record.name}`);
  result.models.push(await measure(record, estimate));
}

if (options.json) {
  console.log(JSON.stringify(result, null, 2));
} else {
  const { machine } = result;
  console.log(`${result.date}, ${machine.cpus} x ${machine.cpu}, Node ${machine.node}, one thread`);
  for (const { model, fp32_ms, int8_ms, ratio, fp32_bytes, int8_bytes, decibels } of result.models) {
    const megabytes = (bytes: number) => (bytes / 1e6).toFixed(1);
    console.log(
      `${model.padEnd(28)} fp32 ${fp32_ms.toFixed(2)} ms  int8 ${int8_ms.toFixed(2)} ms  ${ratio.toFixed(2)} times as fast  ${megabytes(fp32_bytes)} MB  ${megabytes(int8_bytes)} MB`,
    );
    for (const [name, value] of Object.entries(decibels)) console.log(`  ${name} ${value.toFixed(1)} dB`);
  }
}
