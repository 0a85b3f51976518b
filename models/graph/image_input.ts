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
 * The start of a served graph: pixels as a decoder gives them, uint8 [height, width, 3] (RGB), become the float
 * [3, height, width] that the network was trained on. Inside the graph this costs no pass over the pixels in
 * JavaScript; the transposition comes before the cast because it then moves a quarter of the bytes.
 */
export function imageInput(
  builder: GraphBuilder,
  size: { readonly height: number; readonly width: number },
  normalization: Normalization,
): Value {
  const pixels = builder.input('pixels', 'uint8', [size.height, size.width, 3]);
  const planes = builder.transpose('input.planes', pixels, [2, 0, 1]);
  const floats = builder.cast('input.float', planes, 'float32');
  return builder.affine('input', floats, normalization.scale, normalization.offset);
}
