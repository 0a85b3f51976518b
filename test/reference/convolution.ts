import type { Convolution, Shape } from '../../models/graph/graph.ts';
import type { Tensor } from '../../models/graph/tensor.ts';

/** What a convolution by its definition needs to know. */
export type Window = Pick<Convolution, 'stride' | 'dilation' | 'groups'> & {
  readonly padding: Pick<Convolution['padding'], 'top' | 'left'>;
};

/**
 * A convolution by its definition, in double precision: the sum over the window, zero outside.
 * @param input [channels, height, width]
 * @param outShape [outChannels, outHeight, outWidth]
 */
export function convolve(
  input: { readonly shape: Shape; readonly data: ArrayLike<number> },
  { weight, bias }: { readonly weight: Tensor; readonly bias?: Tensor | undefined },
  { stride, dilation, groups, padding }: Window,
  outShape: Shape,
): { shape: Shape; data: Float64Array } {
  const [channels = 0, height = 0, width = 0] = input.shape;
  const [outChannels = 0, outHeight = 0, outWidth = 0] = outShape;
  const [, perGroup = 0, kernelHeight = 0, kernelWidth = 0] = weight.shape;
  const data = new Float64Array(outChannels * outHeight * outWidth);
  for (let o = 0, at = 0; o < outChannels; o++) {
    const first = Math.floor(o / (outChannels / groups)) * (channels / groups);
    for (let y = 0; y < outHeight; y++) {
      for (let x = 0; x < outWidth; x++, at++) {
        let sum = bias?.data[o] ?? 0;
        for (let ky = 0; ky < kernelHeight; ky++) {
          const row = y * stride + ky * dilation - padding.top;
          if (row < 0 || row >= height) continue;
          for (let kx = 0; kx < kernelWidth; kx++) {
            const column = x * stride + kx * dilation - padding.left;
            if (column < 0 || column >= width) continue;
            for (let c = 0; c < perGroup; c++) {
              sum +=
                (input.data[((first + c) * height + row) * width + column] as number) *
                (weight.data[((o * perGroup + c) * kernelHeight + ky) * kernelWidth + kx] as number);
            }
          }
        }
        data[at] = sum;
      }
    }
  }
  return { shape: outShape, data };
}
