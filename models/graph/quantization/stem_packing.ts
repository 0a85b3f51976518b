import { readersOf } from '../channelwise.ts';
import type { Convolution } from '../graph.ts';
import { valueNamed } from '../graph.ts';
import type { QuantizationPlan } from './plan.ts';
import type { QuantizedWeight } from './quantizer.ts';

/**
 * Integer kernels read channels by fours. Three a pixel make them copy every window; four pixels of a row side by side are
 * twelve, and lie in memory that way already.
 */
const PIXELS = 4;

/** A first convolution that can go by cells of four pixels. */
export interface PackedStem {
  readonly conv: Convolution;
  /** The value that holds the image, uint8 [H, W, C]. */
  readonly image: string;
  /** The transposed image, which is not needed any more. */
  readonly planes: string;
  /** The image as [H, W / 4, 4 * C]. */
  readonly cells: readonly [height: number, width: number, channels: number];
  /** Neighbouring results of a row that one cell gives, as so many groups of `outChannels`. */
  readonly results: number;
  /** Cells that a window reaches to the left of its own, and to the right. */
  readonly left: number;
  readonly right: number;
}

/** The stem, where the image's width is a multiple of four and the stride a part of four. */
export function packedStem({ graph, pixels }: QuantizationPlan): PackedStem | undefined {
  const readers = readersOf(graph);
  const [[name, source] = [], ...others] = pixels;
  if (!name || !source || others.length > 0) return undefined;
  const [conv, ...rest] = readers.get(name) ?? [];
  const planes = graph.nodes.find((node) => node.name === source.bytes);
  if (conv?.op !== 'conv' || rest.length > 0 || planes?.op !== 'transpose') return undefined;
  if (planes.permutation.join() !== '2,0,1' || readers.get(planes.name)?.length !== 1) return undefined;
  const { stride, kernel, padding, dilation } = conv;
  const [image = ''] = planes.inputs;
  const [height = 0, width = 0, channels = 0] = valueNamed(graph, image).shape;
  const outWidth = valueNamed(graph, conv.name).shape[2] ?? 0;
  if (width % PIXELS !== 0 || PIXELS % stride !== 0 || dilation !== 1) return undefined;
  if (outWidth * stride !== width) return undefined;
  const results = PIXELS / stride;
  return {
    conv,
    image,
    planes: planes.name,
    cells: [height, width / PIXELS, channels * PIXELS],
    results,
    left: Math.ceil(padding.left / PIXELS),
    right: Math.max(0, Math.floor(((results - 1) * stride - padding.left + kernel[1] - 1) / PIXELS)),
  };
}

/** The stem's weight for cells: the same numbers, and zeros, [results * filters, 4 * C, kernel height, cells]. */
export function packKernel(
  { conv, results, left, right }: PackedStem,
  { shape, data, scales }: QuantizedWeight,
): QuantizedWeight {
  const [filters = 0, channels = 0, height = 0, width = 0] = shape;
  const cells = left + 1 + right;
  const packed = new Int8Array(results * filters * channels * PIXELS * height * cells);
  for (let result = 0; result < results; result++) {
    for (let filter = 0; filter < filters; filter++) {
      const row = result * filters + filter;
      for (let channel = 0; channel < channels; channel++) {
        for (let y = 0; y < height; y++) {
          for (let x = 0; x < width; x++) {
            const pixel = result * conv.stride - conv.padding.left + x + left * PIXELS;
            const cell = Math.floor(pixel / PIXELS);
            const column = (pixel % PIXELS) * channels + channel;
            packed[((row * channels * PIXELS + column) * height + y) * cells + cell] = data[
              ((filter * channels + channel) * height + y) * width + x
            ] as number;
          }
        }
      }
    }
  }
  return {
    shape: [results * filters, channels * PIXELS, height, cells],
    data: packed,
    scales: repeat(scales, results),
  };
}

/** Constants of the filters, for each of a cell's results. */
export function repeat(numbers: Float32Array, results: number): Float32Array {
  return Float32Array.from(
    { length: numbers.length * results },
    (_, i) => numbers[i % numbers.length] as number,
  );
}
