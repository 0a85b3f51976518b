import type { Backbone, BackboneOptions, OutputStride } from '../../models/backbones/backbone.ts';
import { featuresOf } from '../../models/backbones/backbone.ts';
import type { Style } from '../../models/backbones/blocks.ts';
import { convBlock, depthwiseBlock } from '../../models/backbones/blocks.ts';
import { GraphBuilder } from '../../models/graph/builder.ts';
import type { Graph, Value } from '../../models/graph/graph.ts';
import type { NetworkInput } from '../../models/graph/image_input.ts';
import { networkInput } from '../../models/graph/image_input.ts';
import { ANCHORS_PER_CELL } from './anchors.ts';

export interface SsdliteOptions {
  readonly name: string;
  readonly backbone: Backbone;
  readonly width?: number;
  readonly outputStride?: OutputStride;
  /** Side of the square input in pixels. */
  readonly resolution: number;
  /** Columns of the class predictions, background (column 0) included. */
  readonly classes: number;
  readonly input: NetworkInput;
  readonly backboneStyle: Style;
  readonly headStyle: Style;
}

export interface Ssdlite {
  /**
   * Input `pixels` uint8 [resolution, resolution, 3]. Outputs `box_encodings` [anchors, 4] (ty, tx, th, tw) and
   * `class_logits` [anchors, classes], before the sigmoid: it is cheaper to take it of the few that pass the threshold.
   */
  readonly graph: Graph;
  /** Height and width of each feature map in cells: what the anchors are laid out on. */
  readonly grids: readonly (readonly [height: number, width: number])[];
}

/** Channels of the maps added behind the backbone; each halves the resolution. */
const EXTRA_CHANNELS = [512, 256, 256, 128] as const;

/** 1x1 to half the width, depthwise 3x3 stride 2, 1x1. */
function extraLayer(builder: GraphBuilder, name: string, x: Value, channels: number, style: Style): Value {
  const reduced = convBlock(builder, `${name}.reduce`, x, { channels: channels / 2 }, style);
  const filtered = depthwiseBlock(builder, `${name}.depthwise`, reduced, { stride: 2 }, style);
  return convBlock(builder, `${name}.project`, filtered, { channels }, style);
}

/** Depthwise 3x3 + 1x1 with bias, laid out as [cells * anchors, columns]. */
function predictor(
  builder: GraphBuilder,
  name: string,
  x: Value,
  { anchors, columns }: { anchors: number; columns: number },
  style: Style,
): Value {
  const [, height = 0, width = 0] = x.shape;
  const filtered = depthwiseBlock(builder, `${name}.depthwise`, x, {}, style);
  const predicted = builder.conv(`${name}.predict`, filtered, { channels: anchors * columns, bias: true });
  const rows = builder.transpose(`${name}.rows`, predicted, [1, 2, 0]);
  return builder.reshape(`${name}.anchors`, rows, [height * width * anchors, columns]);
}

/**
 * A backbone with an SSDLite head: six feature maps (the expansion at stride 16, the final convolution at stride 32,
 * four extra layers), on each a box and a class predictor with the convolutions made depthwise separable.
 * Source: Sandler et al. (arXiv 1801.04381), section 6.2; tensorflow/models
 * research/object_detection/samples/configs/ssdlite_mobilenet_v2_coco.config.
 */
export function buildSsdlite({
  name,
  backbone,
  width = 1,
  outputStride = 32,
  resolution,
  classes,
  input,
  backboneStyle,
  headStyle,
}: SsdliteOptions): Ssdlite {
  const builder = new GraphBuilder(name);
  const image = networkInput(builder, { height: resolution, width: resolution }, input);
  const options: BackboneOptions = { width, outputStride, style: backboneStyle };
  const { expansion, final } = featuresOf(backbone, builder, image, options);
  const maps = [expansion, final];
  let last = final;
  EXTRA_CHANNELS.forEach((channels, index) => {
    last = extraLayer(builder, `head.extras.${index}`, last, channels, headStyle);
    maps.push(last);
  });
  const boxes: Value[] = [];
  const logits: Value[] = [];
  maps.forEach((map, index) => {
    const anchors = ANCHORS_PER_CELL[index] ?? 0;
    boxes.push(predictor(builder, `head.box.${index}`, map, { anchors, columns: 4 }, headStyle));
    logits.push(predictor(builder, `head.cls.${index}`, map, { anchors, columns: classes }, headStyle));
  });
  const graph = builder.build([
    builder.concat('box_encodings', boxes, 0),
    builder.concat('class_logits', logits, 0),
  ]);
  return { graph, grids: maps.map(({ shape }) => [shape[1] ?? 0, shape[2] ?? 0]) };
}
