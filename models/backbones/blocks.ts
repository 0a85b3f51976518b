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
}

/** How a block's convolution differs from the plain 1x1; `linear` leaves the activation out. */
export interface ConvBlockOptions extends Omit<ConvolutionOptions, 'padding' | 'bias'> {
  readonly linear?: boolean;
}

/** Convolution, batch normalisation, activation: nodes `name.conv`, `name.bn` and `name.act`. */
export function convBlock(
  builder: GraphBuilder,
  name: string,
  x: Value,
  { linear = false, ...options }: ConvBlockOptions,
  style: Style,
): Value {
  const convolved = builder.conv(`${name}.conv`, x, { ...options, padding: style.padding });
  const normalised = builder.batchNorm(`${name}.bn`, convolved, style.epsilon);
  return linear ? normalised : builder.activation(`${name}.act`, normalised, style.activation);
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

export interface InvertedResidualOptions {
  readonly channels: number;
  readonly expansion: number;
  readonly kernel: number;
  readonly stride: number;
  readonly dilation: number;
}

/**
 * Inverted residual with linear bottleneck: 1x1 expansion, depthwise, linear 1x1 projection, and a shortcut where the
 * shape stays. Source: Sandler et al., "MobileNetV2" (arXiv 1801.04381), section 3.3 and figure 4.
 * @returns `out` [channels, H / stride, W / stride] and `expanded`, what the depthwise convolution reads.
 */
export function invertedResidual(
  builder: GraphBuilder,
  name: string,
  x: Value,
  { channels, expansion, kernel, stride, dilation }: InvertedResidualOptions,
  style: Style,
): { out: Value; expanded: Value } {
  const [inChannels = 0] = x.shape;
  const expanded =
    expansion === 1
      ? x
      : convBlock(builder, `${name}.expand`, x, { channels: inChannels * expansion }, style);
  const filtered = depthwiseBlock(
    builder,
    `${name}.depthwise`,
    expanded,
    { kernel, stride, dilation },
    style,
  );
  const projected = convBlock(builder, `${name}.project`, filtered, { channels, linear: true }, style);
  const shortcut = stride === 1 && inChannels === channels;
  return { out: shortcut ? builder.add(`${name}.add`, x, projected) : projected, expanded };
}
