/**
 * A network as data. A `Graph` is what everything else reads: the ONNX writer, the cost counter, the list of
 * weights that a checkpoint must hold, and the folding pass.
 *
 * Shapes are of one image. The batch is a free leading dimension of every value and is never written: a feature
 * map is [channels, height, width], an image that comes in as pixels [height, width, channels].
 */

export type DataType = 'uint8' | 'float32';

/** Dimensions of one image's value, batch left out. */
export type Shape = readonly number[];

/** A value that flows along the graph. Its name is the name of the node (or input) that produces it. */
export interface Value {
  readonly name: string;
  readonly type: DataType;
  readonly shape: Shape;
}

/** Height and width, or any other pair in that order. */
export type Pair = readonly [height: number, width: number];

/** Zero padding in pixels. */
export interface Padding {
  readonly top: number;
  readonly left: number;
  readonly bottom: number;
  readonly right: number;
}

/**
 * - `sigmoid`: 1 / (1 + exp(-x))
 * - `hardSigmoid`: clip(x + 3, 0, 6) / 6
 * - `hardSwish`: x * hardSigmoid(x) (Howard et al., arXiv 1905.02244, section 5.2)
 */
export type ActivationKind = (typeof ACTIVATION_KINDS)[number];
export const ACTIVATION_KINDS = ['relu', 'relu6', 'sigmoid', 'hardSigmoid', 'hardSwish'] as const;

interface NodeBase {
  readonly name: string;
  /** Names of the values read, in the operator's order. */
  readonly inputs: readonly string[];
  /** The block of the paper's table that the node belongs to (an inverted residual, a shuffle unit, ...). */
  readonly block?: string;
}

/** Changes the element type of a value. */
export interface Cast extends NodeBase {
  readonly op: 'cast';
  readonly to: DataType;
}

/** Reorders dimensions; `permutation` counts without the batch: [2, 0, 1] makes [H, W, C] into [C, H, W]. */
export interface Transpose extends NodeBase {
  readonly op: 'transpose';
  readonly permutation: readonly number[];
}

/** Lays the elements of an image out anew; the element count stays. */
export interface Reshape extends NodeBase {
  readonly op: 'reshape';
  readonly shape: Shape;
}

/** x * scale + offset, one pair a channel of a [C, H, W] value (input normalisation). */
export interface Affine extends NodeBase {
  readonly op: 'affine';
  readonly scale: readonly number[];
  readonly offset: readonly number[];
}

/** 2-D convolution over [C, H, W]. `weight` is [outChannels, C / groups, kernel height, kernel width], `bias` [outChannels]. */
export interface Convolution extends NodeBase {
  readonly op: 'conv';
  readonly outChannels: number;
  readonly kernel: Pair;
  readonly stride: number;
  readonly dilation: number;
  readonly groups: number;
  readonly padding: Padding;
  readonly weight: string;
  readonly bias?: string;
}

/** Batch normalisation in inference form: gamma * (x - mean) / sqrt(variance + epsilon) + beta, parameters [C]. */
export interface BatchNorm extends NodeBase {
  readonly op: 'batchNorm';
  readonly epsilon: number;
  readonly gamma: string;
  readonly beta: string;
  readonly mean: string;
  readonly variance: string;
}

export interface Activation extends NodeBase {
  readonly op: 'activation';
  readonly kind: ActivationKind;
}

/** Element-wise sum of two values of one shape (residual connection); the second may be [C, 1, 1], a number a channel. */
export interface Add extends NodeBase {
  readonly op: 'add';
}

/** Element-wise product; the second value may be [C, 1, 1], a factor a channel (squeeze-and-excitation). */
export interface Multiply extends NodeBase {
  readonly op: 'multiply';
}

/** Joins values along `axis` (counted without the batch). */
export interface Concat extends NodeBase {
  readonly op: 'concat';
  readonly axis: number;
}

/** Elements `start` up to `end` (left out) along `axis` (counted without the batch). */
export interface Slice extends NodeBase {
  readonly op: 'slice';
  readonly axis: number;
  readonly start: number;
  readonly end: number;
}

/**
 * Interleaves the channels of `groups` equal groups: channel i of group g moves to i * groups + g.
 * Source: Zhang et al., "ShuffleNet" (arXiv 1707.01083), section 3.1.
 */
export interface ChannelShuffle extends NodeBase {
  readonly op: 'channelShuffle';
  readonly groups: number;
}

/** Largest value of each window; padding never wins. With `ceil` a last window that is only partly inside counts too. */
export interface MaxPool extends NodeBase {
  readonly op: 'maxPool';
  readonly kernel: Pair;
  readonly stride: number;
  readonly padding: Padding;
  readonly ceil: boolean;
}

/** Mean of each window, zero padding counted in where `countPadding` says so. */
export interface AveragePool extends NodeBase {
  readonly op: 'averagePool';
  readonly kernel: Pair;
  readonly stride: number;
  readonly padding: Padding;
  readonly countPadding: boolean;
}

/** Repeats a [C, 1, 1] value over height and width: [C, H, W] (DeepLabv3's image pooling). */
export interface Broadcast extends NodeBase {
  readonly op: 'broadcast';
  readonly size: Pair;
}

/** Mean over height and width: [C, H, W] -> [C, 1, 1]. */
export interface GlobalAveragePool extends NodeBase {
  readonly op: 'globalAveragePool';
}

/** y = W x + b over a flat value [in]. `weight` is [outFeatures, in], `bias` [outFeatures]. */
export interface FullyConnected extends NodeBase {
  readonly op: 'fullyConnected';
  readonly outFeatures: number;
  readonly weight: string;
  readonly bias: string;
}

export type Node =
  | Cast
  | Transpose
  | Reshape
  | Affine
  | Convolution
  | BatchNorm
  | Activation
  | Add
  | Multiply
  | Concat
  | Slice
  | ChannelShuffle
  | MaxPool
  | AveragePool
  | Broadcast
  | GlobalAveragePool
  | FullyConnected;

/** A network: nodes in an order in which each reads only what came before it. */
export interface Graph {
  readonly name: string;
  readonly inputs: readonly Value[];
  readonly nodes: readonly Node[];
  readonly outputs: readonly Value[];
  /** Every value by name: the inputs and one output a node. */
  readonly values: ReadonlyMap<string, Value>;
}

/** A graph that cannot be: shapes that do not fit, a name used twice, an unknown value. Names the node. */
export class GraphError extends Error {
  override readonly name = 'GraphError';
}

/** The value called `name`. @throws GraphError if the graph has none. */
export function valueNamed(graph: Pick<Graph, 'name' | 'values'>, name: string): Value {
  const value = graph.values.get(name);
  if (!value) throw new GraphError(`graph '${graph.name}' has no value '${name}'`);
  return value;
}

/** Product of the dimensions: the number of elements of one image's value. */
export function elementCount(shape: Shape): number {
  return shape.reduce((product, dimension) => product * dimension, 1);
}
