import type { Tensor } from '../tensor.ts';

/** Lowest and highest number that a value is expected to take. */
export type Range = readonly [low: number, high: number];

/** How numbers are told in unsigned bytes: byte q stands for (q - zeroPoint) * scale. */
export interface Quantizer {
  readonly scale: number;
  readonly zeroPoint: number;
}

const LEVELS = 255;
/** Of a range that holds nothing but zero; any would do. */
const NO_SPREAD: Quantizer = { scale: 1, zeroPoint: 0 };

/**
 * Bytes for the numbers of a range, which is widened to hold zero: padding must be exact. Numbers beyond it become its ends,
 * so that a range of [0, 6] is a ReLU6 as well.
 * Source: Jacob et al. (arXiv 1712.05877), section 2.1 and 3.1.
 */
export function quantizerOf([low, high]: Range): Quantizer {
  const least = Math.min(low, 0);
  // What is stored is in single precision.
  const scale = Math.fround((Math.max(high, 0) - least) / LEVELS);
  if (scale === 0) return NO_SPREAD;
  return { scale, zeroPoint: Math.min(LEVELS, Math.round(Math.abs(least) / scale)) };
}

/**
 * A convolution's weight in signed bytes: `data` times the scale of its output channel, the first dimension.
 * x86 without VNNI adds products by pairs in 16 bits, which largest bytes overflow; a session there is to be opened with ONNX
 * Runtime's `session.x64quantprecision` set.
 */
export interface QuantizedWeight {
  readonly shape: readonly number[];
  readonly data: Int8Array;
  readonly scales: Float32Array;
}

/** -128 is left out: what stays is symmetric. */
const LARGEST_WEIGHT = 127;

/**
 * Each output channel of a weight by its own scale, the smallest that reaches its largest number.
 * Source: Krishnamoorthi, "Quantizing deep convolutional networks for efficient inference" (arXiv 1806.08342), section 3.1.
 * @param leastScales no channel's scale is smaller than this
 */
export function quantizeWeight(
  { shape, data }: Tensor,
  leastScales: (channel: number) => number = () => 0,
): QuantizedWeight {
  const [channels = 0] = shape;
  const length = data.length / channels;
  const quantized = new Int8Array(data.length);
  const scales = new Float32Array(channels);
  for (let channel = 0; channel < channels; channel++) {
    const row = data.subarray(channel * length, (channel + 1) * length);
    const largest = row.reduce((most, weight) => Math.max(most, Math.abs(weight)), 0);
    const scale = Math.fround(Math.max(largest / LARGEST_WEIGHT, leastScales(channel))) || 1;
    scales[channel] = scale;
    row.forEach((weight, i) => {
      const level = Math.round(weight / scale);
      quantized[channel * length + i] = Math.max(-LARGEST_WEIGHT, Math.min(LARGEST_WEIGHT, level));
    });
  }
  return { shape, data: quantized, scales };
}

/** What a quantised weight stands for. */
export function dequantizeWeight({ shape, data, scales }: QuantizedWeight): Tensor {
  const length = data.length / scales.length;
  return {
    shape,
    data: Float32Array.from(data, (level, i) => level * (scales[Math.floor(i / length)] as number)),
  };
}
