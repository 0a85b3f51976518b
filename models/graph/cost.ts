import type { OptionTable } from '../arguments.ts';
import { checkGraph, checkOptions, positiveNumber, wholeNumber } from '../arguments.ts';
import type { Graph, Node, Shape } from './graph.ts';
import { elementCount, valueNamed } from './graph.ts';
import type { Layer } from './layers.ts';
import { layersOf } from './layers.ts';
import type { MemoryAccess } from './memory_access.ts';
import { memoryAccessOf } from './memory_access.ts';
import { parametersOfNode } from './parameters.ts';
import type { PeakMemory, PeakMemoryOptions } from './peak_memory.ts';
import { peakMemory } from './peak_memory.ts';

/**
 * Counting rules. MAdds: multiply-accumulates of convolution and fully connected layers, one image; bias,
 * activation, normalisation and pooling are not counted. Parameters: weights, biases and batch normalisation's gamma
 * and beta, as papers and torchvision count; its running statistics are not learnt and not counted. Folded parameters:
 * what runs, with batch normalisation multiplied into the convolutions. Memory access: every weight, input and output
 * of each layer once, layers taken as `layersOf` says.
 */
export interface LayerCost {
  /** Of the layer's first node. */
  readonly name: string;
  readonly op: Node['op'];
  /** The block of the network's table that it belongs to. */
  readonly block?: string;
  /** Names of the nodes that run in it: a convolution's normalisation and activation are no layers of their own. */
  readonly nodes: readonly string[];
  /** Shape of the output, one image. */
  readonly shape: Shape;
  readonly madds: number;
  readonly parameters: number;
  readonly parametersFolded: number;
  /** Bytes moved, one image. */
  readonly memoryAccess: MemoryAccess;
}

export interface Cost {
  readonly madds: number;
  /** As papers count: batch normalisation's gamma and beta included. */
  readonly parameters: number;
  /** What runs: batch normalisation folded into the convolutions. */
  readonly parametersFolded: number;
  /** Bytes moved, one image. */
  readonly memoryAccess: MemoryAccess;
  /** Bytes of activations, one image. */
  readonly peakMemory: PeakMemory;
  readonly layers: readonly LayerCost[];
}

/** `elementBytes`: what an activation and a weight take: 4 as fp32 (the default), 2 as fp16, 1 as int8. */
export interface CostOptions extends PeakMemoryOptions {}

/** Multiply-accumulates of `node` for one image. */
export function maddsOf(graph: Graph, node: Node): number {
  const [channels = 0] = valueNamed(graph, node.inputs[0] ?? '').shape;
  if (node.op === 'conv') {
    const taps = node.kernel[0] * node.kernel[1] * (channels / node.groups);
    return taps * elementCount(valueNamed(graph, node.name).shape);
  }
  return node.op === 'fullyConnected' ? channels * node.outFeatures : 0;
}

function learnt(graph: Graph, node: Node): number {
  return parametersOfNode(graph, node)
    .filter(({ role }) => role !== 'mean' && role !== 'variance')
    .reduce((sum, { shape }) => sum + elementCount(shape), 0);
}

/** Folding replaces a normalisation's gamma and beta by the one bias that the convolution then has. */
function foldedCount(graph: Graph, { node, folded }: Layer): number {
  const bias = folded && node.op === 'conv' && !node.bias ? node.outChannels : 0;
  return learnt(graph, node) + bias;
}

/** Cost of one layer of `graph`. */
export function layerCost(graph: Graph, layer: Layer, elementBytes: number): LayerCost {
  const { node, nodes, output } = layer;
  const parametersFolded = foldedCount(graph, layer);
  return {
    name: node.name,
    op: node.op,
    ...(node.block !== undefined && { block: node.block }),
    nodes: nodes.map(({ name }) => name),
    shape: output.shape,
    madds: maddsOf(graph, node),
    parameters: nodes.reduce((sum, each) => sum + learnt(graph, each), 0),
    parametersFolded,
    memoryAccess: memoryAccessOf(layer, parametersFolded, elementBytes),
  };
}

const OPTIONS: OptionTable = { elementBytes: positiveNumber(8), slices: wholeNumber([1, 1_000_000]) };

/**
 * Counts one image's work, the weights and the memory of `graph`, per layer and in all.
 * @throws ArgumentError where it is given no Graph, or an option is not there or not right
 */
export function cost(graph: Graph, options: CostOptions = {}): Cost {
  checkGraph('cost', graph);
  checkOptions('cost', OPTIONS, options);
  const { elementBytes = 4 } = options;
  const running = layersOf(graph);
  const layers = running.map((layer) => layerCost(graph, layer, elementBytes));
  const total = (count: (layer: LayerCost) => number) => layers.reduce((sum, layer) => sum + count(layer), 0);
  return {
    madds: total(({ madds }) => madds),
    parameters: total(({ parameters }) => parameters),
    parametersFolded: total(({ parametersFolded }) => parametersFolded),
    memoryAccess: {
      weights: total(({ memoryAccess }) => memoryAccess.weights),
      read: total(({ memoryAccess }) => memoryAccess.read),
      written: total(({ memoryAccess }) => memoryAccess.written),
    },
    peakMemory: peakMemory(graph, options, running),
    layers,
  };
}
