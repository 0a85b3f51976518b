import type { BatchNorm, Convolution, Graph, Node, Value } from './graph.ts';
import { GraphError } from './graph.ts';
import type { Tensor, Weights } from './tensor.ts';
import { tensor } from './tensor.ts';

/** The bias that folding gives a convolution that had none. */
export function foldedBiasName(conv: Convolution): string {
  return conv.bias ?? `${conv.name}.bias`;
}

/**
 * Pairs of a convolution and the batch normalisation that alone reads it: these can become one convolution.
 * Keys are the names of the normalisations.
 */
export function foldablePairs(graph: Graph): Map<string, { conv: Convolution; norm: BatchNorm }> {
  const producers = new Map(graph.nodes.map((node) => [node.name, node]));
  const readers = new Map<string, number>();
  for (const name of [
    ...graph.nodes.flatMap((node) => node.inputs),
    ...graph.outputs.map((value) => value.name),
  ]) {
    readers.set(name, (readers.get(name) ?? 0) + 1);
  }
  const pairs = new Map<string, { conv: Convolution; norm: BatchNorm }>();
  for (const norm of graph.nodes) {
    if (norm.op !== 'batchNorm') continue;
    const conv = producers.get(norm.inputs[0] ?? '');
    if (conv?.op === 'conv' && readers.get(conv.name) === 1) pairs.set(norm.name, { conv, norm });
  }
  return pairs;
}

/** The same graph with each foldable batch normalisation gone and its convolution given a bias. Weights are not touched. */
export function foldGraph(graph: Graph): Graph {
  const pairs = foldablePairs(graph);
  const folded = new Map([...pairs.values()].map(({ conv, norm }) => [conv.name, norm]));
  const renamed = new Map([...folded].map(([conv, norm]) => [norm.name, conv]));
  const through = (name: string) => renamed.get(name) ?? name;
  const nodes = graph.nodes
    .filter((node) => !pairs.has(node.name))
    .map((node): Node => {
      const rewired = { ...node, inputs: node.inputs.map(through) };
      if (rewired.op !== 'conv' || !folded.has(rewired.name)) return rewired;
      return { ...rewired, bias: foldedBiasName(rewired) };
    });
  const rename = (value: Value): Value => ({ ...value, name: through(value.name) });
  return {
    ...graph,
    nodes,
    outputs: graph.outputs.map(rename),
    values: new Map([...graph.values].filter(([name]) => !pairs.has(name))),
  };
}

/**
 * Weights for `foldGraph(graph)`: each batch normalisation is multiplied into the convolution before it, in double
 * precision. A checkpoint that was published with some layers folded already (no statistics, but a bias where the
 * graph has none) passes those through as they are.
 *
 * Source: Jacob et al., "Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only
 * Inference" (arXiv 1712.05877), section 3.2.
 * @throws GraphError naming a tensor that is missing, or a layer that comes both folded and unfolded.
 */
export function foldWeights(graph: Graph, weights: Weights): Map<string, Tensor> {
  const folded = new Map(weights);
  const take = (name: string): Tensor => {
    const found = weights.get(name);
    if (!found) throw new GraphError(`weight '${name}' is missing`);
    return found;
  };
  for (const { conv, norm } of foldablePairs(graph).values()) {
    const statistics = [norm.gamma, norm.beta, norm.mean, norm.variance];
    const biasName = foldedBiasName(conv);
    if (!conv.bias && weights.has(biasName)) {
      const surplus = statistics.filter((name) => weights.has(name));
      if (surplus.length > 0) {
        throw new GraphError(
          `'${conv.name}' comes both folded (${biasName}) and unfolded (${surplus.join(', ')})`,
        );
      }
      continue;
    }
    const kernel = take(conv.weight);
    const [gamma, beta, mean, variance] = statistics.map((name) => take(name).data) as [
      Float32Array,
      Float32Array,
      Float32Array,
      Float32Array,
    ];
    const oldBias = conv.bias ? take(conv.bias).data : undefined;
    const weight = new Float32Array(kernel.data.length);
    const bias = new Float32Array(conv.outChannels);
    const perChannel = kernel.data.length / conv.outChannels;
    for (let channel = 0; channel < conv.outChannels; channel++) {
      const scale = (gamma[channel] as number) / Math.sqrt((variance[channel] as number) + norm.epsilon);
      const start = channel * perChannel;
      for (let i = start; i < start + perChannel; i++) weight[i] = (kernel.data[i] as number) * scale;
      bias[channel] =
        (beta[channel] as number) + ((oldBias?.[channel] ?? 0) - (mean[channel] as number)) * scale;
    }
    folded.set(conv.weight, tensor(kernel.shape, weight));
    folded.set(biasName, tensor([conv.outChannels], bias));
    for (const name of statistics) folded.delete(name);
  }
  return folded;
}
