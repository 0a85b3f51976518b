import { checkGraph } from '../arguments.ts';
import { layerCost } from './cost.ts';
import type { Convolution, Graph, Node } from './graph.ts';
import type { Block, Layer } from './layers.ts';
import { blocksOf, layersOf } from './layers.ts';
import { totalBytes } from './memory_access.ts';

/**
 * A pointwise layer's channels, and its memory access beside the least that the same MAdds could take, in elements.
 */
export interface PointwiseBalance {
  readonly layer: string;
  readonly inChannels: number;
  readonly outChannels: number;
  /** The larger of the two through the smaller. */
  readonly ratio: number;
  readonly memoryAccess: number;
  readonly lowerBound: number;
}

/** G1. Equal channel width minimizes memory access. */
export interface ChannelBalance {
  /** Memory access of all pointwise layers through the sum of their lower bounds: 1 is perfect balance. */
  readonly excess: number;
  readonly pointwiseLayers: number;
  /** Layers whose channels differ by more than `BALANCE_LIMIT`, the farthest from their bound first. */
  readonly breaking: readonly PointwiseBalance[];
}

/** A part of the whole network's work and memory access, as fractions. */
export interface Share {
  readonly layers: number;
  readonly madds: number;
  readonly memoryAccess: number;
}

export interface GroupedLayer {
  readonly layer: string;
  readonly groups: number;
  /** Its memory access through that of an ungrouped layer with the same input and the same MAdds. */
  readonly excess: number;
}

/** G2. Group convolution increases memory access. */
export interface GroupConvolution {
  /** Convolutions of more than one group that mix channels. */
  readonly grouped: Share;
  /** One filter a channel; for these there is no ungrouped layer to compare with, and they break nothing. */
  readonly depthwise: Share;
  /** Every grouped convolution, the largest excess first. */
  readonly breaking: readonly GroupedLayer[];
}

export interface BlockFragments {
  readonly block: string;
  /** Convolutions, fully connected layers and poolings. */
  readonly operators: number;
  /** The most of them that lie side by side, at an equal number of operators behind the block's input. */
  readonly branches: number;
}

/** G3. Fragmentation reduces parallelism. */
export interface Fragmentation {
  readonly blocks: number;
  readonly meanOperators: number;
  readonly most: BlockFragments | undefined;
  /** Blocks with more operators or branches than `FRAGMENT_LIMIT`. */
  readonly breaking: readonly BlockFragments[];
}

export interface ElementWiseLayer {
  readonly layer: string;
  readonly op: Node['op'];
  /** Its part of the network's memory access, activations fused. */
  readonly share: number;
}

/** G4. Element-wise operations are not negligible. */
export interface ElementWise {
  /** Their part of the memory access where every operator runs on its own, activation functions included. */
  readonly share: number;
  /** The same where activation functions run inside the convolution before them. */
  readonly shareFused: number;
  /** What is left when they do, with `ELEMENT_WISE_LIMIT` of the memory access or more, the largest first. */
  readonly breaking: readonly ElementWiseLayer[];
}

export interface Guidelines {
  readonly channelBalance: ChannelBalance;
  readonly groupConvolution: GroupConvolution;
  readonly fragmentation: Fragmentation;
  readonly elementWise: ElementWise;
}

/** Twice as many channels on one side cost 6 % more memory access at most; the paper measures from there on. */
export const BALANCE_LIMIT = 2;

/** What ShuffleNetV2's own largest unit has. */
export const FRAGMENT_LIMIT = { operators: 5, branches: 2 } as const;

/** One part in a hundred of the network's memory access. */
export const ELEMENT_WISE_LIMIT = 0.01;

/** Element-wise operators, and those that only put elements elsewhere. */
const ELEMENT_WISE: ReadonlySet<Node['op']> = new Set([
  'activation',
  'add',
  'multiply',
  'affine',
  'cast',
  'transpose',
  'concat',
  'slice',
  'channelShuffle',
  'broadcast',
]);

const FRAGMENTS: ReadonlySet<Node['op']> = new Set([
  'conv',
  'fullyConnected',
  'maxPool',
  'averagePool',
  'globalAveragePool',
]);

/**
 * How a network stands to the four guidelines of Ma et al., "ShuffleNet V2" (arXiv 1807.11164), section 2. They are about
 * speed at equal MAdds; each figure is a count of `graph`, not a measurement.
 */
export function guidelines(graph: Graph): Guidelines {
  checkGraph('guidelines', graph);
  const layers = layersOf(graph);
  return {
    channelBalance: channelBalance(layers),
    groupConvolution: groupConvolution(graph, layers),
    fragmentation: fragmentation(blocksOf(graph, layers)),
    elementWise: elementWise(graph, layers),
  };
}

interface Dimensions {
  readonly node: Convolution;
  readonly inChannels: number;
  readonly inCells: number;
  readonly cells: number;
}

/** Convolutions with their sizes; cells are height times width, of the input and of the output. */
function convolutions(layers: readonly Layer[]): Dimensions[] {
  return layers.flatMap(({ node, inputs, output }) => {
    if (node.op !== 'conv') return [];
    const [inChannels = 0, height = 0, width = 0] = inputs[0]?.shape ?? [];
    const [, outHeight = 0, outWidth = 0] = output.shape;
    return [{ node, inChannels, inCells: height * width, cells: outHeight * outWidth }];
  });
}

const isDepthwise = ({ node, inChannels }: Dimensions) => node.groups > 1 && node.groups === inChannels;
const isPointwise = ({ node }: Dimensions) => node.kernel[0] * node.kernel[1] === 1 && node.stride === 1;

