import { isChannelwise, isDense, readersOf, shuffledOrder } from './channelwise.ts';
import type { Convolution, Graph, Node, Slice, Value } from './graph.ts';
import { GraphError, valueNamed } from './graph.ts';
import { inferShape } from './shapes.ts';
import type { Tensor, Weights } from './tensor.ts';
import { tensor } from './tensor.ts';

/** Where one channel of a map is found: channel `channel` of the value `source`. */
interface Origin {
  readonly source: string;
  readonly channel: number;
}

/** A convolution's weights in new order: channel i of the folded graph's is channel `order[i]` of the original's. */
export interface ChannelOrder {
  readonly conv: Convolution;
  readonly order: readonly number[];
}

export interface FoldedShuffles {
  readonly graph: Graph;
  /** What `permuteWeights` needs. */
  readonly orders: readonly ChannelOrder[];
}

/** Whether `node` only moves whole channels about. */
const isRearrangement = (node: Node) =>
  node.op === 'channelShuffle' || ((node.op === 'slice' || node.op === 'concat') && node.axis === 0);

/** The values whose channels may come in any order, because every path from them ends in a dense convolution. */
function orderFree(graph: Graph): Set<string> {
  const readers = readersOf(graph);
  const outputs = new Set(graph.outputs.map(({ name }) => name));
  const free = new Set<string>();
  for (const { name } of graph.nodes.toReversed()) {
    const absorbs = (reader: Node) =>
      isDense(reader) || ((isRearrangement(reader) || isChannelwise(reader, graph)) && free.has(reader.name));
    if (!outputs.has(name) && (readers.get(name) ?? []).every(absorbs)) free.add(name);
  }
  return free;
}

/** Rewrites a graph node by node; `origins` says for every value of the old graph where its channels are in the new one. */
class ShuffleFolder {
  readonly orders: ChannelOrder[] = [];
  readonly #old: Graph;
  readonly #producers: ReadonlyMap<string, Node>;
  readonly #free: ReadonlySet<string>;
  readonly #origins = new Map<string, readonly Origin[]>();
  readonly #nodes: Node[] = [];
  readonly #values: Map<string, Value>;
  /** Age of each value of the new graph: what a packing sorts its sources by. */
  readonly #age = new Map<string, number>();

  constructor(graph: Graph) {
    this.#old = graph;
    this.#producers = new Map(graph.nodes.map((node) => [node.name, node]));
    this.#free = orderFree(graph);
    this.#values = new Map(graph.inputs.map((input) => [input.name, input]));
  }

