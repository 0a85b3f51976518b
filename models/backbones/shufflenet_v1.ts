import type { GraphBuilder } from '../graph/builder.ts';
import type { Value } from '../graph/graph.ts';
import type { Backbone } from './backbone.ts';
import type { Style } from './blocks.ts';
import { convBlock, depthwiseBlock } from './blocks.ts';
import type { ShuffleUnitPlace } from './shuffle_stages.ts';
import { shuffleStages } from './shuffle_stages.ts';
import { tableAtWidth } from './width.ts';

/** Groups of the 1x1 convolutions, and the channels of stage 2 with them; each later stage doubles. Table 1 of the paper. */
const STAGE2_CHANNELS = { 1: 144, 2: 200, 3: 240, 4: 272, 8: 384 } as const;
export type ShuffleNetV1Groups = keyof typeof STAGE2_CHANNELS;

/** Width multipliers that the paper's tables and megvii's have. */
const WIDTHS = [0.25, 0.5, 1, 1.5, 2];
const STEM_CHANNELS = 24;
/** Stages 2, 3 and 4. */
const STAGES = 3;
/** A unit's output channels to those between its two 1x1 convolutions. */
const BOTTLENECK = 4;

interface Channels {
  readonly stem: number;
  /** Of stages 2, 3 and 4. */
  readonly stages: readonly number[];
}

/**
 * Channels at each width. The paper prints figures of all its widths with all groups, but not how it rounds: here each
 * stage's channels go up to where its bottleneck divides into the groups, which leaves all as they are but the early
 * stages with 2 and 4 groups between whole widths. The stem scales down with the width, in whole groups, and up in whole
 * steps: 12 (16 with 8 groups), 24, 24 and 48 channels at 0.5, 1, 1.5 and 2 as in megvii's, 6 (8) at 0.25 as in
 * imgclsmob's. That makes 38 to 39 million MAdds at 0.5 (40.5 with 8 groups, as megvii counts) where the paper prints 38,
 * and 11 to 13 million at 0.25 where it prints 13, and not the channels of its stem.
 */
function channelsByWidth(groups: ShuffleNetV1Groups): Map<number, Channels> {
  return new Map(
    WIDTHS.map((width): [number, Channels] => {
      const stem = STEM_CHANNELS * (width < 1 ? width : Math.floor(width));
      const stages = Array.from({ length: STAGES }, (_, index) =>
        roundedUp(STAGE2_CHANNELS[groups] * width * 2 ** index, BOTTLENECK * groups),
      );
      return [width, { stem: roundedUp(stem, groups), stages }];
    }),
  );
}

const roundedUp = (channels: number, divisor: number) => Math.ceil(channels / divisor) * divisor;

/**
 * ShuffleNetV1's unit: grouped 1x1 convolution, shuffle, linear depthwise, linear grouped 1x1, and a shortcut before the
 * activation. Where dilation replaces the unit's stride, the shortcut's 3x3 mean has stride 1 and is not dilated.
 * Source: Zhang et al. (arXiv 1707.01083), figure 2 (b) and (c).
 */
function shuffleUnit(
  builder: GraphBuilder,
  x: Value,
  { name, stage, channels, stride, dilation, first }: ShuffleUnitPlace,
  groups: number,
  style: Style,
): Value {
  return builder.block(name, () => {
    const ungrouped = first && stage === 2;
    const reduce = { channels: channels / BOTTLENECK, groups: ungrouped ? 1 : groups };
    const reduced = convBlock(builder, `${name}.reduce`, x, reduce, style);
    const shuffled = groups > 1 ? builder.channelShuffle(`${name}.shuffle`, reduced, groups) : reduced;
    const depthwise = { stride, dilation, linear: true };
    const filtered = depthwiseBlock(builder, `${name}.depthwise`, shuffled, depthwise, style);
    const expand = { channels: first ? channels - (x.shape[0] ?? 0) : channels, groups, linear: true };
    const expanded = convBlock(builder, `${name}.expand`, filtered, expand, style);
    const pool = { kernel: 3, stride, padding: style.padding };
    const joined = first
      ? builder.concat(`${name}.concat`, [builder.averagePool(`${name}.pool`, x, pool), expanded], 0)
      : builder.add(`${name}.add`, x, expanded);
    return builder.activation(`${name}.act`, joined, style.activation);
  });
}

/**
 * ShuffleNetV1: 1x1 convolutions in groups, and a channel shuffle so that the groups hear of each other. Zhang et al. (arXiv
 * 1707.01083), Table 1. The very first 1x1 convolution is not grouped, as its input has few channels. It has no
 * convolution behind its units. `style` is of the reference's checkpoints (whose shuffle is the inverse of the
 * paper's, which is built here: their 1x1 convolutions hold the channels in another order).
 */
function shufflenetV1(groups: ShuffleNetV1Groups): Backbone {
  const table = channelsByWidth(groups);
  const title = `ShuffleNetV1 (g=${groups})`;
  return {
    name: `shufflenet_v1_g${groups}`,
    title,
    paper: 'https://arxiv.org/abs/1707.01083',
    reference: 'megvii-model/ShuffleNet-Series ShuffleNetV1; osmr/imgclsmob shufflenet_g*',
    widths: [...table.keys()],
    outputStrides: [8, 16, 32],
    carriesHeads: false,
    style: { padding: 'symmetric', epsilon: 1e-5, activation: 'relu' },
    features(builder, image, { width, ...options }) {
      const maps = shuffleStages(builder, image, tableAtWidth(title, table, width), options, (x, place) =>
        shuffleUnit(builder, x, place, groups, options.style),
      );
      return { ...maps, final: maps.bottleneck };
    },
  };
}

export const shufflenetV1G1 = shufflenetV1(1);
export const shufflenetV1G2 = shufflenetV1(2);
export const shufflenetV1G3 = shufflenetV1(3);
export const shufflenetV1G4 = shufflenetV1(4);
export const shufflenetV1G8 = shufflenetV1(8);
