import { isDense, readersOf } from './channelwise.ts';
import type { Add, Broadcast, Concat, Convolution, Graph, Node, Value } from './graph.ts';
import { GraphError, valueNamed } from './graph.ts';
import { inferShape } from './shapes.ts';
import type { Tensor, Weights } from './tensor.ts';
import { tensor } from './tensor.ts';

/** A 1x1 convolution of a join that is now two: one of the maps, one of the single cells that were repeated over them. */
export interface SplitConvolution {
  readonly conv: Convolution;
  readonly maps: Convolution;
  readonly cells: Convolution;
  /** For each channel that `conv` reads, whether it was that of a single cell. */
  readonly repeated: readonly boolean[];
}

export interface FoldedBroadcasts {
  readonly graph: Graph;
  /** What `splitWeights` needs. */
  readonly splits: readonly SplitConvolution[];
}

/** A join of maps and repeated cells, and the 1x1 convolution that alone reads it. */
interface Site {
  readonly conv: Convolution;
  readonly join: Concat;
  readonly broadcasts: ReadonlyMap<string, Broadcast>;
}

function sitesOf(graph: Graph): Map<string, Site> {
  const producers = new Map(graph.nodes.map((node) => [node.name, node]));
  const readers = readersOf(graph);
  const outputs = new Set(graph.outputs.map(({ name }) => name));
  const sites = new Map<string, Site>();
  for (const conv of graph.nodes) {
    if (conv.op !== 'conv' || !isDense(conv) || conv.stride !== 1) continue;
    if (conv.kernel.some((side) => side !== 1) || Object.values(conv.padding).some((pad) => pad !== 0))
      continue;
    const join = producers.get(conv.inputs[0] ?? '');
    if (join?.op !== 'concat' || join.axis !== 0) continue;
    if (outputs.has(join.name) || readers.get(join.name)?.length !== 1) continue;
    const broadcasts = new Map<string, Broadcast>();
    for (const name of join.inputs) {
      const node = producers.get(name);
      if (node?.op === 'broadcast') broadcasts.set(name, node);
    }
    if (broadcasts.size === 0 || join.inputs.every((name) => broadcasts.has(name))) continue;
    sites.set(conv.name, { conv, join, broadcasts });
  }
  return sites;
}

/**
 * The same network where a 1x1 convolution reads cells that are repeated over a map, as DeepLabv3's projection reads its image
 * pooling: the sum over their channels is the same at every place, so that it is computed once and added. That is a
 * fortieth less work for the mobile form, and what runs holds no size: only convolutions, pooling and sums.
 * @param graph batch normalisation folded
 */
export function foldBroadcasts(graph: Graph): FoldedBroadcasts {
  const sites = sitesOf(graph);
  if (sites.size === 0) return { graph, splits: [] };
  const splits: SplitConvolution[] = [];
  const nodes = graph.nodes.flatMap((node): Node[] => {
    const site = sites.get(node.name);
    if (!site) return [node];
    const { conv, join, broadcasts } = site;
    const block = conv.block === undefined ? {} : { block: conv.block };
    const joined = (name: string, inputs: readonly string[]): [string, Node[]] =>
      inputs.length === 1 && inputs[0] !== undefined
        ? [inputs[0], []]
        : [name, [{ ...block, op: 'concat', name, inputs, axis: 0 }]];
    const isRepeated = (name: string) => broadcasts.has(name);
    const [mapInput, mapJoin] = joined(
      `${join.name}.maps`,
      join.inputs.filter((name) => !isRepeated(name)),
    );
    const [cellInput, cellJoin] = joined(
      `${join.name}.cells`,
      join.inputs.flatMap((name) => broadcasts.get(name)?.inputs ?? []),
    );
    const part = (name: string, input: string): Convolution => ({
      ...conv,
      name,
      inputs: [input],
      weight: `${name}.weight`,
    });
    const { bias: _, ...cells } = part(`${conv.name}.cells`, cellInput);
    const maps = part(`${conv.name}.maps`, mapInput);
    const sum: Add = { ...block, op: 'add', name: conv.name, inputs: [maps.name, cells.name] };
    const repeated = join.inputs.flatMap((name) =>
      new Array<boolean>(valueNamed(graph, name).shape[0] ?? 0).fill(isRepeated(name)),
    );
    splits.push({ conv, maps, cells, repeated });
    return [...mapJoin, ...cellJoin, maps, cells, sum];
  });
  return { graph: onlyRead({ ...graph, nodes }), splits };
}

/** Leaves out what nobody reads any more, and infers the values again. */
function onlyRead(graph: Graph): Graph {
  const read = new Set(graph.outputs.map(({ name }) => name));
  const nodes = graph.nodes
    .toReversed()
    .filter((node) => {
      if (read.has(node.name)) for (const input of node.inputs) read.add(input);
      return read.has(node.name);
    })
    .toReversed();
  const values = new Map<string, Value>(graph.inputs.map((input) => [input.name, input]));
  for (const node of nodes) {
    const inputs = node.inputs.map((name) => valueNamed({ name: graph.name, values }, name));
    values.set(node.name, { name: node.name, ...inferShape(node, inputs) });
  }
  return { ...graph, nodes, values };
}

/**
 * Weights for `foldBroadcasts(graph).graph`: the columns of each split convolution, dealt out to its two parts.
 * @throws GraphError naming a tensor that is missing
 */
export function splitWeights(
  { splits }: Pick<FoldedBroadcasts, 'splits'>,
  weights: Weights,
): Map<string, Tensor> {
  const dealt = new Map(weights);
  for (const { conv, maps, cells, repeated } of splits) {
    const kernel = weights.get(conv.weight);
    if (!kernel) throw new GraphError(`weight '${conv.weight}' is missing`);
    dealt.delete(conv.weight);
    for (const [part, wanted] of [
      [maps, false],
      [cells, true],
    ] as const) {
      const columns = repeated.flatMap((is, column) => (is === wanted ? [column] : []));
      const data = new Float32Array(conv.outChannels * columns.length);
      for (let row = 0, to = 0; row < conv.outChannels; row++) {
        for (const column of columns) data[to++] = kernel.data[row * repeated.length + column] as number;
      }
      dealt.set(part.weight, tensor([conv.outChannels, columns.length, 1, 1], data));
    }
  }
  return dealt;
}
