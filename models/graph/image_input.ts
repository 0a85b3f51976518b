import type { GraphBuilder } from './builder.ts';
import type { Value } from './graph.ts';

/** Pixel value p (0 to 255) of channel c becomes p * scale[c] + offset[c]. Channels are red, green, blue. */
export interface Normalization {
  readonly scale: readonly [number, number, number];
  readonly offset: readonly [number, number, number];
}

/** [0, 255] to [-1, 1], as TensorFlow's MobileNets are trained. */
export const MINUS_ONE_TO_ONE: Normalization = {
  scale: [2 / 255, 2 / 255, 2 / 255],
  offset: [-1, -1, -1],
};

/**
 * What a network is given. `pixels`: bytes as a decoder gives them, normalised inside the graph, as a served model takes them.
 * `tensor`: floats that are normalised already, as references of other implementations hold them.
 */
export type NetworkInput =
  | { readonly kind: 'pixels'; readonly normalization: Normalization }
  | { readonly kind: 'tensor' };

/** Height and width of a network's input in pixels. */
export interface InputSize {
  readonly height: number;
  readonly width: number;
}

/** The start of a network: what a backbone reads, float32 [3, height, width], named `input`. */
export function networkInput(builder: GraphBuilder, size: InputSize, input: NetworkInput): Value {
  return input.kind === 'pixels'
    ? imageInput(builder, size, input.normalization)
    : builder.input('input', 'float32', [3, size.height, size.width]);
}

/**
 * The start of a served graph: pixels as a decoder gives them, uint8 [height, width, 3] (RGB), become the float
 * [3, height, width] that the network was trained on. Inside the graph this costs no pass over the pixels in
 * JavaScript; the transposition comes before the cast because it then moves a quarter of the bytes.
 */
export function imageInput(builder: GraphBuilder, size: InputSize, normalization: Normalization): Value {
  const pixels = builder.input('pixels', 'uint8', [size.height, size.width, 3]);
  const planes = builder.transpose('input.planes', pixels, [2, 0, 1]);
  const floats = builder.cast('input.float', planes, 'float32');
  return builder.affine('input', floats, normalization.scale, normalization.offset);
}
