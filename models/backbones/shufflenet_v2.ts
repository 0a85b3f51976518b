import type { GraphBuilder } from '../graph/builder.ts';
import type { Value } from '../graph/graph.ts';
import type { Backbone } from './backbone.ts';
import type { Style } from './blocks.ts';
import { convBlock, depthwiseBlock } from './blocks.ts';
import type { ShuffleUnitPlace } from './shuffle_stages.ts';
import { shuffleStages } from './shuffle_stages.ts';
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
/**
 * ShuffleNetV2's unit: one half of the channels passes by (or, in the first unit of a stage, goes through a depthwise and a
 * 1x1 convolution), the other through 1x1, depthwise and 1x1; both are joined and shuffled. Depthwise layers are linear.
 * Source: Ma et al. (arXiv 1807.11164), figure 3 (c) and (d).
 */
function shuffleUnit(
  builder: GraphBuilder,
  x: Value,
  { name, channels, stride, dilation, first }: ShuffleUnitPlace,
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
 * four tables, not a rule, so no other can be built. `style` is of torchvision's checkpoints.
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
  features(builder, image, { width, ...options }) {
    const [stage2, stage3, stage4, finalChannels] = tableAtWidth('ShuffleNetV2', CHANNELS, width);
    const channels = { stem: STEM_CHANNELS, stages: [stage2, stage3, stage4] };
    const { style, outputStride } = options;
    const maps = shuffleStages(builder, image, channels, options, (x, place) =>
      shuffleUnit(builder, x, place, style),
    );
    const final = convBlock(builder, 'backbone.final', maps.bottleneck, { channels: finalChannels }, style);
    return { ...maps, final, byStride: new Map(maps.byStride).set(outputStride, final) };
  },
};
