import type { GraphBuilder } from '../graph/builder.ts';
import type { Value } from '../graph/graph.ts';
import type { Backbone } from './backbone.ts';
import { StrideTracker } from './backbone.ts';
import type { Style } from './blocks.ts';
import { convBlock, depthwiseBlock } from './blocks.ts';
import { tableAtWidth } from './width.ts';

/** Table 5 of the paper, by width: channels of stages 2, 3 and 4, and of the final convolution. */
const CHANNELS: ReadonlyMap<
  number,
  readonly [stage2: number, stage3: number, stage4: number, final: number]
> = new Map([
  [0.5, [48, 96, 192, 1024]],
  [1, [116, 232, 464, 1024]],
  [1.5, [176, 352, 704, 1024]],
  [2, [244, 488, 976, 2048]],
]);

const STEM_CHANNELS = 24;
/** Units of stages 2, 3 and 4; the first of each goes by stride 2. */
const UNITS = [4, 8, 4] as const;
const FIRST_STAGE = 2;
/** The last stage at stride 16. */
const EXPANSION_STAGE = 3;

interface UnitOptions {
  /** Channels of the output, half of them from each side. */
  readonly channels: number;
  readonly stride: number;
  readonly dilation: number;
  /** First of its stage: both sides read the whole input, and the left one has layers too. */
  readonly first: boolean;
}

/**
 * ShuffleNetV2's unit: one half of the channels passes by (or, in the first unit of a stage, goes through a depthwise and a
 * 1x1 convolution), the other through 1x1, depthwise and 1x1; both are joined and shuffled. Depthwise layers are linear.
 * Source: Ma et al. (arXiv 1807.11164), figure 3 (c) and (d).
 */
function shuffleUnit(
  builder: GraphBuilder,
  name: string,
  x: Value,
  { channels, stride, dilation, first }: UnitOptions,
  style: Style,
): Value {
  return builder.block(name, () => {
    const half = channels / 2;
    const depthwise = (part: string, from: Value) =>
      depthwiseBlock(builder, `${name}.${part}`, from, { stride, dilation, linear: true }, style);
    const pointwise = (part: string, from: Value) =>
      convBlock(builder, `${name}.${part}`, from, { channels: half }, style);
    const left = first
      ? pointwise('left_pointwise', depthwise('left_depthwise', x))
      : builder.sliceChannels(`${name}.left`, x, 0, half);
    const read = first ? x : builder.sliceChannels(`${name}.right`, x, half, channels);
    const right = pointwise('pointwise', depthwise('depthwise', pointwise('reduce', read)));
    return builder.channelShuffle(`${name}.shuffle`, builder.concat(`${name}.concat`, [left, right], 0), 2);
  });
}

/**
 * ShuffleNetV2: channel split and shuffle instead of expansion. Ma et al. (arXiv 1807.11164), Table 5. Its widths are
 * four tables, not a rule, so no other can be built. `style` is of torchvision's checkpoints. As its units expand
 * nothing, `expansion` is the last map at stride 16, after the shuffle.
 */
export const shufflenetV2: Backbone = {
  name: 'shufflenet_v2',
  title: 'ShuffleNetV2',
  paper: 'https://arxiv.org/abs/1807.11164',
  reference: 'torchvision shufflenet_v2_x0_5 to x2_0; megvii-model/ShuffleNet-Series ShuffleNetV2',
  widths: [...CHANNELS.keys()],
  outputStrides: [8, 16, 32],
  carriesHeads: true,
  style: { padding: 'symmetric', epsilon: 1e-5, activation: 'relu' },
  features(builder, image, { width, outputStride, style }) {
    const [stage2, stage3, stage4, finalChannels] = tableAtWidth('ShuffleNetV2', CHANNELS, width);
    const byStride = new Map<number, Value>();
    const strides = new StrideTracker(outputStride, 2);
    const stem = { channels: STEM_CHANNELS, kernel: 3, stride: 2 };
    let x = convBlock(builder, 'backbone.stem', image, stem, style);
    byStride.set(strides.stride, x);
    const { stride } = strides.next(2);
    x = builder.maxPool('backbone.pool', x, { kernel: 3, stride, padding: style.padding });
    byStride.set(strides.stride, x);
    let expansion = x;
    [stage2, stage3, stage4].forEach((channels, index) => {
      const stage = FIRST_STAGE + index;
      for (let unit = 0; unit < (UNITS[index] ?? 0); unit++) {
        const first = unit === 0;
        const options = { channels, first, ...strides.next(first ? 2 : 1) };
        x = shuffleUnit(builder, `backbone.stage${stage}.${unit}`, x, options, style);
        byStride.set(strides.stride, x);
      }
      if (stage === EXPANSION_STAGE) expansion = x;
    });
    const final = convBlock(builder, 'backbone.final', x, { channels: finalChannels }, style);
    byStride.set(strides.stride, final);
    return { expansion, bottleneck: x, final, byStride };
  },
};
