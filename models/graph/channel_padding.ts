import { isChannelwise, isDense, readersOf } from './channelwise.ts';
import type { Convolution, Graph, Node, Value } from './graph.ts';
import { elementCount, GraphError, valueNamed } from './graph.ts';
import { inferShape } from './shapes.ts';
import type { Tensor, Weights } from './tensor.ts';
import { tensor } from './tensor.ts';

/**
 * What channel counts ONNX Runtime's blocked layout (NCHWc) takes: convolutions read multiples of 4, pooling takes multiples
 * of the block, 16 with AVX-512. A node that has another count is computed in plain layout, and its neighbours' data are
 * reordered for it. Source: onnxruntime/core/optimizer/nchwc_transformer.cc of microsoft/onnxruntime.
 */
const CONVOLUTION_ALIGNMENT = 4;
const POOLING_ALIGNMENT = 16;

/** A convolution that has more filters or reads more channels than before. */
export interface PaddedConvolution {
  readonly conv: Convolution;
  /** Shape of its weight in the padded graph; what is new is zero. */
  readonly shape: readonly number[];
}

export interface PaddedChannels {
  readonly graph: Graph;
  /** What `padWeights` needs. */
  readonly convolutions: readonly PaddedConvolution[];
}

/** The channelwise nodes that `root` feeds, if every path ends in dense convolutions: then nobody sees added channels. */
function channelwiseRun(
  root: Node,
  graph: Graph,
  readers: ReadonlyMap<string, readonly Node[]>,
  outputs: ReadonlySet<string>,
): Node[] | undefined {
  const run: Node[] = [];
  const pending = [root];
  for (let node = pending.pop(); node; node = pending.pop()) {
    if (outputs.has(node.name)) return undefined;
    for (const reader of readers.get(node.name) ?? []) {
      if (isDense(reader)) continue;
      if (!isChannelwise(reader, graph)) return undefined;
      run.push(reader);
      pending.push(reader);
    }
  }
  return run;
}

const isPooling = ({ op }: Node) => op === 'maxPool' || op === 'averagePool';

/**
 * The same network with zero filters added where a run of convolutions and pooling has a channel count that would make ONNX
 * Runtime leave its blocked layout, and with zero weights where the next dense convolutions read the added channels: the
 * outputs are the same. ShuffleNetV2 at 1.0x has 58 channels in stage 2 and pools 24.
 * @param graph batch normalisation folded
 */
export function padChannels(graph: Graph): PaddedChannels {
  const readers = readersOf(graph);
  const outputs = new Set(graph.outputs.map(({ name }) => name));
  /** New channel counts of values. */
  const counts = new Map<string, number>();
  for (const root of graph.nodes) {
    if (root.op !== 'conv' || !isDense(root)) continue;
    // A single cell (squeeze-and-excitation) is as long in either layout.
    const { shape } = valueNamed(graph, root.name);
    if (elementCount(shape) === shape[0]) continue;
    const run = channelwiseRun(root, graph, readers, outputs);
    if (!run) continue;
    const alignment = run.some(isPooling) ? POOLING_ALIGNMENT : CONVOLUTION_ALIGNMENT;
    const count = Math.ceil(root.outChannels / alignment) * alignment;
    if (count === root.outChannels) continue;
    for (const { name } of [root, ...run]) counts.set(name, count);
  }
  if (counts.size === 0) return { graph, convolutions: [] };

  const values = new Map<string, Value>(graph.inputs.map((input) => [input.name, input]));
  const convolutions: PaddedConvolution[] = [];
  const nodes = graph.nodes.map((node): Node => {
    const inputs = node.inputs.map((name) => valueNamed({ name: graph.name, values }, name));
    const outChannels = counts.get(node.name);
    const reads = counts.get(node.inputs[0] ?? '');
    let padded = node;
    if (node.op === 'conv' && (outChannels !== undefined || reads !== undefined)) {
      const dense = isDense(node);
      const conv = {
        ...node,
        outChannels: outChannels ?? node.outChannels,
        groups: dense ? 1 : (outChannels ?? node.groups),
      };
      const perFilter = dense ? (inputs[0]?.shape[0] ?? 0) : 1;
      convolutions.push({ conv, shape: [conv.outChannels, perFilter, ...conv.kernel] });
      padded = conv;
    }
    values.set(node.name, { name: node.name, ...inferShape(padded, inputs) });
    return padded;
  });
  return { graph: { ...graph, nodes, values }, convolutions };
}

/** `old` [filters, channels, ...] in the corner of zeros of `shape`. */
function inCorner(old: Tensor, shape: readonly number[]): Tensor {
  const [filters = 0, channels = 0, height = 1, width = 1] = shape;
  const [oldFilters = 0, oldChannels = 0] = old.shape;
  const window = height * width;
  const data = new Float32Array(filters * channels * window);
  for (let filter = 0; filter < oldFilters; filter++) {
    const from = filter * oldChannels * window;
    data.set(old.data.subarray(from, from + oldChannels * window), filter * channels * window);
  }
  return tensor(shape, data);
}

/**
 * Weights for `padChannels(graph).graph`.
 * @throws GraphError naming a tensor that is missing
 */
export function padWeights(
  { convolutions }: Pick<PaddedChannels, 'convolutions'>,
  weights: Weights,
): Map<string, Tensor> {
  const padded = new Map(weights);
  const take = (name: string): Tensor => {
    const found = weights.get(name);
    if (!found) throw new GraphError(`weight '${name}' is missing`);
    return found;
  };
  for (const { conv, shape } of convolutions) {
    padded.set(conv.weight, inCorner(take(conv.weight), shape));
    if (!conv.bias) continue;
    const bias = new Float32Array(conv.outChannels);
    bias.set(take(conv.bias).data);
    padded.set(conv.bias, tensor([conv.outChannels], bias));
  }
  return padded;
}
