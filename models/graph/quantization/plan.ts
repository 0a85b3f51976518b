import { checkGraph } from '../../arguments.ts';
import { readersOf } from '../channelwise.ts';
import type { Activation, Affine, Graph, Node, Value } from '../graph.ts';
import { valueNamed } from '../graph.ts';
import type { Range } from './quantizer.ts';

/** What of a network is computed on bytes. */
export interface QuantizationPlan {
  /**
   * The network without its ReLUs and ReLU6s where what they read is stored in bytes for them alone: a range that
   * begins at zero is a ReLU, one of [0, 6] a ReLU6. The layer before has taken over the name.
   */
  readonly graph: Graph;
  /** Names of the nodes that compute on bytes. */
  readonly integer: ReadonlySet<string>;
  /** For each value that is stored in bytes, the values that it shares a quantizer with: it is that of their union. */
  readonly sources: ReadonlyMap<string, readonly string[]>;
  /** Bounds by nature: of a value behind an activation function. */
  readonly bounds: ReadonlyMap<string, Range>;
  /** Values whose ranges must be known, to be observed under these names in the network as it was given. */
  readonly observed: readonly string[];
  /** Normalisations of pixels that are bytes already, and only have to be understood as numbers; by the name of the result. */
  readonly pixels: ReadonlyMap<string, PixelSource>;
}

/** Numbers that are affine in the bytes of `bytes`. */
export interface PixelSource {
  readonly bytes: string;
  readonly affine: Affine;
}

const BOUNDS: Partial<Record<Activation['kind'], Range>> = {
  relu: [0, Number.POSITIVE_INFINITY],
  relu6: [0, 6],
  sigmoid: [0, 1],
  hardSigmoid: [0, 1],
};

/** Whether `node` gives only numbers that it was given: in bytes it copies, if what it gives has the quantizer of what it reads. */
function moves({ op }: Node): boolean {
  return (
    op === 'concat' ||
    op === 'slice' ||
    op === 'channelShuffle' ||
    op === 'maxPool' ||
    op === 'transpose' ||
    op === 'reshape' ||
    op === 'broadcast'
  );
}

/** Whether an unsigned range that begins at zero does the same. */
const isRectifier = (node: Node) =>
  node.op === 'activation' && (node.kind === 'relu' || node.kind === 'relu6');

/** Whether ONNX Runtime has the operator on bytes. */
function computes(node: Node): boolean {
  switch (node.op) {
    case 'conv':
    case 'add':
    case 'multiply':
    case 'averagePool':
    case 'globalAveragePool':
      return true;
    case 'activation':
      return node.kind === 'sigmoid';
    default:
      return false;
  }
}

/** Decides what is computed on bytes. @param described lowered */
export function planQuantization(described: Graph): QuantizationPlan {
  checkGraph('planQuantization', described);
  const integer = new Set<string>();
  const readersBefore = readersOf(described);
  const outputs = new Set(described.outputs.map(({ name }) => name));
  const isAlone = (name: string) => !outputs.has(name) && readersBefore.get(name)?.length === 1;
  /** Nodes that are a ReLU as well, and its name. */
  const renamed = new Map<string, string>();
  for (const node of described.nodes) {
    const { name, inputs } = node;
    if (valueNamed(described, name).type !== 'float32') continue;
    const [x = ''] = inputs;
    if (isRectifier(node)) {
      if (!integer.has(x) || !isAlone(x)) continue;
      renamed.set(x, name);
      integer.delete(x);
      integer.add(name);
      continue;
    }
    // What leaves the network as numbers is joined as numbers, each part by its own scale.
    const joinsOutput = node.op === 'concat' && outputs.has(name);
    const moved = moves(node) && !joinsOutput && inputs.some((input) => integer.has(input));
    if (computes(node) || moved) integer.add(name);
  }
  const rectifiers = new Set(renamed.values());
  const graph: Graph = {
    ...described,
    nodes: described.nodes
      .filter(({ name }) => !rectifiers.has(name))
      .map((node) => ({ ...node, name: renamed.get(node.name) ?? node.name })),
    values: new Map([...described.values].filter(([name]) => !renamed.has(name))),
  };

  const pixels = pixelSources(graph, integer);
  const readers = readersOf(graph);
  const isStored = ({ name, type }: Value) =>
    type === 'float32' &&
    !pixels.has(name) &&
    (integer.has(name) || (readers.get(name) ?? []).some((reader) => integer.has(reader.name)));
  const stored = [...graph.values.values()].filter(isStored).map(({ name }) => name);
  const movers = graph.nodes.filter(
    (node) => moves(node) && integer.has(node.name) && !rectifiers.has(node.name),
  );
  const sources = shareQuantizers(stored, movers);
  return {
    graph,
    integer,
    sources,
    bounds: new Map(
      described.nodes.flatMap((node) => {
        const bounds = node.op === 'activation' && BOUNDS[node.kind];
        return bounds ? [[node.name, bounds]] : [];
      }),
    ),
    observed: [...new Set([...sources.values()].flat())],
    pixels,
  };
}

/** Padding is the byte that stands for zero: it may be this far from each channel's own zero. */
const FARTHEST_ZERO = 1;

/**
 * Pixels that are normalised for convolutions alone, which can take the normalisation into their weights. Where channels have
 * different zeros, as ImageNet's means are, padding would be another colour, and the pixels are normalised as floats.
 */
function pixelSources(graph: Graph, integer: ReadonlySet<string>): Map<string, PixelSource> {
  const producers = new Map(graph.nodes.map((node) => [node.name, node]));
  const readers = readersOf(graph);
  const outputs = new Set(graph.outputs.map(({ name }) => name));
  const sources = new Map<string, PixelSource>();
  for (const affine of graph.nodes) {
    if (affine.op !== 'affine' || outputs.has(affine.name)) continue;
    const cast = producers.get(affine.inputs[0] ?? '');
    const bytes = cast?.inputs[0] ?? '';
    if (cast?.op !== 'cast' || graph.values.get(bytes)?.type !== 'uint8') continue;
    if (outputs.has(cast.name) || readers.get(cast.name)?.length !== 1) continue;
    const convolves = (reader: Node) =>
      reader.op === 'conv' && reader.groups === 1 && reader.bias !== undefined && integer.has(reader.name);
    const zeros = affine.scale.map((scale, channel) => -(affine.offset[channel] as number) / scale);
    if (Math.max(...zeros) - Math.min(...zeros) > FARTHEST_ZERO) continue;
    if ((readers.get(affine.name) ?? []).every(convolves)) sources.set(affine.name, { bytes, affine });
  }
  return sources;
}

/** Unites the values that a mover reads and gives, so that it copies bytes; what a mover gives is no source of numbers. */
function shareQuantizers(stored: readonly string[], movers: readonly Node[]): Map<string, readonly string[]> {
  const parents = new Map<string, string>();
  const root = (name: string): string => {
    const parent = parents.get(name);
    return parent === undefined ? name : root(parent);
  };
  for (const { name, inputs } of movers) {
    for (const input of inputs) {
      const [a, b] = [root(input), root(name)];
      if (a !== b) parents.set(b, a);
    }
  }
  const given = new Set(movers.map(({ name }) => name));
  const members = new Map<string, string[]>();
  for (const name of stored) {
    if (given.has(name)) continue;
    const known = members.get(root(name));
    if (known) known.push(name);
    else members.set(root(name), [name]);
  }
  return new Map(stored.map((name) => [name, members.get(root(name)) ?? []]));
}
