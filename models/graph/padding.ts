import { described, orList } from '../arguments.ts';
import { GraphError } from './graph.ts';

/**
 * How a convolution's zero padding is chosen. It belongs to the weights: a checkpoint only works with the padding
 * that it was trained with.
 * - `same`: TensorFlow's SAME. As much as makes the output ceil(size / stride); where that is odd, the extra pixel
 *   goes after (bottom, right).
 * - `symmetric`: PyTorch's usual (kernel - 1) / 2 * dilation on both sides, whatever the stride.
 * - `valid`: none.
 */
export type PaddingMode = (typeof PADDING_MODES)[number];
export const PADDING_MODES = ['same', 'symmetric', 'valid'] as const;

/**
 * Pixels before and after, along one axis of `size` pixels.
 * @throws GraphError where there is no such mode
 * Source for `same`: tensorflow/tensorflow core/framework/common_shape_fns.cc (GetWindowedOutputSizeVerbose).
 */
export function axisPadding(
  mode: PaddingMode,
  size: number,
  kernel: number,
  stride: number,
  dilation: number,
): readonly [before: number, after: number] {
  if (!PADDING_MODES.includes(mode)) {
    throw new GraphError(`padding must be ${orList(PADDING_MODES)}, got ${described(mode)}`);
  }
  const extent = (kernel - 1) * dilation + 1;
  if (mode === 'valid') return [0, 0];
  if (mode === 'symmetric') {
    const side = Math.floor((extent - 1) / 2);
    return [side, side];
  }
  const total = Math.max((Math.ceil(size / stride) - 1) * stride + extent - size, 0);
  const before = Math.floor(total / 2);
  return [before, total - before];
}
