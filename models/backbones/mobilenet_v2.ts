import type { Backbone } from './backbone.ts';
import { StrideTracker } from './backbone.ts';
import { convBlock, invertedResidual } from './blocks.ts';
import { makeDivisible } from './width.ts';

/** Table 2 of the paper: expansion, channels, repeats, and stride of the first of them. */
const STAGES = [
  { expansion: 1, channels: 16, repeats: 1, stride: 1 },
  { expansion: 6, channels: 24, repeats: 2, stride: 2 },
  { expansion: 6, channels: 32, repeats: 3, stride: 2 },
  { expansion: 6, channels: 64, repeats: 4, stride: 2 },
  { expansion: 6, channels: 96, repeats: 3, stride: 1 },
  { expansion: 6, channels: 160, repeats: 3, stride: 2 },
  { expansion: 6, channels: 320, repeats: 1, stride: 1 },
] as const;

const STEM_CHANNELS = 32;
const FINAL_CHANNELS = 1280;
/** The stage whose first block goes from stride 16 to 32. */
const EXPANSION_STAGE = 6;

/** Names of the blocks in order, as `stage1.0`, `stage2.0`, `stage2.1`, ...: checkpoints that number them flat need it. */
export const MOBILENET_V2_BLOCKS: readonly string[] = STAGES.flatMap(({ repeats }, stage) =>
  Array.from({ length: repeats }, (_, block) => `stage${stage + 1}.${block}`),
);

/**
 * MobileNetV2: inverted residuals and linear bottlenecks. Sandler et al. (arXiv 1801.04381), Table 2. Below width
 * 1 the final convolution keeps its 1280 channels, as in the published checkpoints.
 */
export const mobilenetV2: Backbone = {
  name: 'mobilenet_v2',
  title: 'MobileNetV2',
  paper: 'https://arxiv.org/abs/1801.04381',
  reference: 'tensorflow/models research/slim/nets/mobilenet/mobilenet_v2.py; torchvision mobilenet_v2',
  widths: [0.35, 0.5, 0.75, 1, 1.3, 1.4],
  outputStrides: [8, 16, 32],
  carriesHeads: true,
  style: { padding: 'same', epsilon: 1e-3, activation: 'relu6' },
  features(builder, image, { width, outputStride, style }) {
    const byStride = new Map<number, typeof image>();
    const strides = new StrideTracker(outputStride, 2);
    let x = convBlock(
      builder,
      'backbone.stem',
      image,
      { channels: makeDivisible(STEM_CHANNELS * width), kernel: 3, stride: 2 },
      style,
    );
    let expansion = x;
    STAGES.forEach(({ channels, repeats, stride, ...stage }, index) => {
      for (let block = 0; block < repeats; block++) {
        const { out, expanded } = invertedResidual(
          builder,
          `backbone.stage${index + 1}.${block}`,
          x,
          {
            channels: makeDivisible(channels * width),
            hidden: stage.expansion * (x.shape[0] ?? 0),
            kernel: 3,
            ...strides.next(block === 0 ? stride : 1),
          },
          style,
        );
        if (index + 1 === EXPANSION_STAGE && block === 0) expansion = expanded;
        x = out;
        byStride.set(strides.stride, x);
      }
    });
    const channels = makeDivisible(FINAL_CHANNELS * Math.max(1, width));
    const final = convBlock(builder, 'backbone.final', x, { channels }, style);
    byStride.set(strides.stride, final);
    return { expansion, bottleneck: x, final, byStride };
  },
};
