/**
 * Whether a network gains by being shown several photos at a time: CPU time and wall time of one photo in batches of 1, 2, 4 and 8
 * through one session, in single precision and quantised, on one thread and on two.
 *   node dist/bench/batching.js [--model PART_OF_NAME] [--rounds N] [--json]
 * All sizes are run in turns within every round; ratios to single photos are of the same round, and medians over the rounds. Calibrated
 * on blank images: what the scales are does not matter to the time.
 */
import { cpus } from 'node:os';
import { parseArgs } from 'node:util';
import { lower } from '../models/graph/lowering.ts';
import { toOnnx } from '../models/graph/onnx/writer.ts';
import { Calibration } from '../models/graph/quantization/calibration.ts';
import { minMax } from '../models/graph/quantization/estimators.ts';
import { toQuantizedOnnx } from '../models/graph/quantization/onnx.ts';
import { quantize } from '../models/graph/quantization/quantize.ts';
import { InferenceSession, Tensor } from '../server/inference/onnx_runtime.ts';
import { readSettings } from '../server/settings.ts';
import { catalog } from '../server/zoo/catalog.ts';
import { networkOf } from '../server/zoo/network.ts';
import { loadWeights } from '../server/zoo/weights.ts';
import { median } from './support/statistics.ts';

const { values: options } = parseArgs({
  options: {
    model: { type: 'string', default: 'mobilenet_v2' },
    rounds: { type: 'string', default: '15' },
    json: { type: 'boolean', default: false },
  },
});
const rounds = Number(options.rounds);
const { home } = readSettings({}, process.env);
const BATCHES = [1, 2, 4, 8];
const THREADS = [1, 2];
/** Photos of a round, for each size of batch: all sizes do the same work. */
const PHOTOS = Math.max(...BATCHES);

const open = (onnx: Uint8Array, threads: number) =>
  InferenceSession.create(onnx, {
    executionProviders: ['cpu'],
    intraOpNumThreads: threads,
    interOpNumThreads: 1,
    graphOptimizationLevel: 'all',
    extra: { session: { intra_op: { allow_spinning: '0' } } },
  });

type Record = (typeof catalog)[number];

/** Deterministic noise: what a network is shown does not matter to its time. */
function noise(batch: number, { height, width }: Record['input']): Tensor {
  const pixels = Uint8Array.from({ length: batch * height * width * 3 }, (_, i) => (i * 2654435761) >>> 24);
  return new Tensor('uint8', pixels, [batch, height, width, 3]);
}

/** The model in both precisions, as ONNX files; the batch is free in both. */
async function filesOf(record: Record) {
  const { graph, weights: lowered } = lower(networkOf(record).graph);
  const weights = lowered(await loadWeights(record, home));
  const calibration = new Calibration(graph);
  const session = await open(toOnnx(calibration.graph, weights), 1);
  const seen = await session.run({ pixels: noise(1, record.input) });
  for (const [name, { data }] of Object.entries(seen)) calibration.observe(name, data as Float32Array);
  await session.release();
  return {
    fp32: toOnnx(graph, weights),
    int8: toQuantizedOnnx(quantize(graph, weights, calibration.calibrated(minMax))),
  };
}

interface Cell {
  readonly model: string;
  readonly precision: string;
  readonly threads: number;
  readonly batch: number;
  readonly run: () => Promise<unknown>;
  /** Milliseconds of one photo, a value a round. */
  readonly cpu: number[];
  readonly wall: number[];
}

async function cellsOf(record: Record): Promise<Cell[]> {
  const cells: Cell[] = [];
  for (const [precision, onnx] of Object.entries(await filesOf(record))) {
    for (const threads of THREADS) {
      const session = await open(onnx, threads);
      for (const batch of BATCHES) {
        const feeds = { pixels: noise(batch, record.input) };
        const run = async () => {
          for (let done = 0; done < PHOTOS; done += batch) await session.run(feeds);
        };
        cells.push({ model: record.name, precision, threads, batch, run, cpu: [], wall: [] });
      }
    }
  }
  return cells;
}

async function time({ run, cpu, wall }: Cell): Promise<void> {
  const before = process.cpuUsage();
  const started = performance.now();
  await run();
  wall.push((performance.now() - started) / PHOTOS);
  const { user, system } = process.cpuUsage(before);
  cpu.push((user + system) / 1000 / PHOTOS);
}

const results = [];
for (const record of catalog.filter(({ name }) => name.includes(options.model))) {
  console.error(`measuring ${record.name}`);
  const cells = await cellsOf(record);
  for (const { run } of cells) await run();
  for (let round = 0; round < rounds; round++) for (const cell of cells) await time(cell);
  for (const cell of cells) {
    const { model, precision, threads, batch, cpu, wall } = cell;
    const single = cells.find(
      (other) => other.precision === precision && other.threads === threads && other.batch === 1,
    );
    const ratio = (key: 'cpu' | 'wall') =>
      median(cell[key].map((value, round) => value / (single?.[key][round] ?? Number.NaN)));
    results.push({
      ...{ model, precision, threads, batch },
      cpu_ms: median(cpu),
      wall_ms: median(wall),
      cpu_over_single: ratio('cpu'),
      wall_over_single: ratio('wall'),
    });
  }
}

const date = new Date().toISOString().slice(0, 10);
const machine = { cpu: cpus()[0]?.model, cpus: cpus().length, node: process.version };
if (options.json) {
  console.log(JSON.stringify({ date, machine, rounds, results }, null, 2));
} else {
  console.log(
    `${date}, ${machine.cpus} x ${machine.cpu}, Node ${machine.node}, ${rounds} rounds; of one photo:`,
  );
  for (const { model, precision, threads, batch, ...figures } of results) {
    const { cpu_ms, wall_ms, cpu_over_single, wall_over_single } = figures;
    console.log(
      `${model.padEnd(28)} ${precision} ${threads} thread(s) batch ${batch}  CPU ${cpu_ms.toFixed(2)} ms (${cpu_over_single.toFixed(2)})  wall ${wall_ms.toFixed(2)} ms (${wall_over_single.toFixed(2)})`,
    );
  }
}
