/**
 * What a channel shuffle costs in ONNX Runtime, and what each way around it saves.
 *   node dist/bench/channel_shuffle.js [--network PART_OF_TITLE] [--rounds N] [--json]
 * Every network is written in several forms that give the same numbers; each runs on one thread with the session options of
 * the server, in turns with the others within every round. Times are of the CPU, and a round's is the least of a few runs,
 * because others' work only ever adds; compared are the ratios to the first form in the same round, by their median.
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { buildDeeplabv3 } from '../heads/deeplabv3/graph.ts';
import { buildSsdlite } from '../heads/ssdlite/graph.ts';
import type { Style } from '../models/backbones/blocks.ts';
import { buildClassifier } from '../models/backbones/classifier.ts';
import { shufflenetV1G3 } from '../models/backbones/shufflenet_v1.ts';
import { shufflenetV2 } from '../models/backbones/shufflenet_v2.ts';
import { foldGraph, foldWeights } from '../models/graph/folding.ts';
import type { Graph } from '../models/graph/graph.ts';
import { elementCount, valueNamed } from '../models/graph/graph.ts';
import { MINUS_ONE_TO_ONE } from '../models/graph/image_input.ts';
import { lower } from '../models/graph/lowering.ts';
import type { OnnxNode } from '../models/graph/onnx/schema.ts';
import { decodeModel, encodeModel } from '../models/graph/onnx/schema.ts';
import { toOnnx } from '../models/graph/onnx/writer.ts';
import { foldShuffles, permuteWeights } from '../models/graph/shuffle_folding.ts';
import { InferenceSession, Tensor } from '../server/inference/onnx_runtime.ts';
import { randomWeights } from '../test/reference/random_weights.ts';
import { median } from './support/statistics.ts';

const { values: options } = parseArgs({
  options: {
    network: { type: 'string', default: '' },
    rounds: { type: 'string', default: '40' },
    json: { type: 'boolean', default: false },
  },
});
const rounds = Number(options.rounds);
const RUNS_A_ROUND = 5;
const WARM_UP_RUNS = 5;
const SESSION: InferenceSession.SessionOptions = {
  executionProviders: ['cpu'],
  intraOpNumThreads: 1,
  interOpNumThreads: 1,
  graphOptimizationLevel: 'all',
  extra: { session: { intra_op: { allow_spinning: '0' } } },
};

const HEAD: Style = { padding: 'same', epsilon: 1e-3, activation: 'relu6' };
const shared = {
  backbone: shufflenetV2,
  input: { kind: 'pixels', normalization: MINUS_ONE_TO_ONE },
  backboneStyle: shufflenetV2.style,
} as const;

const networks: readonly { readonly title: string; readonly graph: Graph }[] = [
  {
    title: 'ShuffleNetV2 1.0x, SSDLite, 300x300',
    graph: buildSsdlite({ ...shared, name: 'ssdlite', resolution: 300, classes: 91, headStyle: HEAD }).graph,
  },
  {
    title: 'ShuffleNetV2 1.0x, DeepLabv3, 513x513',
    graph: buildDeeplabv3({
      ...shared,
      name: 'deeplabv3',
      size: { height: 513, width: 513 },
      classes: 21,
      headStyle: { ...HEAD, activation: 'relu' },
    }).graph,
  },
  // Its grouped convolutions cannot take an order of channels into their weights.
  { title: 'ShuffleNetV1 1.0x, 3 groups, classifier, 224x224', graph: buildClassifier(shufflenetV1G3) },
];

/** The same model with every shuffle as Reshape, Transpose and Reshape, as most exporters write it, in place of one Gather. */
function withTransposition(onnx: Uint8Array, graph: Graph): Uint8Array {
  const model = decodeModel(onnx);
  const initializer = model.graph.initializer.filter(({ name }) => !name.endsWith('.order'));
  const integers = (name: string, values: readonly number[]) => {
    const rawData = new Uint8Array(BigInt64Array.from(values, BigInt).buffer);
    initializer.push({ name, dims: [values.length], dataType: 7, rawData });
    return name;
  };
  const node = model.graph.node.flatMap((written): OnnxNode[] => {
    const shuffle = graph.nodes.find(({ name }) => name === written.name);
    if (shuffle?.op !== 'channelShuffle') return [written];
    const { name, groups } = shuffle;
    const [channels = 0, height = 0, width = 0] = valueNamed(graph, name).shape;
    const [split, swapped] = [`${name}.split`, `${name}.swapped`];
    const apart = integers(`${name}.apart`, [0, groups, channels / groups, height * width]);
    const joined = integers(`${name}.joined`, [0, channels, height, width]);
    const [input = ''] = shuffle.inputs;
    const reshape = { opType: 'Reshape', attribute: [] };
    const swap = { name: 'perm', type: 7, ints: [0, 2, 1, 3] } as const;
    return [
      { ...reshape, name: split, input: [input, apart], output: [split] },
      { opType: 'Transpose', name: swapped, input: [split], output: [swapped], attribute: [swap] },
      { ...reshape, name, input: [swapped, joined], output: [name] },
    ];
  });
  return encodeModel({ ...model, graph: { ...model.graph, node, initializer } });
}

