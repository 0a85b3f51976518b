import type { Graph, Value } from './graph.ts';
import { elementCount } from './graph.ts';
import type { Block, Layer } from './layers.ts';
import { blocksOf, layersOf } from './layers.ts';
import { bytesOf } from './memory_access.ts';

/** The most activation memory of one image that is needed at one time. */
export interface Peak {
  readonly bytes: number;
  /** The layer or block during which it is. */
  readonly at: string;
}

/**
 * Activation memory, three ways. Weights are not in it. A reshape is a view; every other layer writes a value of its own,
 * and a layer needs no storage beside inputs and output: convolutions are taken as computed directly.
 *
 * Source: Sandler et al., "MobileNetV2" (arXiv 1801.04381), section 5.1.
 */
export interface PeakMemory {
  /**
   * The paper's bound: the largest sum of one layer's inputs and output. It leaves out what only waits for its reader
   * meanwhile, as the input of a shortcut does.
   */
  readonly layers: Peak;
  /**
   * The paper's bound with each block as one operator: its inputs, its outputs, and what is left of its inner values when they
   * are computed a slice of their channels at a time. Layers outside of blocks count as above.
   */
  readonly blocks: Peak;
  /** Every value kept from when it is made to its last reader, layers one by one in the graph's order. */
  readonly scheduled: Peak;
}

export interface PeakMemoryOptions {
  /** Bytes an element of an activation takes. */
  readonly elementBytes?: number;
  /** The paper's t: in how many slices a block computes its inner values. 1 keeps them whole. */
  readonly slices?: number;
}

/** What section 5.1 finds to work best is 2 to 5. */
export const DEFAULT_SLICES = 4;

/** The three peaks of `graph`. Where two places need the same, the first is named. */
export function peakMemory(
  graph: Graph,
  { elementBytes = 4, slices = DEFAULT_SLICES }: PeakMemoryOptions = {},
  layers: readonly Layer[] = layersOf(graph),
): PeakMemory {
  const blocks = blocksOf(graph, layers);
  const sum = (values: readonly Value[]) =>
    unique(values).reduce((bytes, value) => bytes + bytesOf(value, elementBytes), 0);
  const ofLayer = ({ node, inputs, output }: Layer): Peak => ({
    bytes: node.op === 'reshape' ? 0 : sum([...inputs, output]),
    at: node.name,
  });
  const ofBlock = (block: Block): Peak => ({
    bytes: sum([...block.inputs, ...block.outputs]) + innerStorage(block, elementBytes, slices),
    at: block.name,
  });
  return {
    layers: highest(layers.map(ofLayer)),
    blocks: highest([
      ...layers.filter(({ node }) => node.block === undefined).map(ofLayer),
      ...blocks.map(ofBlock),
    ]),
    scheduled: highest(schedule(graph, layers, elementBytes)),
  };
}

function highest(peaks: readonly Peak[]): Peak {
  return peaks.reduce((most, peak) => (peak.bytes > most.bytes ? peak : most), { bytes: 0, at: '' });
}

function unique(values: readonly Value[]): Value[] {
  return [...new Map(values.map((value) => [value.name, value])).values()];
}

/** What is kept during each layer. */
function schedule(graph: Graph, layers: readonly Layer[], elementBytes: number): Peak[] {
  // A view keeps what it shows: both go by the name of the value that takes the memory.
  const source = new Map<string, Value>();
  const owner = (value: Value) => source.get(value.name) ?? value;
  for (const { node, inputs, output } of layers) {
    const [first] = inputs;
    if (node.op === 'reshape' && first) source.set(output.name, owner(first));
  }
  const lastRead = new Map<string, number>();
  layers.forEach(({ inputs }, index) => {
    for (const value of inputs) lastRead.set(owner(value).name, index);
  });
  for (const value of graph.outputs) lastRead.set(owner(value).name, layers.length);
  const kept = new Map(graph.inputs.map((value) => [value.name, value]));
  return layers.map(({ node, output }, index) => {
    const value = owner(output);
    kept.set(value.name, value);
    const bytes = [...kept.values()].reduce((total, each) => total + bytesOf(each, elementBytes), 0);
    for (const name of kept.keys()) if ((lastRead.get(name) ?? 0) <= index) kept.delete(name);
    return { bytes, at: node.name };
  });
}

/** Layers that only put values elsewhere: inside of a block their readers can as well look where the values were. */
const MOVES: ReadonlySet<string> = new Set(['slice', 'concat', 'channelShuffle', 'reshape', 'transpose']);
/** Layers whose inputs can be made in the place of their output. */
const IN_PLACE: ReadonlySet<string> = new Set(['concat', 'channelShuffle', 'reshape', 'add', 'activation']);

/**
 * What a block needs beside its inputs and outputs: the most inner values that one of its layers holds, each a slice of its
 * channels at a time. A value that is needed as a whole before it can be used (its mean scales it, or it is itself a sum over
 * a sliced value's channels) is kept whole. Parts of the block's input, and what becomes part of its output by joining,
 * shuffling or adding, take no room of their own.
 */
function innerStorage({ layers, inputs, outputs }: Block, elementBytes: number, slices: number): number {
  const placed = new Set([...inputs, ...outputs].map(({ name }) => name));
  for (const { node, inputs: read, output } of layers) {
    if ((node.op === 'slice' || node.op === 'reshape') && read.every(({ name }) => placed.has(name)))
      placed.add(output.name);
  }
  for (const { node, inputs: read, output } of layers.toReversed()) {
    if (IN_PLACE.has(node.op) && placed.has(output.name)) for (const { name } of read) placed.add(name);
  }
  const whole = new Set<string>();
  for (const { node, inputs: read, output } of layers) {
    const sliced = read.some(({ name }) => !placed.has(name) && !whole.has(name));
    const mixes = node.op === 'fullyConnected' || (node.op === 'conv' && node.groups < node.outChannels);
    if (sliced && mixes) whole.add(output.name);
    if (node.op === 'globalAveragePool') for (const { name } of [...read, output]) whole.add(name);
  }
  const held = (value: Value): number => {
    if (placed.has(value.name)) return 0;
    const [channels = 1] = value.shape;
    const share = whole.has(value.name) ? 1 : Math.ceil(channels / slices) / channels;
    return Math.round(elementCount(value.shape) * share) * elementBytes;
  };
  const needs = layers
    .filter(({ node }) => !MOVES.has(node.op))
    .map(({ inputs: read, output }) =>
      unique([...read, output]).reduce((sum, value) => sum + held(value), 0),
    );
  return Math.max(0, ...needs);
}
