import type { Style } from '../../backbones/blocks.ts';
import { MINUS_ONE_TO_ONE } from '../../graph/image_input.ts';
import type { Tensor } from '../../graph/tensor.ts';
import { depthwiseToOihw, hwioToOihw, scaleChannels } from '../layout.ts';
import type { NameMap, Recipe } from './name_map.ts';
import { blocksOf } from './name_map.ts';

const FEATURES = 'FeatureExtractor/MobilenetV2';
const EXTRA_LAYERS = [
  { reduce: 256, channels: 512 },
  { reduce: 128, channels: 256 },
  { reduce: 128, channels: 256 },
  { reduce: 64, channels: 128 },
];
const PREDICTORS = 6;

/** What the graph holds beside weights: shapes and indices of its own pre- and postprocessing, and its anchors. */
const LEFT_OUT = [
  /^Preprocessor\//,
  /^Postprocessor\//,
  /^ConstantFolding\//,
  /^MultipleGridAnchorGenerator\//,
  /\/stack(_\d+)?\/\d+$/,
];

const STYLE: Style = { padding: 'same', epsilon: 1e-3, activation: 'relu6' };

const kernel = ([given]: readonly Tensor[]) => hwioToOihw(given as Tensor);
const depthwiseKernel = ([given]: readonly Tensor[]) => depthwiseToOihw(given as Tensor);
const scaledDepthwiseKernel = ([given, factors]: readonly Tensor[]) =>
  scaleChannels(depthwiseToOihw(given as Tensor), factors as Tensor);

/** A 1x1 convolution with its normalisation multiplied out. */
const pointwise = (to: string, from: string): Recipe[] => [
  { to: `${to}.conv.weight`, from: [`${from}/Conv2D/merged_input`], make: kernel },
  { to: `${to}.conv.bias`, from: [`${from}/BatchNorm/batchnorm/sub`] },
];

/** A depthwise convolution with its normalisation's factor apart. */
const depthwise = (to: string, from: string): Recipe[] => [
  {
    to: `${to}.conv.weight`,
    from: [`${from}/depthwise_weights`, `${from}/BatchNorm/batchnorm/mul`],
    make: scaledDepthwiseKernel,
  },
  { to: `${to}.conv.bias`, from: [`${from}/BatchNorm/batchnorm/sub`] },
];

/** A predictor, its normalisation whole. */
function predictor(to: string, from: string): Recipe[] {
  const norm = `${from}_depthwise/BatchNorm`;
  return [
    {
      to: `${to}.depthwise.conv.weight`,
      from: [`${from}_depthwise/depthwise_weights`],
      make: depthwiseKernel,
    },
    { to: `${to}.depthwise.bn.weight`, from: [`${norm}/gamma`] },
    { to: `${to}.depthwise.bn.bias`, from: [`${norm}/beta`] },
    { to: `${to}.depthwise.bn.running_mean`, from: [`${norm}/moving_mean`] },
    { to: `${to}.depthwise.bn.running_var`, from: [`${norm}/moving_variance`] },
    { to: `${to}.predict.weight`, from: [`${from}/weights`], make: kernel },
    { to: `${to}.predict.bias`, from: [`${from}/biases`] },
  ];
}

/**
 * TensorFlow's object detection API, ssdlite_mobilenet_v2, as its TF.js conversion stores it. The conversion has folded the
 * backbone's batch normalisations: a 1x1 convolution is multiplied out (`merged_input`), a depthwise one comes with its factor
 * apart (`batchnorm/mul`). The predictors' are still whole.
 */
export const tfSsdliteMobilenetV2: NameMap = {
  name: 'tf_ssdlite_mobilenet_v2',
  title: "TF.js conversion of TensorFlow's ssdlite_mobilenet_v2",
  reference: 'tensorflow/models research/slim/nets/mobilenet and research/object_detection',
  covers: new Map([['mobilenet_v2', ['ssdlite']]]),
  styles: () => ({ backbone: STYLE, head: STYLE }),
  normalization: () => MINUS_ONE_TO_ONE,
  recipes: ({ graph }) => [
    ...pointwise('backbone.stem', `${FEATURES}/Conv`),
    ...blocksOf(graph).flatMap(({ name, layers }, index) => {
      const from = `${FEATURES}/expanded_conv${index > 0 ? `_${index}` : ''}`;
      return [
        ...(layers.includes('expand') ? pointwise(`${name}.expand`, `${from}/expand`) : []),
        ...depthwise(`${name}.depthwise`, `${from}/depthwise`),
        ...pointwise(`${name}.project`, `${from}/project`),
      ];
    }),
    ...pointwise('backbone.final', `${FEATURES}/Conv_1`),
    ...EXTRA_LAYERS.flatMap(({ reduce, channels }, index) => {
      const to = `head.extras.${index}`;
      const second = `${FEATURES}/layer_19_2_Conv2d_${index + 2}_3x3_s2_${channels}`;
      return [
        ...pointwise(`${to}.reduce`, `${FEATURES}/layer_19_1_Conv2d_${index + 2}_1x1_${reduce}`),
        ...depthwise(`${to}.depthwise`, `${second}_depthwise`),
        ...pointwise(`${to}.project`, second),
      ];
    }),
    ...Array.from({ length: PREDICTORS }, (_, map) => [
      ...predictor(`head.box.${map}`, `BoxPredictor_${map}/BoxEncodingPredictor`),
      ...predictor(`head.cls.${map}`, `BoxPredictor_${map}/ClassPredictor`),
    ]).flat(),
  ],
  leftOut: () => LEFT_OUT,
  taps: () => new Map(),
};