/** Forms of one network by name; the first is what the others are compared with. */
function formsOf(graph: Graph): Record<string, Uint8Array> {
  const weights = randomWeights(graph, 1);
  const folded = foldGraph(graph);
  const foldedWeights = foldWeights(graph, weights);
  const shuffles = foldShuffles(folded);
  const lowered = lower(graph);
  const gathered = toOnnx(folded, foldedWeights);
  return {
    'Reshape, Transpose, Reshape': withTransposition(gathered, folded),
    Gather: gathered,
    'folded into weights': toOnnx(shuffles.graph, permuteWeights(shuffles, foldedWeights)),
    'folded, channels padded': toOnnx(lowered.graph, lowered.weights(weights)),
  };
}

/** The nodes that are left in what ONNX Runtime runs. */
async function optimizedNodes(onnx: Uint8Array): Promise<readonly OnnxNode[]> {
  const folder = mkdtempSync(join(tmpdir(), 'thinlens-bench-'));
  try {
    const path = join(folder, 'optimized.onnx');
    // It warns that such a file only suits machines of this kind, which is what is asked for.
    const session = await InferenceSession.create(onnx, {
      ...SESSION,
      optimizedModelFilePath: path,
      logSeverityLevel: 3,
    });
    await session.release();
    return decodeModel(readFileSync(path)).graph.node;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

async function measure(graph: Graph) {
  const forms = formsOf(graph);
  const [{ name = '', shape = [] } = {}] = graph.inputs;
  const pixels = Uint8Array.from({ length: elementCount(shape) }, (_, i) => (i * 7919) % 256);
  const feeds = { [name]: new Tensor('uint8', pixels, [1, ...shape]) };
  const runners: { form: string; session: InferenceSession; times: number[] }[] = [];
  for (const [form, onnx] of Object.entries(forms)) {
    const session = await InferenceSession.create(onnx, SESSION);
    for (let i = 0; i < WARM_UP_RUNS; i++) await session.run(feeds);
    runners.push({ form, session, times: [] });
  }
  for (let round = 0; round < rounds; round++) {
    for (const { session, times } of runners) {
      let least = Number.POSITIVE_INFINITY;
      for (let i = 0; i < RUNS_A_ROUND; i++) {
        const started = process.cpuUsage();
        await session.run(feeds);
        const { user, system } = process.cpuUsage(started);
        least = Math.min(least, (user + system) / 1000);
      }
      times.push(least);
    }
  }
  const reference = runners[0]?.times ?? [];
  const results = [];
  for (const { form, session, times } of runners) {
    await session.release();
    const nodes = await optimizedNodes(forms[form] ?? new Uint8Array());
    const ofKind = (...kinds: string[]) => nodes.filter(({ opType }) => kinds.includes(opType));
    // What runs in the blocked layout gets this ending.
    const inPlainLayout = ({ name }: OnnxNode) => !name?.endsWith('_nchwc');
    results.push({
      form,
      ratio: median(times.map((time, round) => time / (reference[round] ?? Number.NaN))),
      median_ms: median(times),
      least_ms: Math.min(...times),
      plain: ofKind('Conv', 'FusedConv', 'MaxPool').filter(inPlainLayout).length,
      reorders: ofKind('ReorderInput', 'ReorderOutput').length,
      moves: ofKind('Reshape', 'Transpose', 'Slice', 'Split', 'Gather', 'Concat').length,
    });
  }
  return results;
}

const result = {
  date: new Date().toISOString().slice(0, 10),
  machine: { cpu: cpus()[0]?.model, cpus: cpus().length, node: process.version },
  rounds,
  networks: [] as { title: string; forms: Awaited<ReturnType<typeof measure>> }[],
};
for (const { title, graph } of networks) {
  if (!title.includes(options.network)) continue;
  console.error(`measuring ${title}`);
  result.networks.push({ title, forms: await measure(graph) });
}

if (options.json) {
  console.log(JSON.stringify(result, null, 2));
} else {
  const { machine } = result;
  console.log(`${result.date}, ${machine.cpus} x ${machine.cpu}, Node ${machine.node}, one thread`);
  for (const { title, forms } of result.networks) {
    console.log(title);
    for (const { form, ratio, median_ms, least_ms, plain, reorders, moves } of forms) {
      console.log(
        `  ${form.padEnd(28)} ${ratio.toFixed(3)}  median ${median_ms.toFixed(2)} ms  least ${least_ms.toFixed(2)} ms  ${plain} convolutions and poolings in plain layout, ${reorders} reorders, ${moves} moves`,
      );
    }
  }
}
