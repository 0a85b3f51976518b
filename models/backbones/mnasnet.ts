import type { Backbone } from './backbone.ts';
import type { InvertedResidualRow, InvertedResidualTable } from './inverted_residuals.ts';
import { invertedResidualFeatures } from './inverted_residuals.ts';

/** A quarter of the block's input, as the search space counts it, not of its hidden channels. */
const squeeze: InvertedResidualRow['squeeze'] = ({ input }) => ({
  channels: Math.max(1, Math.floor(input * 0.25)),
  gate: 'sigmoid',
});

/** The same at every width. */
const final = () => 1280;

/** Figure 7 of the paper. */
const A1: InvertedResidualTable = {
  stem: 32,
  stages: [
    [{ expansion: 1, kernel: 3, channels: 16, stride: 1 }],
    [{ expansion: 6, kernel: 3, channels: 24, repeats: 2, stride: 2 }],
    [{ expansion: 3, kernel: 5, channels: 40, repeats: 3, stride: 2, squeeze }],
    [{ expansion: 6, kernel: 3, channels: 80, repeats: 4, stride: 2 }],
    [{ expansion: 6, kernel: 3, channels: 112, repeats: 2, stride: 1, squeeze }],
    [{ expansion: 6, kernel: 5, channels: 160, repeats: 3, stride: 2, squeeze }],
    [{ expansion: 6, kernel: 3, channels: 320, stride: 1 }],
  ],
  final,
};

const B1: InvertedResidualTable = {
  stem: 32,
  stages: [
    [{ expansion: 1, kernel: 3, channels: 16, stride: 1 }],
    [{ expansion: 3, kernel: 3, channels: 24, repeats: 3, stride: 2 }],
    [{ expansion: 3, kernel: 5, channels: 40, repeats: 3, stride: 2 }],
    [{ expansion: 6, kernel: 5, channels: 80, repeats: 3, stride: 2 }],
    [{ expansion: 6, kernel: 3, channels: 96, repeats: 2, stride: 1 }],
    [{ expansion: 6, kernel: 5, channels: 192, repeats: 4, stride: 2 }],
    [{ expansion: 6, kernel: 3, channels: 320, stride: 1 }],
  ],
  final,
};

const SMALL: InvertedResidualTable = {
  stem: 8,
  stages: [
    [{ expansion: 1, kernel: 3, channels: 8, stride: 1 }],
    [{ expansion: 3, kernel: 3, channels: 16, stride: 2 }],
    [{ expansion: 6, kernel: 3, channels: 16, repeats: 2, stride: 2 }],
    [{ expansion: 6, kernel: 5, channels: 32, repeats: 4, stride: 2, squeeze }],
    [{ expansion: 6, kernel: 3, channels: 32, repeats: 3, stride: 1, squeeze }],
    [{ expansion: 6, kernel: 5, channels: 88, repeats: 3, stride: 2, squeeze }],
    [{ expansion: 6, kernel: 3, channels: 144, stride: 1 }],
  ],
  final,
};

const shared = {
  paper: 'https://arxiv.org/abs/1807.11626',
  outputStrides: [8, 16, 32],
  carriesHeads: true,
} as const;

/**
 * MnasNet-A1: searched for latency on a phone, with squeeze-and-excitation in three stages. Tan et al. (arXiv
 * 1807.11626), figure 7. `style` is of the reference's checkpoints.
 */
export const mnasnetA1: Backbone = {
  ...shared,
  name: 'mnasnet_a1',
  title: 'MnasNet-A1',
  reference: 'tensorflow/tpu models/official/mnasnet/mnasnet_models.py, mnasnet_a1',
  widths: [0.35, 0.5, 0.75, 1, 1.4],
  style: { padding: 'same', epsilon: 1e-3, activation: 'relu' },
  features: (builder, image, options) => invertedResidualFeatures(builder, image, A1, options),
};

/**
 * MnasNet-B1: the same search without squeeze-and-excitation. Tan et al. (arXiv 1807.11626), Table 2; its layers are
 * in the reference only. Stem and first stage scale with the width, as in version 2 of torchvision's module. `style` is
 * of torchvision's checkpoints.
 */
export const mnasnetB1: Backbone = {
  ...shared,
  name: 'mnasnet_b1',
  title: 'MnasNet-B1',
  reference: 'torchvision mnasnet0_5 to mnasnet1_3; tensorflow/tpu mnasnet_models.py, mnasnet_b1',
  widths: [0.5, 0.75, 1, 1.3, 1.4],
  style: { padding: 'symmetric', epsilon: 1e-5, activation: 'relu' },
  features: (builder, image, options) => invertedResidualFeatures(builder, image, B1, options),
};

/**
 * MnasNet-small: searched for a fifth of A1's work. Its figures and layers are in the reference only, not in the
 * paper (Tan et al., arXiv 1807.11626). `style` is of timm's checkpoint, the only public one. Like timm's, its
 * first block has a shortcut; tensorflow/tpu states 16 input channels for that block behind a stem of 8, so that its has none.
 */
export const mnasnetSmall: Backbone = {
  ...shared,
  name: 'mnasnet_small',
  title: 'MnasNet-small',
  reference: 'timm mnasnet_small; tensorflow/tpu models/official/mnasnet/mnasnet_models.py, mnasnet_small',
  widths: [1],
  style: { padding: 'symmetric', epsilon: 1e-5, activation: 'relu' },
  features: (builder, image, options) => invertedResidualFeatures(builder, image, SMALL, options),
};
