import type { Backbone, BackboneOptions, OutputStride } from '../../models/backbones/backbone.ts';
import { featuresOf } from '../../models/backbones/backbone.ts';
import type { Style } from '../../models/backbones/blocks.ts';
import { convBlock, depthwiseBlock } from '../../models/backbones/blocks.ts';
import { GraphBuilder } from '../../models/graph/builder.ts';
import type { Graph, Value } from '../../models/graph/graph.ts';
import type { NetworkInput } from '../../models/graph/image_input.ts';
import { networkInput } from '../../models/graph/image_input.ts';
import { ANCHORS_PER_CELL } from './anchors.ts';

/**
 * - `ssdlite`: predictors and extra layers with depthwise separable 3x3 convolutions.
 * - `ssd`: the same layers with full 3x3 convolutions, to compare with.
 */
export type SsdForm = 'ssdlite' | 'ssd';

export interface SsdliteOptions {
  readonly name: string;
  readonly form?: SsdForm;
  readonly backbone: Backbone;
  readonly width?: number;
  /** Width multiplier of the extra layers; TensorFlow's detection models give them the backbone's. */
  readonly extraWidth?: number;
  readonly outputStride?: OutputStride;
  /** Side of the square input in pixels. */
  readonly resolution: number;
  /** Columns of the class predictions, background (column 0) included. */
  readonly classes: number;
  readonly input: NetworkInput;
  readonly backboneStyle: Style;
  readonly headStyle: Style;
  /** Further outputs: values, layers or blocks, see `GraphBuilder.find`. */
  readonly taps?: readonly string[];
}

export interface Ssdlite {
  /**
   * Input `pixels` uint8 [resolution, resolution, 3] or `input` float32 [3, resolution, resolution]. Outputs
   * `box_encodings` [anchors, 4] (ty, tx, th, tw) and `class_logits` [anchors, classes], before the sigmoid: it is cheaper
   * to take it of the few that pass the threshold; then the taps.
   */
  readonly graph: Graph;
  /** Height and width of each feature map in cells: what the anchors are laid out on. */
  readonly grids: readonly (readonly [height: number, width: number])[];
}

/** Channels of the maps added behind the backbone; each halves the resolution. */
const EXTRA_CHANNELS = [512, 256, 256, 128] as const;
const EXTRA_MIN_CHANNELS = 16;

/**
 * 1x1 to half the width, then the full width at half the resolution: depthwise 3x3 stride 2 and 1x1, or one full 3x3.
 * Widths as multi_resolution_feature_maps of research/object_detection/models/feature_map_generators.py scales them.
 */
function extraLayer(
  builder: GraphBuilder,
  name: string,
  x: Value,
  { channels, width, form }: { channels: number; width: number; form: SsdForm },
  style: Style,
): Value {
  const scaled = (count: number) => Math.max(EXTRA_MIN_CHANNELS, Math.trunc(count * width));
  const full = { channels: scaled(channels) };
  const reduced = convBlock(builder, `${name}.reduce`, x, { channels: scaled(channels / 2) }, style);
  if (form === 'ssd') {
    return convBlock(builder, `${name}.project`, reduced, { ...full, kernel: 3, stride: 2 }, style);
  }
  const filtered = depthwiseBlock(builder, `${name}.depthwise`, reduced, { stride: 2 }, style);
  return convBlock(builder, `${name}.project`, filtered, full, style);
}

/** Depthwise 3x3 + 1x1 with bias, or one full 3x3 with bias, laid out as [cells * anchors, columns]. */
function predictor(
  builder: GraphBuilder,
  name: string,
  x: Value,
  { anchors, columns, form }: { anchors: number; columns: number; form: SsdForm },
  style: Style,
): Value {
  const [, height = 0, width = 0] = x.shape;
  const channels = anchors * columns;
  const predicted =
    form === 'ssd'
      ? builder.conv(`${name}.predict`, x, { channels, kernel: 3, padding: style.padding, bias: true })
      : builder.conv(`${name}.predict`, depthwiseBlock(builder, `${name}.depthwise`, x, {}, style), {
          channels,
          bias: true,
        });
  const rows = builder.transpose(`${name}.rows`, predicted, [1, 2, 0]);
  return builder.reshape(`${name}.anchors`, rows, [height * width * anchors, columns]);
}

/**
 * A backbone with an SSDLite head: six feature maps (the expansion at stride 16, the final convolution at stride 32,
 * four extra layers), on each a box and a class predictor, with the 3x3 convolutions depthwise separable.
 * Source: Sandler et al. (arXiv 1801.04381), section 6.2; tensorflow/models
 * research/object_detection/samples/configs/ssdlite_mobilenet_v2_coco.config. The plain form: Liu et al., "SSD" (arXiv
 * 1512.02325), with the extra layers of research/object_detection/models/feature_map_generators.py.
 * @throws RangeError where the backbone cannot be built for that output stride or width
 */
export function buildSsdlite({
  name,
  form = 'ssdlite',
  backbone,
  width = 1,
  extraWidth = 1,
  outputStride = 32,
  resolution,
  classes,
  input,
  backboneStyle,
  headStyle,
  taps = [],
}: SsdliteOptions): Ssdlite {
  const builder = new GraphBuilder(name);
  const image = networkInput(builder, { height: resolution, width: resolution }, input);
  const options: BackboneOptions = { width, outputStride, style: backboneStyle };
  const { expansion, final } = featuresOf(backbone, builder, image, options);
  const maps = [expansion, final];
  let last = final;
  EXTRA_CHANNELS.forEach((channels, index) => {
    const extra = { channels, width: extraWidth, form };
    last = extraLayer(builder, `head.extras.${index}`, last, extra, headStyle);
    maps.push(last);
  });
  const boxes: Value[] = [];
  const logits: Value[] = [];
  maps.forEach((map, index) => {
    const anchors = ANCHORS_PER_CELL[index] ?? 0;
    boxes.push(predictor(builder, `head.box.${index}`, map, { anchors, columns: 4, form }, headStyle));
    logits.push(predictor(builder, `head.cls.${index}`, map, { anchors, columns: classes, form }, headStyle));
  });
  const graph = builder.build([
    builder.concat('box_encodings', boxes, 0),
    builder.concat('class_logits', logits, 0),
    ...taps.map((tap) => builder.find(tap)),
  ]);
  return { graph, grids: maps.map(({ shape }) => [shape[1] ?? 0, shape[2] ?? 0]) };
}
