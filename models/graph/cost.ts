import { foldGraph } from './folding.ts';
import type { Graph, Node, Shape } from './graph.ts';
import { elementCount, valueNamed } from './graph.ts';
import { parametersOfNode } from './parameters.ts';

/**
 * Counting rules. MAdds: multiply-accumulates of convolution and fully connected layers, one image; bias,
 * activation, normalisation and pooling are not counted. Parameters: weights, biases and batch normalisation's gamma
 * and beta, as papers and torchvision count; its running statistics are not learnt and not counted.
 */
export interface LayerCost {
  readonly name: string;
  readonly op: Node['op'];
  /** Shape of the output, one image. */
  readonly shape: Shape;
  readonly madds: number;
  readonly parameters: number;
}

export interface Cost {
  readonly madds: number;
  /** As papers count: batch normalisation's gamma and beta included. */
  readonly parameters: number;
  /** What runs: batch normalisation folded into the convolutions. */
  readonly parametersFolded: number;
  readonly layers: readonly LayerCost[];
}

function maddsOf(graph: Graph, node: Node): number {
  const [channels = 0] = valueNamed(graph, node.inputs[0] ?? '').shape;
  if (node.op === 'conv') {
    const taps = node.kernel[0] * node.kernel[1] * (channels / node.groups);
    return taps * elementCount(valueNamed(graph, node.name).shape);
  }
  return node.op === 'fullyConnected' ? channels * node.outFeatures : 0;
}

function layersOf(graph: Graph): LayerCost[] {
  return graph.nodes.map((node) => ({
    name: node.name,
    op: node.op,
    shape: valueNamed(graph, node.name).shape,
    madds: maddsOf(graph, node),
    parameters: parametersOfNode(graph, node)
      .filter(({ role }) => role !== 'mean' && role !== 'variance')
      .reduce((sum, { shape }) => sum + elementCount(shape), 0),
  }));
}

const total = (layers: readonly LayerCost[], key: 'madds' | 'parameters') =>
  layers.reduce((sum, layer) => sum + layer[key], 0);

/** Counts one image's work and the weights of `graph`, per layer and in all. */
export function cost(graph: Graph): Cost {
  const layers = layersOf(graph);
  return {
    madds: total(layers, 'madds'),
    parameters: total(layers, 'parameters'),
    parametersFolded: total(layersOf(foldGraph(graph)), 'parameters'),
    layers,
  };
}