  fold(): Graph {
    for (const node of this.#old.nodes) this.#rewrite(node);
    for (const { name } of this.#old.outputs) this.#logical(name);
    const read = new Set(this.#old.outputs.map(({ name }) => name));
    const nodes = this.#nodes.toReversed().filter((node) => {
      if (read.has(node.name)) for (const input of node.inputs) read.add(input);
      return read.has(node.name);
    });
    return {
      ...this.#old,
      inputs: this.#old.inputs.filter(({ name }) => read.has(name)),
      nodes: nodes.toReversed(),
      values: new Map([...this.#values].filter(([name]) => read.has(name))),
    };
  }

  #rewrite(node: Node): void {
    // Nothing is moved before it is known who reads it in which order.
    if (isRearrangement(node)) return;
    const [x = ''] = node.inputs;
    const dense = isDense(node);
    const permutable = dense || (isChannelwise(node, this.#old) && this.#free.has(node.name));
    if (!permutable || this.#isNatural(x)) {
      for (const input of node.inputs) this.#logical(input);
      this.#emit(node);
      return;
    }
    const { name: packed, order } = this.#packed(x);
    this.#emit({ ...node, inputs: [packed] });
    if (node.op === 'conv') this.orders.push({ conv: node, order });
    if (dense) return;
    const channels = new Array<Origin>(order.length);
    order.forEach((original, channel) => {
      channels[original] = { source: node.name, channel };
    });
    this.#origins.set(node.name, channels);
  }

  /** Whether the new graph holds `name` as it was anyway. */
  #isNatural(name: string): boolean {
    const producer = this.#producers.get(name);
    return !(producer && isRearrangement(producer)) && !this.#origins.has(name);
  }

  #originsOf(name: string): readonly Origin[] {
    const known = this.#origins.get(name);
    if (known) return known;
    const node = this.#producers.get(name);
    let channels: readonly Origin[];
    if (!node || !isRearrangement(node)) {
      const [count = 0] = valueNamed(this.#old, name).shape;
      return Array.from({ length: count }, (_, channel) => ({ source: name, channel }));
    }
    const joined = node.inputs.flatMap((input) => this.#originsOf(input));
    if (node.op === 'slice') channels = joined.slice(node.start, node.end);
    else if (node.op === 'channelShuffle') {
      channels = shuffledOrder(joined.length, node.groups).map((channel) => joined[channel] as Origin);
    } else channels = joined;
    this.#origins.set(name, channels);
    return channels;
  }

  /**
   * A value of the new graph with the channels of `name` in the order that is cheapest to gather: source after source, and
   * in each the channels as they lie. `order[i]` is the channel of `name` that comes i-th.
   */
  #packed(name: string): { name: string; order: readonly number[] } {
    const origins = this.#originsOf(name);
    const at = (channel: number) => origins[channel] as Origin;
    const order = origins
      .map((_, channel) => channel)
      .sort(
        (a, b) =>
          (this.#age.get(at(a).source) ?? 0) - (this.#age.get(at(b).source) ?? 0) ||
          at(a).channel - at(b).channel,
      );
    const runs: { source: string; start: number; end: number }[] = [];
    for (const channel of order) {
      const { source, channel: from } = at(channel);
      const last = runs.at(-1);
      if (last && last.source === source && last.end === from) last.end += 1;
      else runs.push({ source, start: from, end: from + 1 });
    }
    const pieces = runs.map(({ source, start, end }) => this.#piece(source, start, end));
    const [only = ''] = pieces;
    if (pieces.length === 1) return { name: only, order };
    const packed = `${name}.packed`;
    if (!this.#values.has(packed)) {
      this.#emit({ ...this.#blockOf(name), op: 'concat', name: packed, inputs: pieces, axis: 0 });
    }
    return { name: packed, order };
  }

  #piece(source: string, start: number, end: number): string {
    if (start === 0 && end === valueNamed({ name: this.#old.name, values: this.#values }, source).shape[0]) {
      return source;
    }
    const name = `${source}.${start}-${end}`;
    if (!this.#values.has(name)) {
      const slice: Slice = {
        ...this.#blockOf(source),
        op: 'slice',
        name,
        inputs: [source],
        axis: 0,
        start,
        end,
      };
      this.#emit(slice);
    }
    return name;
  }

  #blockOf(name: string): { block?: string } {
    const block = this.#producers.get(name)?.block;
    return block === undefined ? {} : { block };
  }

  /** Sees to it that the new graph has `name` with its channels in the old order. */
  #logical(name: string): void {
    const node = this.#producers.get(name);
    if (!node || !isRearrangement(node) || this.#values.has(name)) return;
    for (const input of node.inputs) this.#logical(input);
    this.#emit(node);
  }

  #emit(node: Node): void {
    const inputs = node.inputs.map((name) =>
      valueNamed({ name: this.#old.name, values: this.#values }, name),
    );
    this.#values.set(node.name, { name: node.name, ...inferShape(node, inputs) });
    this.#age.set(node.name, this.#age.size);
    this.#nodes.push(node);
  }
}

/**
 * The same network with its channel shuffles gone wherever dense convolutions can take the permutation into their
 * weights. Splitting, joining and shuffling channels moves data without computing; what a convolution reads through any chain of
 * them is some channels of some older maps, and the order in which it reads them is only the order of its weights. So each
 * map is cut where its readers need it, the pieces are joined as they lie, and `permuteWeights` does the rest, once.
 * Depthwise convolutions, activations and pooling pass the order through. Where something else reads (an output, a
 * grouped convolution, a sum) the original nodes stay.
 *
 * In ShuffleNetV2 (Ma et al., arXiv 1807.11164) no transposition is left: a unit's half that passes through is never moved.
 * @param graph batch normalisation folded, where it is to be passed through
 */
export function foldShuffles(graph: Graph): FoldedShuffles {
  if (!graph.nodes.some(({ op }) => op === 'channelShuffle')) return { graph, orders: [] };
  const folder = new ShuffleFolder(graph);
  return { graph: folder.fold(), orders: folder.orders };
}

/** Rows of `length` elements in new order: row i of each of `blocks` blocks is the old row `order[i]`. */
function permuteRows(
  data: Float32Array,
  order: readonly number[],
  blocks: number,
  length: number,
): Float32Array {
  const permuted = new Float32Array(data.length);
  for (let block = 0, to = 0; block < blocks; block++) {
    for (const row of order) {
      const from = (block * order.length + row) * length;
      permuted.set(data.subarray(from, from + length), to);
      to += length;
    }
  }
  return permuted;
}

/**
 * Weights for `foldShuffles(graph).graph`: the input channels of dense convolutions, and the filters and biases of depthwise
 * ones, in their new order. The numbers are the same, bit for bit.
 * @throws GraphError naming a tensor that is missing
 */
export function permuteWeights(
  { orders }: Pick<FoldedShuffles, 'orders'>,
  weights: Weights,
): Map<string, Tensor> {
  const permuted = new Map(weights);
  for (const { conv, order } of orders) {
    const kernel = weights.get(conv.weight);
    if (!kernel) throw new GraphError(`weight '${conv.weight}' is missing`);
    const window = conv.kernel[0] * conv.kernel[1];
    const filters = isDense(conv) ? conv.outChannels : 1;
    permuted.set(conv.weight, tensor(kernel.shape, permuteRows(kernel.data, order, filters, window)));
    if (isDense(conv) || !conv.bias) continue;
    const bias = weights.get(conv.bias);
    if (!bias) throw new GraphError(`weight '${conv.bias}' is missing`);
    permuted.set(conv.bias, tensor(bias.shape, permuteRows(bias.data, order, 1, 1)));
  }
  return permuted;
}
