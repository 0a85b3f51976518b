import type { Tensor } from '../tensor.ts';
import { tensor } from '../tensor.ts';
import type { PixelSource } from './plan.ts';
import type { Quantizer } from './quantizer.ts';

/** A convolution's constants, and the mean of each channel that it reads. */
export interface Constants {
  readonly kernel: Tensor;
  readonly bias: Tensor | undefined;
  readonly means: readonly number[] | undefined;
}

const mean = (numbers: readonly number[]) => numbers.reduce((sum, x) => sum + x, 0) / numbers.length;

/** How bytes of an image are understood where they are not touched: zero is the byte nearest to it, over the channels. */
export function pixelQuantizer({ affine: { scale, offset } }: PixelSource): Quantizer {
  const zero = mean(scale.map((factor, channel) => -(offset[channel] as number) / factor));
  return { scale: Math.fround(mean(scale)), zeroPoint: Math.max(0, Math.min(255, Math.round(zero))) };
}

/**
 * Constants of the first convolution for bytes that it reads by `pixelQuantizer`, made for the numbers that the affine gives: the
 * ratio of a channel's scales goes into the weights, what zero is off by into the bias. So nothing is rounded; only where the
 * window lies over padding is that byte's distance from zero left, half a byte for [0, 255] to [-1, 1].
 */
export function withNormalization(
  { kernel, bias, means }: Constants,
  { affine }: PixelSource,
  { scale, zeroPoint }: Quantizer,
): Constants {
  const [filters = 0, channels = 0, height = 1, width = 1] = kernel.shape;
  const window = height * width;
  const ratio = affine.scale.map((factor) => factor / scale);
  const rest = affine.offset.map((offset, channel) => offset + (affine.scale[channel] as number) * zeroPoint);
  const weights = new Float32Array(kernel.data.length);
  const biases = new Float32Array(filters);
  for (let filter = 0, at = 0; filter < filters; filter++) {
    let sum = bias?.data[filter] ?? 0;
    for (let channel = 0; channel < channels; channel++) {
      for (let i = 0; i < window; i++, at++) {
        const weight = kernel.data[at] as number;
        weights[at] = weight * (ratio[channel] as number);
        sum += weight * (rest[channel] as number);
      }
    }
    biases[filter] = sum;
  }
  return {
    kernel: tensor(kernel.shape, weights),
    bias: tensor([filters], biases),
    means: means?.map((x, channel) => (x - (rest[channel] as number)) / (ratio[channel] as number)),
  };
}
