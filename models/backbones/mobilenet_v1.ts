import type { Value } from '../graph/graph.ts';
import type { Backbone } from './backbone.ts';
import { StrideTracker } from './backbone.ts';
import { convBlock, depthwiseBlock } from './blocks.ts';

/** Table 1 of the paper: channels and stride of each depthwise separable convolution. */
const BLOCKS = [
  { channels: 64, stride: 1 },
  { channels: 128, stride: 2 },
  { channels: 128, stride: 1 },
  { channels: 256, stride: 2 },
  { channels: 256, stride: 1 },
  { channels: 512, stride: 2 },
  { channels: 512, stride: 1 },
  { channels: 512, stride: 1 },
  { channels: 512, stride: 1 },
  { channels: 512, stride: 1 },
  { channels: 512, stride: 1 },
  { channels: 1024, stride: 2 },
  { channels: 1024, stride: 1 },
] as const;

const STEM_CHANNELS = 32;
/** The last block at stride 16. */
const EXPANSION_BLOCK = 11;

/** The reference cuts off, and has no fewer than 8. */
const scaled = (channels: number, width: number) => Math.max(8, Math.floor(channels * width));

/**
 * MobileNetV1: a stack of depthwise separable convolutions. Howard et al. (arXiv 1704.04861), Table 1. It expands
 * nothing, so `expansion` is the last map at stride 16, and it has no convolution behind its blocks: `final` is the last of them.
 */
export const mobilenetV1: Backbone = {
  name: 'mobilenet_v1',
  title: 'MobileNetV1',
  paper: 'https://arxiv.org/abs/1704.04861',
  reference: 'tensorflow/models research/slim/nets/mobilenet_v1.py',
  widths: [0.25, 0.5, 0.75, 1],
  outputStrides: [8, 16, 32],
  carriesHeads: true,
  style: { padding: 'same', epsilon: 1e-3, activation: 'relu6' },
  features(builder, image, { width, outputStride, style }) {
    const byStride = new Map<number, Value>();
    const strides = new StrideTracker(outputStride, 2);
    const stem = { channels: scaled(STEM_CHANNELS, width), kernel: 3, stride: 2 };
    let x = convBlock(builder, 'backbone.stem', image, stem, style);
    byStride.set(strides.stride, x);
    let expansion = x;
    BLOCKS.forEach(({ channels, stride }, index) => {
      const name = `backbone.block${index + 1}`;
      x = builder.block(name, () => {
        const filtered = depthwiseBlock(builder, `${name}.depthwise`, x, strides.next(stride), style);
        return convBlock(
          builder,
          `${name}.pointwise`,
          filtered,
          { channels: scaled(channels, width) },
          style,
        );
      });
      byStride.set(strides.stride, x);
      if (index + 1 === EXPANSION_BLOCK) expansion = x;
    });
    return { expansion, bottleneck: x, final: x, byStride };
  },
};
