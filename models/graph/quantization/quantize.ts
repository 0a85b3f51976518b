import { checkGraph, checkWeights } from '../../arguments.ts';
import { padWeights } from '../channel_padding.ts';
import type { Convolution, Graph } from '../graph.ts';
import { GraphError } from '../graph.ts';
import type { Tensor, Weights } from '../tensor.ts';
import { tensor } from '../tensor.ts';
import type { ActivationRanges, Calibrated } from './calibrated.ts';
import { checkCalibrated } from './calibrated.ts';
import { padDepthwise } from './channel_padding.ts';
import { pixelQuantizer, withNormalization } from './pixel_input.ts';
import type { QuantizationPlan } from './plan.ts';
import { planQuantization } from './plan.ts';
import type { QuantizedWeight, Quantizer, Range } from './quantizer.ts';
import { quantizerOf, quantizeWeight } from './quantizer.ts';

/** A network on bytes, with all its constants. */
export interface QuantizedNetwork {
  readonly plan: QuantizationPlan;
  /** Of every value that is stored in bytes, pixels included. */
  readonly quantizers: ReadonlyMap<string, Quantizer>;
  /** Weights of the convolutions on bytes. */
  readonly kernels: ReadonlyMap<string, QuantizedWeight>;
  /** All other weights, biases included. */
  readonly floats: Weights;
}

/** A bias becomes a 32-bit integer, in steps of its input's scale times its weight's. This leaves room for the products. */
const LARGEST_BIAS = 2 ** 30;

/**
 * Static quantisation of a trained network: activations in unsigned bytes, one range a value, weights in signed bytes, one scale an
 * output channel.
 * Source: Jacob et al. (arXiv 1712.05877); Krishnamoorthi (arXiv 1806.08342), section 3.
 * @param graph lowered
 * @param weights of `graph`
 * @param calibrated by a `Calibration` of the same graph. Without means, biases are not corrected.
 * @throws CalibrationError naming a range that is missing or none, GraphError naming a weight that is missing
 */
export function quantize(
  graph: Graph,
  weights: Weights,
  { ranges, means = new Map() }: Pick<Calibrated, 'ranges'> & Partial<Calibrated>,
): QuantizedNetwork {
  checkGraph('quantize', graph);
  checkWeights('quantize', weights);
  const padded = padDepthwise(graph);
  const plan = planQuantization(padded.graph);
  checkCalibrated({ ranges, means }, plan);
  const quantizers = new Map<string, Quantizer>();
  for (const [name, sources] of plan.sources) quantizers.set(name, sharedQuantizer(plan, ranges, sources));
  for (const [name, source] of plan.pixels) quantizers.set(name, pixelQuantizer(source));

  const floats = padWeights(padded, weights);
  const kernels = new Map<string, QuantizedWeight>();
  for (const conv of plan.graph.nodes) {
    if (conv.op !== 'conv' || !plan.integer.has(conv.name)) continue;
    const [x = ''] = conv.inputs;
    const input = quantizers.get(x);
    if (!input) throw new GraphError(`'${conv.name}' reads '${x}', which is not stored in bytes`);
    const source = plan.pixels.get(x);
    const given = { ...take(conv, floats), means: means.get(x) };
    const constants = source ? withNormalization(given, source, input) : given;
    const { kernel, bias } = constants;
    const quantized = quantizeWeight(
      kernel,
      (filter) => Math.abs(bias?.data[filter] ?? 0) / (LARGEST_BIAS * input.scale),
    );
    kernels.set(conv.weight, quantized);
    floats.delete(conv.weight);
    if (!bias || !conv.bias) continue;
    floats.set(
      conv.bias,
      constants.means ? correctBias(conv, kernel, quantized, bias, constants.means) : bias,
    );
  }
  return { plan, quantizers, kernels, floats };
}

function take(conv: Convolution, weights: Weights): { kernel: Tensor; bias: Tensor | undefined } {
  const kernel = weights.get(conv.weight);
  if (!kernel) throw new GraphError(`weight '${conv.weight}' is missing`);
  const bias = conv.bias === undefined ? undefined : weights.get(conv.bias);
  if (conv.bias !== undefined && !bias) throw new GraphError(`weight '${conv.bias}' is missing`);
  return { kernel, bias };
}

/** One for all numbers that the sources give, within what their activation functions let through. */
function sharedQuantizer(
  { bounds }: QuantizationPlan,
  ranges: ActivationRanges,
  sources: readonly string[],
): Quantizer {
  const all = sources.map((name): Range => {
    const [low = 0, high = 0] = ranges.get(name) ?? [];
    const [least, most] = bounds.get(name) ?? [Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY];
    return [Math.max(least, low), Math.min(most, high)];
  });
  return quantizerOf([Math.min(...all.map(([low]) => low)), Math.max(...all.map(([, high]) => high))]);
}

/**
 * A bias that takes back what the rounding of the weights adds to a channel's mean: the sum over its window of each weight's
 * error times the mean of what it is multiplied by. In MobileNetV2, behind whose ReLU6s all means are positive, that is most of
 * what quantisation does to the outputs.
 * Source: Nagel et al., "Data-free quantization through weight equalization and bias correction" (arXiv 1906.04721), section 4.2.
 */
function correctBias(
  { groups, outChannels }: Convolution,
  { shape, data }: Tensor,
  quantized: QuantizedWeight,
  bias: Tensor,
  means: readonly number[],
): Tensor {
  const [, channels = 0, height = 1, width = 1] = shape;
  const window = height * width;
  const perGroup = outChannels / groups;
  const corrected = Float32Array.from(bias.data);
  for (let filter = 0, at = 0; filter < outChannels; filter++) {
    const first = Math.floor(filter / perGroup) * channels;
    const scale = quantized.scales[filter] as number;
    let shift = 0;
    for (let channel = 0; channel < channels; channel++) {
      // Channels that were added are zero.
      const mean = means[first + channel] ?? 0;
      for (let i = 0; i < window; i++, at++) {
        shift += ((quantized.data[at] as number) * scale - (data[at] as number)) * mean;
      }
    }
    corrected[filter] = (corrected[filter] as number) - shift;
  }
  return tensor(bias.shape, corrected);
}
