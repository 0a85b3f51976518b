import type { Backbone } from './backbone.ts';
import type { InvertedResidualRow, InvertedResidualTable } from './inverted_residuals.ts';
import { invertedResidualFeatures } from './inverted_residuals.ts';
import { makeDivisible } from './width.ts';

/** A quarter of the hidden channels, unlike MnasNet's quarter of the input. */
const squeeze: InvertedResidualRow['squeeze'] = ({ hidden }) => ({
  channels: makeDivisible(hidden / 4),
  gate: 'hardSigmoid',
});

/** The first blocks keep ReLU: hard swish pays only where maps are small (section 5.2 of the paper). */
const activation = 'relu';

/** The published checkpoint of half the width (timm's mobilenetv3_small_050) has a stem that was not halved. */
const STEM_KEPT_BELOW = 0.75;

/** Table 1 of the paper; a stage is a run of blocks with the same channels, as timm groups them. */
const LARGE: InvertedResidualTable = {
  stem: 16,
  stemKeptBelow: STEM_KEPT_BELOW,
  stages: [
    [{ expansion: 1, kernel: 3, channels: 16, stride: 1, activation }],
    [
      { expansion: 4, kernel: 3, channels: 24, stride: 2, activation },
      { expansion: 3, kernel: 3, channels: 24, stride: 1, activation },
    ],
    [{ expansion: 3, kernel: 5, channels: 40, repeats: 3, stride: 2, squeeze, activation }],
    [
      { expansion: 6, kernel: 3, channels: 80, stride: 2 },
      { expansion: 2.5, kernel: 3, channels: 80, stride: 1 },
      { expansion: 2.3, kernel: 3, channels: 80, repeats: 2, stride: 1 },
    ],
    [{ expansion: 6, kernel: 3, channels: 112, repeats: 2, stride: 1, squeeze }],
    [{ expansion: 6, kernel: 5, channels: 160, repeats: 3, stride: 2, squeeze }],
  ],
  final: (width) => makeDivisible(960 * width),
};

/** Table 2 of the paper. */
const SMALL: InvertedResidualTable = {
  stem: 16,
  stemKeptBelow: STEM_KEPT_BELOW,
  stages: [
    [{ expansion: 1, kernel: 3, channels: 16, stride: 2, squeeze, activation }],
    [
      { expansion: 4.5, kernel: 3, channels: 24, stride: 2, activation },
      { expansion: 88 / 24, kernel: 3, channels: 24, stride: 1, activation },
    ],
    [
      { expansion: 4, kernel: 5, channels: 40, stride: 2, squeeze },
      { expansion: 6, kernel: 5, channels: 40, repeats: 2, stride: 1, squeeze },
    ],
    [{ expansion: 3, kernel: 5, channels: 48, repeats: 2, stride: 1, squeeze }],
    [{ expansion: 6, kernel: 5, channels: 96, repeats: 3, stride: 2, squeeze }],
  ],
  final: (width) => makeDivisible(576 * width),
};

/** torchvision's rule: the stem and hidden channels scale like all others, and the final convolution has six times its input. */
function torchvisionTable(table: InvertedResidualTable): InvertedResidualTable {
  return { ...table, stemKeptBelow: 0, scalesHidden: true, final: (_width, last) => 6 * last };
}

function featuresOf(table: InvertedResidualTable): Backbone['features'] {
  const torchvision = torchvisionTable(table);
  return (builder, image, options) =>
    invertedResidualFeatures(
      builder,
      image,
      options.style.widthRule === 'torchvision' ? torchvision : table,
      options,
    );
}

/** Mean, a fully connected layer to `features` features with the style's activation, and the one that classifies. */
function classifierOf(features: number): NonNullable<Backbone['classifier']> {
  return (builder, { final }, { classes, width, style }) => {
    const hidden = style.widthRule === 'torchvision' ? makeDivisible(features * width) : features;
    const pooled = builder.globalAveragePool('classifier.pool', final);
    const flat = builder.reshape('classifier.flatten', pooled, [final.shape[0] ?? 0]);
    const wide = builder.fullyConnected('classifier.hidden', flat, hidden);
    const active = builder.activation('classifier.act', wide, style.activation);
    return builder.fullyConnected('classifier.output', active, classes);
  };
}

const shared = {
  paper: 'https://arxiv.org/abs/1905.02244',
  reference:
    'tensorflow/models research/slim/nets/mobilenet/mobilenet_v3.py; timm tf_mobilenetv3_*; torchvision mobilenet_v3_*',
  widths: [0.75, 1],
  outputStrides: [8, 16, 32],
  carriesHeads: true,
  style: { padding: 'same', epsilon: 1e-3, activation: 'hardSwish' },
} as const;

/**
 * MobileNetV3-Large: MnasNet's blocks with hard swish, and a last stage behind the pooling. Howard et al. (arXiv
 * 1905.02244), Table 1. As in the published checkpoints, the final convolution's 960 channels scale with the width, hidden
 * channels are a multiple of the scaled input, and the classifier's 1280 features stay. A style with torchvision's width
 * rule scales those too, and hidden channels from their number at width 1, where the rules agree.
 */
export const mobilenetV3Large: Backbone = {
  ...shared,
  name: 'mobilenet_v3_large',
  title: 'MobileNetV3-Large',
  features: featuresOf(LARGE),
  classifier: classifierOf(1280),
};

/** MobileNetV3-Small. Howard et al. (arXiv 1905.02244), Table 2; widths as in MobileNetV3-Large, with 576 and 1024. */
export const mobilenetV3Small: Backbone = {
  ...shared,
  name: 'mobilenet_v3_small',
  title: 'MobileNetV3-Small',
  features: featuresOf(SMALL),
  classifier: classifierOf(1024),
};