/**
 * Of a 1x1 layer with c1 and c2 channels on hw cells in g groups, memory access is hw (c1 + c2) + c1 c2 / g, and its MAdds B
 * are hw c1 c2 / g. Since c1 + c2 is at least 2 sqrt(c1 c2), it is at least 2 sqrt(hw B g) + B / hw (equation 1, for g = 1).
 */
function balanceOf({ node, inChannels, cells }: Dimensions): PointwiseBalance {
  const { outChannels, groups } = node;
  const weights = (inChannels * outChannels) / groups;
  return {
    layer: node.name,
    inChannels,
    outChannels,
    ratio: Math.max(inChannels, outChannels) / Math.min(inChannels, outChannels),
    memoryAccess: cells * (inChannels + outChannels) + weights,
    lowerBound: 2 * cells * Math.sqrt(inChannels * outChannels) + weights,
  };
}

/** Layers on a single cell are matrix products on vectors, all of whose memory access is weights: they are left out. */
function channelBalance(layers: readonly Layer[]): ChannelBalance {
  const balances = convolutions(layers)
    .filter((layer) => isPointwise(layer) && !isDepthwise(layer) && layer.cells > 1)
    .map(balanceOf);
  const excess = (each: PointwiseBalance) => each.memoryAccess / each.lowerBound;
  const bound = sumOf(balances, ({ lowerBound }) => lowerBound);
  return {
    excess: bound === 0 ? 1 : sumOf(balances, ({ memoryAccess }) => memoryAccess) / bound,
    pointwiseLayers: balances.length,
    breaking: balances.filter(({ ratio }) => ratio > BALANCE_LIMIT).sort((a, b) => excess(b) - excess(a)),
  };
}

/** With input and MAdds fixed, g groups make g times the output channels of one group (equation 2). */
function groupExcess({ node, inChannels, inCells, cells }: Dimensions): number {
  const { outChannels, groups, kernel } = node;
  const fixed = inCells * inChannels + (inChannels / groups) * outChannels * kernel[0] * kernel[1];
  return (fixed + cells * outChannels) / (fixed + (cells * outChannels) / groups);
}

function groupConvolution(graph: Graph, layers: readonly Layer[]): GroupConvolution {
  const all = convolutions(layers).filter(({ node }) => node.groups > 1);
  const costs = new Map(layers.map((layer) => [layer.node.name, layerCost(graph, layer, 1)]));
  const whole = [...costs.values()];
  const share = (members: readonly Dimensions[]): Share => {
    const own = members.flatMap(({ node }) => costs.get(node.name) ?? []);
    const part = (count: (cost: (typeof own)[number]) => number) =>
      sumOf(own, count) / (sumOf(whole, count) || 1);
    return {
      layers: own.length,
      madds: part(({ madds }) => madds),
      memoryAccess: part(({ memoryAccess }) => totalBytes(memoryAccess)),
    };
  };
  const grouped = all.filter((layer) => !isDepthwise(layer));
  return {
    grouped: share(grouped),
    depthwise: share(all.filter(isDepthwise)),
    breaking: grouped
      .map((layer) => ({ layer: layer.node.name, groups: layer.node.groups, excess: groupExcess(layer) }))
      .sort((a, b) => b.excess - a.excess),
  };
}

function fragmentsOf({ name, layers }: Block): BlockFragments {
  const depths = new Map<string, number>();
  const side = new Map<number, number>();
  for (const { node, inputs, output } of layers) {
    const behind = Math.max(0, ...inputs.map((value) => depths.get(value.name) ?? 0));
    const counts = FRAGMENTS.has(node.op);
    depths.set(output.name, behind + (counts ? 1 : 0));
    if (counts) side.set(behind + 1, (side.get(behind + 1) ?? 0) + 1);
  }
  return {
    block: name,
    operators: sumOf([...side.values()], (count) => count),
    branches: Math.max(0, ...side.values()),
  };
}

function fragmentation(blocks: readonly Block[]): Fragmentation {
  const all = blocks.map(fragmentsOf);
  const operators = sumOf(all, (block) => block.operators);
  return {
    blocks: all.length,
    meanOperators: all.length === 0 ? 0 : operators / all.length,
    most: all.toSorted((a, b) => b.branches - a.branches || b.operators - a.operators)[0],
    breaking: all.filter(
      (block) => block.operators > FRAGMENT_LIMIT.operators || block.branches > FRAGMENT_LIMIT.branches,
    ),
  };
}

function elementWise(graph: Graph, fused: readonly Layer[]): ElementWise {
  const traffic = (layers: readonly Layer[]) => {
    const each = layers.map((layer) => ({
      layer: layer.node.name,
      op: layer.node.op,
      elements: totalBytes(layerCost(graph, layer, 1).memoryAccess),
    }));
    const whole = sumOf(each, ({ elements }) => elements) || 1;
    const own = each.filter(({ op }) => ELEMENT_WISE.has(op));
    return {
      own: own.map(({ layer, op, elements }) => ({ layer, op, share: elements / whole })),
      share: sumOf(own, ({ elements }) => elements) / whole,
    };
  };
  const rest = traffic(fused);
  return {
    share: traffic(layersOf(graph, { fuseActivations: false })).share,
    shareFused: rest.share,
    breaking: rest.own.filter(({ share }) => share >= ELEMENT_WISE_LIMIT).sort((a, b) => b.share - a.share),
  };
}

function sumOf<Item>(items: readonly Item[], count: (item: Item) => number): number {
  return items.reduce((sum, item) => sum + count(item), 0);
}
