import type { Graph, Node } from './graph.ts';
import { valueNamed } from './graph.ts';

/** A convolution each of whose outputs reads all channels: a new order or number of them is a matter of its weights. */
export const isDense = (node: Node): boolean => node.op === 'conv' && node.groups === 1;

/** Whether `node` has one input and treats every channel of it for itself, so that it gives channel for channel. */
export function isChannelwise(node: Node, graph: Graph): boolean {
  switch (node.op) {
    case 'conv': {
      const [channels] = valueNamed(graph, node.inputs[0] ?? '').shape;
      return node.groups === channels && node.outChannels === channels;
    }
    case 'activation':
    case 'maxPool':
    case 'averagePool':
    case 'globalAveragePool':
    case 'broadcast':
      return true;
    default:
      return false;
  }
}

/** Which channel of its input each channel of a `ChannelShuffle`'s output is. */
export function shuffledOrder(channels: number, groups: number): number[] {
  const perGroup = channels / groups;
  return Array.from({ length: channels }, (_, i) => (i % groups) * perGroup + Math.floor(i / groups));
}

/** The nodes that read each value; a value that nobody reads is not in it. */
export function readersOf(graph: Graph): Map<string, Node[]> {
  const readers = new Map<string, Node[]>();
  for (const node of graph.nodes) {
    for (const input of node.inputs) {
      const known = readers.get(input);
      if (known) known.push(node);
      else readers.set(input, [node]);
    }
  }
  return readers;
}
