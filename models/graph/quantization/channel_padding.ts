import type { PaddedChannels, PaddedConvolution } from '../channel_padding.ts';
import { isChannelwise, isDense } from '../channelwise.ts';
import type { Graph, Node, Value } from '../graph.ts';
import { valueNamed } from '../graph.ts';
import { inferShape } from '../shapes.ts';

/**
 * Channels of a depthwise convolution that ONNX Runtime's vector kernel for bytes takes: multiples of this. With another
 * count it falls back to one that needs half as much time again to twice as much.
 * Source: MlasConvSymPackWSize in onnxruntime/core/mlas/lib/convsym.cpp of microsoft/onnxruntime.
 */
const DEPTHWISE_ALIGNMENT = 16;

/** Values that have one channel count, because nodes between them treat channel by channel. */
interface Group {
  /** Every maker is a dense convolution or in the group, every reader too: nobody sees channels added. */
  paddable: boolean;
  depthwise: boolean;
}

/** Whether a node treats each channel of all its inputs for itself, as the squeeze-and-excitation's product does. */
const isParallel = (node: Node, graph: Graph) =>
  (isChannelwise(node, graph) && !isDense(node)) || node.op === 'multiply' || node.op === 'add';

/**
 * The same network with zero filters added where depthwise convolutions have a channel count that integer kernels do not
 * take, and zero weights where the next dense convolutions read the added channels. Its weights are made by
 * `padWeights` of ../channel_padding.ts, which does the same for computing in floats, whose counts are others.
 */
export function padDepthwise(graph: Graph): PaddedChannels {
  const parents = new Map<string, string>();
  const root = (name: string): string => {
    const parent = parents.get(name);
    return parent === undefined ? name : root(parent);
  };
  for (const node of graph.nodes) {
    if (!isParallel(node, graph)) continue;
    for (const input of node.inputs) {
      const [a, b] = [root(input), root(node.name)];
      if (a !== b) parents.set(b, a);
    }
  }
  const groups = new Map<string, Group>();
  const groupOf = (name: string): Group => {
    const found = groups.get(root(name));
    if (found) return found;
    const fresh = { paddable: true, depthwise: false };
    groups.set(root(name), fresh);
    return fresh;
  };
  for (const { name } of [...graph.inputs, ...graph.outputs]) groupOf(name).paddable = false;
  for (const node of graph.nodes) {
    if (isParallel(node, graph)) {
      if (node.op === 'conv') groupOf(node.name).depthwise = true;
    } else if (!isDense(node)) {
      for (const name of [...node.inputs, node.name]) groupOf(name).paddable = false;
    }
  }

  const values = new Map<string, Value>(graph.inputs.map((input) => [input.name, input]));
  const convolutions: PaddedConvolution[] = [];
  const nodes = graph.nodes.map((node): Node => {
    const inputs = node.inputs.map((name) => valueNamed({ name: graph.name, values }, name));
    const reads = inputs[0]?.shape[0] ?? 0;
    let padded = node;
    if (node.op === 'conv') {
      const dense = isDense(node);
      const { paddable, depthwise } = groupOf(node.name);
      const outChannels = !(paddable && depthwise)
        ? node.outChannels
        : Math.ceil(node.outChannels / DEPTHWISE_ALIGNMENT) * DEPTHWISE_ALIGNMENT;
      const read = valueNamed(graph, node.inputs[0] ?? '').shape[0];
      if (outChannels !== node.outChannels || reads !== read) {
        const conv = { ...node, outChannels, groups: dense ? 1 : outChannels };
        convolutions.push({ conv, shape: [outChannels, dense ? reads : 1, ...conv.kernel] });
        padded = conv;
      }
    }
    values.set(node.name, { name: node.name, ...inferShape(padded, inputs) });
    return padded;
  });
  return { graph: { ...graph, nodes, values }, convolutions };
}
