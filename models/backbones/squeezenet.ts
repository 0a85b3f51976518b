import type { GraphBuilder } from '../graph/builder.ts';
import type { Value } from '../graph/graph.ts';
import type { Backbone } from './backbone.ts';
import { StrideTracker } from './backbone.ts';
import type { ConvBlockOptions, Style } from './blocks.ts';
import { tableAtWidth } from './width.ts';

/** Channels of fire2 to fire9: the 1x1 squeeze, and each of the two expansions. Table 1 of the paper. */
const FIRES = [
  { squeeze: 16, expand: 64 },
  { squeeze: 16, expand: 64 },
  { squeeze: 32, expand: 128 },
  { squeeze: 32, expand: 128 },
  { squeeze: 48, expand: 192 },
  { squeeze: 48, expand: 192 },
  { squeeze: 64, expand: 256 },
  { squeeze: 64, expand: 256 },
] as const;
const FIRST_FIRE = 2;

interface Version {
  readonly stem: { readonly channels: number; readonly kernel: number };
  /** A pooling follows each of these: 1 is the stem. */
  readonly pooled: readonly number[];
}

const VERSION_1_0: Version = { stem: { channels: 96, kernel: 7 }, pooled: [1, 4, 8] };
const VERSION_1_1: Version = { stem: { channels: 64, kernel: 3 }, pooled: [1, 3, 5] };

/** Convolution with bias, activation: nodes `name.conv` and `name.act`. The family has no batch normalisation. */
function biasedBlock(
  builder: GraphBuilder,
  name: string,
  x: Value,
  options: Omit<ConvBlockOptions, 'linear' | 'activation'> & { readonly padding?: 'valid' },
  { padding, activation }: Style,
): Value {
  const convolved = builder.conv(`${name}.conv`, x, { padding, ...options, bias: true });
  return builder.activation(`${name}.act`, convolved, activation);
}

/**
 * A fire module: a 1x1 convolution to few channels, and behind it a 1x1 and a 3x3 side by side.
 * Source: Iandola et al. (arXiv 1602.07360), figure 1.
 */
function fire(
  builder: GraphBuilder,
  name: string,
  x: Value,
  { squeeze, expand, dilation }: { squeeze: number; expand: number; dilation: number },
  style: Style,
): Value {
  return builder.block(name, () => {
    const squeezed = biasedBlock(builder, `${name}.squeeze`, x, { channels: squeeze }, style);
    const channels = expand;
    return builder.concat(
      `${name}.concat`,
      [
        biasedBlock(builder, `${name}.expand1`, squeezed, { channels }, style),
        biasedBlock(builder, `${name}.expand3`, squeezed, { channels, kernel: 3, dilation }, style),
      ],
      0,
    );
  });
}

function featuresOfVersion(version: Version): Backbone['features'] {
  return (builder, image, { width, outputStride, style }) => {
    const { stem, pooled } = tableAtWidth('SqueezeNet', new Map([[1, version]]), width);
    const byStride = new Map<number, Value>();
    const strides = new StrideTracker(outputStride, 2);
    const pool = (x: Value, after: number) => {
      const { stride } = strides.next(2);
      // Where the stride gives way to dilation, the map must keep its size.
      const padding = stride === 1 ? 'same' : 'valid';
      return builder.maxPool(`backbone.pool${after}`, x, { kernel: 3, stride, padding, ceil: true });
    };
    let x = biasedBlock(builder, 'backbone.stem', image, { ...stem, stride: 2, padding: 'valid' }, style);
    byStride.set(strides.stride, x);
    if (pooled.includes(1)) x = pool(x, 1);
    FIRES.forEach((channels, index) => {
      const number = FIRST_FIRE + index;
      const { dilation } = strides;
      x = fire(builder, `backbone.fire${number}`, x, { ...channels, dilation }, style);
      byStride.set(strides.stride, x);
      if (pooled.includes(number)) x = pool(x, number);
    });
    return { expansion: x, bottleneck: x, final: x, byStride };
  };
}

/** A 1x1 convolution to the classes, its activation, and the mean. */
const classifier: NonNullable<Backbone['classifier']> = (builder, { final }, { classes, style }) => {
  const x = biasedBlock(builder, 'classifier', final, { channels: classes }, style);
  return builder.reshape('classifier', builder.globalAveragePool('classifier.pool', x), [classes]);
};

const shared = {
  paper: 'https://arxiv.org/abs/1602.07360',
  widths: [1],
  outputStrides: [8, 16],
  carriesHeads: false,
  style: { padding: 'symmetric', epsilon: 1e-5, activation: 'relu' },
  classifier,
} as const;

/**
 * SqueezeNet 1.0: fire modules. Iandola et al. (arXiv 1602.07360), Table 1. Its stem is not padded (nor are its poolings,
 * which take in a last window that is only partly inside), so its maps are a little smaller than size / stride. Stride
 * 16 is its last; at 8 the last pooling gives its stride up. `style` is of torchvision's checkpoints; no batch normalisation.
 */
export const squeezenet10: Backbone = {
  ...shared,
  name: 'squeezenet_1_0',
  title: 'SqueezeNet 1.0',
  reference: 'torchvision squeezenet1_0; forresti/SqueezeNet SqueezeNet_v1.0',
  features: featuresOfVersion(VERSION_1_0),
};

/** SqueezeNet 1.1: a smaller stem and earlier poolings, for 2.3 times less work. It is in the reference only, no paper. */
export const squeezenet11: Backbone = {
  ...shared,
  name: 'squeezenet_1_1',
  title: 'SqueezeNet 1.1',
  reference: 'torchvision squeezenet1_1; forresti/SqueezeNet SqueezeNet_v1.1',
  features: featuresOfVersion(VERSION_1_1),
};
