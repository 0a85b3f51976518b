import { foldablePairs } from './folding.ts';
import type { Graph, Node, Value } from './graph.ts';
import { valueNamed } from './graph.ts';

/** One operator as it runs: a node, and what runs inside it. */
export interface Layer {
  /** The node that gives the layer its name and kind. */
  readonly node: Node;
  /** `node` and what runs inside it, in order. */
  readonly nodes: readonly Node[];
  readonly inputs: readonly Value[];
  readonly output: Value;
  /** A batch normalisation was folded in, which gives a convolution a bias. */
  readonly folded: boolean;
}

export interface LayersOptions {
  /** Whether activation functions run inside the layer that makes what they read. */
  readonly fuseActivations?: boolean;
}

/**
 * The operators of `graph` as they run, in order. Batch normalisation is folded into its convolution (`foldGraph`). An
 * activation function whose input is made by a convolution or fully connected layer for it alone runs inside that layer, on
 * each element before it is stored; behind anything else, such as a sum, it is a layer of its own.
 */
export function layersOf(graph: Graph, { fuseActivations = true }: LayersOptions = {}): Layer[] {
  const pairs = foldablePairs(graph);
  const readers = new Map<string, number>();
  for (const name of [
    ...graph.nodes.flatMap(({ inputs }) => inputs),
    ...graph.outputs.map(({ name }) => name),
  ])
    readers.set(name, (readers.get(name) ?? 0) + 1);

  const layers: { node: Node; nodes: Node[]; folded: boolean }[] = [];
  const byOutput = new Map<string, (typeof layers)[number]>();
  for (const node of graph.nodes) {
    const [source = ''] = node.inputs;
    const maker = byOutput.get(source);
    const folds = pairs.has(node.name);
    const fuses =
      fuseActivations &&
      node.op === 'activation' &&
      (maker?.node.op === 'conv' || maker?.node.op === 'fullyConnected') &&
      readers.get(source) === 1;
    if (maker && (folds || fuses)) {
      maker.nodes.push(node);
      maker.folded ||= folds;
      byOutput.set(node.name, maker);
    } else {
      const layer = { node, nodes: [node], folded: false };
      layers.push(layer);
      byOutput.set(node.name, layer);
    }
  }
  return layers.map((layer) => ({
    ...layer,
    inputs: layer.node.inputs.map((name) => valueNamed(graph, name)),
    output: valueNamed(graph, layer.nodes.at(-1)?.name ?? ''),
  }));
}

/** The layers of one block of a network's table, and the values that cross its border. */
export interface Block {
  readonly name: string;
  readonly layers: readonly Layer[];
  /** Values of other layers that it reads. */
  readonly inputs: readonly Value[];
  /** Values that other layers read, and outputs of the graph. */
  readonly outputs: readonly Value[];
}

/** The blocks that the nodes of `graph` name, in order; layers without one are left out. */
export function blocksOf(graph: Graph, layers: readonly Layer[] = layersOf(graph)): Block[] {
  const members = new Map<string, Layer[]>();
  for (const layer of layers) {
    const { block } = layer.node;
    if (block === undefined) continue;
    const own = members.get(block);
    if (own) own.push(layer);
    else members.set(block, [layer]);
  }
  const readBy = new Map<string, Set<string | undefined>>();
  const note = (value: Value, block: string | undefined) =>
    readBy.set(value.name, (readBy.get(value.name) ?? new Set()).add(block));
  for (const { inputs, node } of layers) for (const value of inputs) note(value, node.block);
  for (const value of graph.outputs) note(value, undefined);

  return [...members].map(([name, own]) => {
    const made = new Set(own.map(({ output }) => output.name));
    const read = new Map(own.flatMap(({ inputs }) => inputs.map((value) => [value.name, value] as const)));
    return {
      name,
      layers: own,
      inputs: [...read.values()].filter((value) => !made.has(value.name)),
      outputs: own
        .map(({ output }) => output)
        .filter((value) => [...(readBy.get(value.name) ?? [])].some((block) => block !== name)),
    };
  });
}
