import { ArgumentError, orList } from '../models/arguments.ts';
import type { Backbone, OutputStride } from '../models/backbones/backbone.ts';
import type { Style } from '../models/backbones/blocks.ts';
import { buildClassifier } from '../models/backbones/classifier.ts';
import { backboneNamed } from '../models/backbones/registry.ts';
import type { Graph } from '../models/graph/graph.ts';
import type { InputSize, NetworkInput } from '../models/graph/image_input.ts';
import { MINUS_ONE_TO_ONE } from '../models/graph/image_input.ts';
import type { Deeplabv3OutputStride } from './deeplabv3/graph.ts';
import { buildDeeplabv3 } from './deeplabv3/graph.ts';
import { checkModelOptions } from './model_options.ts';
import { buildSsdlite } from './ssdlite/graph.ts';

/** What a head is built with where nothing else is asked for. */
export interface HeadDefaults {
  readonly title: string;
  /** Side of the square input in pixels. */
  readonly resolution: number;
  /** What `classes` counts. */
  readonly classes: number;
  /** Output strides that make sense for it; the last that the backbone has is the default. */
  readonly outputStrides: readonly OutputStride[];
}

/** The heads that a backbone can carry, by the names that people give. */
export const HEADS = {
  classifier: { title: 'classifier', resolution: 224, classes: 1000, outputStrides: [8, 16, 32] },
  ssdlite: { title: 'SSDLite', resolution: 300, classes: 91, outputStrides: [8, 16, 32] },
  ssd: { title: 'SSD', resolution: 300, classes: 91, outputStrides: [8, 16, 32] },
  deeplabv3: { title: 'DeepLabv3, mobile form', resolution: 513, classes: 21, outputStrides: [8, 16] },
  deeplabv3_aspp: { title: 'DeepLabv3, full ASPP', resolution: 513, classes: 21, outputStrides: [8, 16] },
} as const satisfies Readonly<Record<string, HeadDefaults>>;

export type HeadName = keyof typeof HEADS;

/** TensorFlow's detection and segmentation heads. */
const HEAD_STYLE: Style = { padding: 'same', epsilon: 1e-3, activation: 'relu6' };

export interface ModelOptions {
  /** One of the registry, or its name: `backbones()` lists them. */
  readonly backbone: string | Backbone;
  readonly head: HeadName;
  /** Name of the graph; by default head and backbone. */
  readonly name?: string;
  /** Width multiplier; 1 where absent. */
  readonly width?: number;
  /** Side of the square input in pixels, or its height and width; the head's own where absent. SSDLite's is square. */
  readonly resolution?: number | InputSize;
  /** Input pixels to one cell of the backbone's last map; the largest that backbone and head have where absent. */
  readonly outputStride?: OutputStride;
  /** Columns of the class predictions, a background included where the head has one; the head's own where absent. */
  readonly classes?: number;
  /** What the network is fed with; by default pixels, uint8 [H, W, 3], which it brings to -1..1 itself. */
  readonly input?: NetworkInput;
  /** Padding, batch normalisation's epsilon and activation that the weights were trained with. */
  readonly backboneStyle?: Style;
  readonly headStyle?: Style;
  /** Further outputs: values, layers or blocks, see `GraphBuilder.find`. */
  readonly taps?: readonly string[];
}

/** A network, described. */
export interface Model {
  /**
   * Outputs: a classifier's logits [classes]; DeepLabv3's logits [classes, rows, columns]; SSDLite's `box_encodings` [anchors, 4] and
   * `class_logits` [anchors, classes]; then the taps.
   */
  readonly graph: Graph;
  /** Height and width of the maps that anchors lie on, for `ssdAnchors`; none where the head has no anchors. */
  readonly grids: readonly (readonly [height: number, width: number])[];
}

/**
 * Builds a backbone with a head on it.
 * @throws ArgumentError naming an option that is not there, not right or missing, a head that the backbone cannot carry or an output
 *   stride that the two do not have; RangeError where a family of a few tables has none for that width; GraphError where layers do
 *   not fit the size or a tap is not there
 */
export function buildModel(options: ModelOptions): Model {
  checkModelOptions(options, Object.keys(HEADS));
  const { head, taps = [] } = options;
  const backbone = typeof options.backbone === 'string' ? backboneNamed(options.backbone) : options.backbone;
  const defaults: HeadDefaults = HEADS[head];
  if (head !== 'classifier' && !backbone.carriesHeads) {
    throw new ArgumentError(
      'head',
      `must be classifier: ${backbone.name} is for cost and classification, and carries no ${defaults.title}`,
    );
  }
  const strides = backbone.outputStrides.filter((stride) => defaults.outputStrides.includes(stride));
  const { width = 1, resolution = defaults.resolution, classes = defaults.classes } = options;
  const { outputStride = Math.max(...strides) as OutputStride } = options;
  if (!strides.includes(outputStride)) {
    const why = backbone.outputStrides.includes(outputStride)
      ? `${defaults.title} is built for output stride ${orList(strides)}, not ${outputStride}`
      : `${backbone.name} has no output stride ${outputStride}: it can have ${strides.join(', ')}`;
    throw new ArgumentError('outputStride', `is not right: ${why}`);
  }
  const size = typeof resolution === 'number' ? { height: resolution, width: resolution } : resolution;
  const common = {
    name: options.name ?? `${head}_${backbone.name}`,
    width,
    outputStride,
    classes,
    input: options.input ?? { kind: 'pixels' as const, normalization: MINUS_ONE_TO_ONE },
    taps,
  };
  const backboneStyle = options.backboneStyle ?? backbone.style;
  const headStyle = options.headStyle ?? HEAD_STYLE;
  switch (head) {
    case 'classifier':
      return {
        graph: buildClassifier(backbone, { ...common, resolution: size, style: backboneStyle }),
        grids: [],
      };
    case 'deeplabv3':
    case 'deeplabv3_aspp': {
      const form = head === 'deeplabv3' ? 'mobile' : 'aspp';
      // What HEADS allows it.
      const stride = outputStride as Deeplabv3OutputStride;
      const parts = {
        ...common,
        outputStride: stride,
        backbone,
        form,
        size,
        backboneStyle,
        headStyle,
      } as const;
      return { graph: buildDeeplabv3(parts).graph, grids: [] };
    }
    case 'ssdlite':
    case 'ssd': {
      if (size.height !== size.width) {
        throw new ArgumentError(
          'resolution',
          `must be one side: ${defaults.title} takes square images, not ${size.height}x${size.width}`,
        );
      }
      // TensorFlow's detection models give the extra layers the backbone's width.
      const parts = { ...common, backbone, form: head, extraWidth: width, backboneStyle, headStyle };
      return buildSsdlite({ ...parts, resolution: size.height });
    }
  }
}
