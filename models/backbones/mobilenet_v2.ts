import type { Backbone } from './backbone.ts';
import type { InvertedResidualTable } from './inverted_residuals.ts';
import { invertedResidualFeatures } from './inverted_residuals.ts';
import { makeDivisible } from './width.ts';

/** Table 2 of the paper. */
const TABLE: InvertedResidualTable = {
  stem: 32,
  stages: [
    [{ expansion: 1, kernel: 3, channels: 16, stride: 1 }],
    [{ expansion: 6, kernel: 3, channels: 24, repeats: 2, stride: 2 }],
    [{ expansion: 6, kernel: 3, channels: 32, repeats: 3, stride: 2 }],
    [{ expansion: 6, kernel: 3, channels: 64, repeats: 4, stride: 2 }],
    [{ expansion: 6, kernel: 3, channels: 96, repeats: 3, stride: 1 }],
    [{ expansion: 6, kernel: 3, channels: 160, repeats: 3, stride: 2 }],
    [{ expansion: 6, kernel: 3, channels: 320, stride: 1 }],
  ],
  final: (width) => makeDivisible(1280 * Math.max(1, width)),
};

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
  features: (builder, image, options) => invertedResidualFeatures(builder, image, TABLE, options),
};
