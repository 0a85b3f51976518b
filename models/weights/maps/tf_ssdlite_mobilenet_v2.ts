import { MOBILENET_V2_BLOCKS } from '../../backbones/mobilenet_v2.ts';
import type { Tensor, Weights } from '../../graph/tensor.ts';
import { WeightsError } from '../errors.ts';
import { depthwiseToOihw, hwioToOihw, scaleChannels } from '../layout.ts';

/**
 * Name map for TensorFlow's object detection API, ssdlite_mobilenet_v2, as its TF.js conversion stores it. The
 * conversion has folded the backbone's batch normalisations: a 1x1 convolution is multiplied out (`merged_input`), a depthwise
 * one comes with its factor apart (`batchnorm/mul`). The predictors' are still whole.
 * Source of the names: tensorflow/models research/slim/nets/mobilenet and research/object_detection.
 */
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

/** Hands tensors out by name and remembers which were taken. */
class Source {
  readonly #weights: Weights;
  readonly #taken = new Set<string>();

  constructor(weights: Weights) {
    this.#weights = weights;
  }

  take(name: string): Tensor {
    const found = this.#weights.get(name);
    if (!found) throw new WeightsError(`tensor '${name}' is missing`);
    this.#taken.add(name);
    return found;
  }

  /** Names never taken. */
  rest(): string[] {
    return [...this.#weights.keys()].filter((name) => !this.#taken.has(name));
  }
}

/** The checkpoint's tensors under the names of `buildSsdlite`, and what was knowingly left out. @throws WeightsError */
export function mapTfSsdliteMobilenetV2(checkpoint: Weights): {
  weights: Map<string, Tensor>;
  leftOut: string[];
} {
  const source = new Source(checkpoint);
  const weights = new Map<string, Tensor>();
  const pointwise = (to: string, from: string) => {
    weights.set(`${to}.conv.weight`, hwioToOihw(source.take(`${from}/Conv2D/merged_input`)));
    weights.set(`${to}.conv.bias`, source.take(`${from}/BatchNorm/batchnorm/sub`));
  };
  const depthwise = (to: string, from: string) => {
    const kernel = depthwiseToOihw(source.take(`${from}/depthwise_weights`));
    weights.set(`${to}.conv.weight`, scaleChannels(kernel, source.take(`${from}/BatchNorm/batchnorm/mul`)));
    weights.set(`${to}.conv.bias`, source.take(`${from}/BatchNorm/batchnorm/sub`));
  };

  pointwise('backbone.stem', `${FEATURES}/Conv`);
  MOBILENET_V2_BLOCKS.forEach((block, index) => {
    const from = `${FEATURES}/expanded_conv${index > 0 ? `_${index}` : ''}`;
    if (index > 0) pointwise(`backbone.${block}.expand`, `${from}/expand`);
    depthwise(`backbone.${block}.depthwise`, `${from}/depthwise`);
    pointwise(`backbone.${block}.project`, `${from}/project`);
  });
  pointwise('backbone.final', `${FEATURES}/Conv_1`);

  EXTRA_LAYERS.forEach(({ reduce, channels }, index) => {
    const to = `head.extras.${index}`;
    const second = `${FEATURES}/layer_19_2_Conv2d_${index + 2}_3x3_s2_${channels}`;
    pointwise(`${to}.reduce`, `${FEATURES}/layer_19_1_Conv2d_${index + 2}_1x1_${reduce}`);
    depthwise(`${to}.depthwise`, `${second}_depthwise`);
    pointwise(`${to}.project`, second);
  });

  for (let map = 0; map < PREDICTORS; map++) {
    for (const [to, predictor] of [
      [`head.box.${map}`, 'BoxEncodingPredictor'],
      [`head.cls.${map}`, 'ClassPredictor'],
    ] as const) {
      const from = `BoxPredictor_${map}/${predictor}`;
      weights.set(
        `${to}.depthwise.conv.weight`,
        depthwiseToOihw(source.take(`${from}_depthwise/depthwise_weights`)),
      );
      weights.set(`${to}.depthwise.bn.weight`, source.take(`${from}_depthwise/BatchNorm/gamma`));
      weights.set(`${to}.depthwise.bn.bias`, source.take(`${from}_depthwise/BatchNorm/beta`));
      weights.set(`${to}.depthwise.bn.running_mean`, source.take(`${from}_depthwise/BatchNorm/moving_mean`));
      weights.set(
        `${to}.depthwise.bn.running_var`,
        source.take(`${from}_depthwise/BatchNorm/moving_variance`),
      );
      weights.set(`${to}.predict.weight`, hwioToOihw(source.take(`${from}/weights`)));
      weights.set(`${to}.predict.bias`, source.take(`${from}/biases`));
    }
  }

  const rest = source.rest();
  const surplus = rest.filter((name) => !LEFT_OUT.some((pattern) => pattern.test(name)));
  if (surplus.length > 0) throw new WeightsError(`surplus tensors: ${surplus.join(', ')}`);
  return { weights, leftOut: rest };
}
