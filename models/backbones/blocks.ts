import type { ConvolutionOptions, GraphBuilder } from '../graph/builder.ts';
import type { ActivationKind, Value } from '../graph/graph.ts';
import type { PaddingMode } from '../graph/padding.ts';

/**
 * What belongs to a checkpoint rather than to an architecture: the padding that it was trained with, its batch
 * normalisation's epsilon, and the activation. A backbone and its head may differ.
 */
export interface Style {
  readonly padding: PaddingMode;
  readonly epsilon: number;
  readonly activation: ActivationKind;
  /** MobileNetV3 only: whose rule scales its hidden channels. TensorFlow's and timm's, where absent; the same at width 1. */
  readonly widthRule?: 'torchvision';
}

/** How a block's convolution differs from the plain 1x1. */
export interface ConvBlockOptions extends Omit<ConvolutionOptions, 'padding' | 'bias'> {
  /** Leaves the activation out. */
  readonly linear?: boolean;
  /** Where the table gives a layer an activation of its own. */
  readonly activation?: ActivationKind;
}

/** Convolution, batch normalisation, activation: nodes `name.conv`, `name.bn` and `name.act`. */
export function convBlock(
  builder: GraphBuilder,
  name: string,
  x: Value,
  { linear = false, activation, ...options }: ConvBlockOptions,
  style: Style,
): Value {
  const convolved = builder.conv(`${name}.conv`, x, { ...options, padding: style.padding });
  const normalised = builder.batchNorm(`${name}.bn`, convolved, style.epsilon);
  return linear ? normalised : builder.activation(`${name}.act`, normalised, activation ?? style.activation);
}

/** Depthwise convolution block: one filter a channel. */
export function depthwiseBlock(
  builder: GraphBuilder,
  name: string,
  x: Value,
  options: Omit<ConvBlockOptions, 'channels' | 'groups'>,
  style: Style,
): Value {
  const [channels = 0] = x.shape;
  return convBlock(builder, name, x, { kernel: 3, ...options, channels, groups: channels }, style);
}

/** A squeeze-and-excitation: channels of its narrow layer, and the activation that makes the factors. */
export interface SqueezeExcite {
  readonly channels: number;
  readonly gate: 'sigmoid' | 'hardSigmoid';
}

/**
 * Squeeze-and-excitation: a factor for each channel out of the map's mean, by two 1x1 convolutions with a ReLU between.
 * Nodes `name.*`, parameters `name.reduce.*` and `name.expand.*`.
 * Source: Hu et al. (arXiv 1709.01507), section 3; the gates of Tan et al. (arXiv 1807.11626) and Howard et al. (arXiv 1905.02244).
 */
export function squeezeExcite(
  builder: GraphBuilder,
  name: string,
  x: Value,
  { channels, gate }: SqueezeExcite,
): Value {
  const pooled = builder.globalAveragePool(`${name}.pool`, x);
  const reduced = builder.conv(`${name}.reduce`, pooled, { channels, bias: true });
  const active = builder.activation(`${name}.act`, reduced, 'relu');
  const expanded = builder.conv(`${name}.expand`, active, { channels: x.shape[0] ?? 0, bias: true });
  return builder.multiply(`${name}.scale`, x, builder.activation(`${name}.gate`, expanded, gate));
}

export interface InvertedResidualOptions {
  /** Channels of the output. */
  readonly channels: number;
  /** Channels between expansion and projection; there is no expansion layer where the input has as many. */
  readonly hidden: number;
  readonly kernel: number;
  readonly stride: number;
  readonly dilation: number;
  /** Behind the depthwise convolution and its activation. */
  readonly squeeze?: SqueezeExcite;
  readonly activation?: ActivationKind;
}

/**
 * Inverted residual with linear bottleneck: 1x1 expansion, depthwise, linear 1x1 projection, and a shortcut where the
 * shape stays. Source: Sandler et al., "MobileNetV2" (arXiv 1801.04381), section 3.3 and figure 4; with
 * squeeze-and-excitation, Tan et al., "MnasNet" (arXiv 1807.11626), figure 7.
 * @returns `out` [channels, H / stride, W / stride] and `expanded`, what the depthwise convolution reads.
 */
export function invertedResidual(
  builder: GraphBuilder,
  name: string,
  x: Value,
  { channels, hidden, kernel, stride, dilation, squeeze, activation }: InvertedResidualOptions,
  style: Style,
): { out: Value; expanded: Value } {
  return builder.block(name, () => {
    const [inChannels = 0] = x.shape;
    const shared = activation && { activation };
    const expanded =
      hidden === inChannels
        ? x
        : convBlock(builder, `${name}.expand`, x, { channels: hidden, ...shared }, style);
    const filtered = depthwiseBlock(
      builder,
      `${name}.depthwise`,
      expanded,
      { kernel, stride, dilation, ...shared },
      style,
    );
    const scaled = squeeze ? squeezeExcite(builder, `${name}.se`, filtered, squeeze) : filtered;
    const projected = convBlock(builder, `${name}.project`, scaled, { channels, linear: true }, style);
    const shortcut = stride === 1 && inChannels === channels;
    return { out: shortcut ? builder.add(`${name}.add`, x, projected) : projected, expanded };
  });
}
