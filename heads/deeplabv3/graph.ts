import type { Backbone } from '../../models/backbones/backbone.ts';
import { featuresOf } from '../../models/backbones/backbone.ts';
import type { Style } from '../../models/backbones/blocks.ts';
import { convBlock } from '../../models/backbones/blocks.ts';
import { GraphBuilder } from '../../models/graph/builder.ts';
import type { Graph, Value } from '../../models/graph/graph.ts';
import type { InputSize, NetworkInput } from '../../models/graph/image_input.ts';
import { networkInput } from '../../models/graph/image_input.ts';

/**
 * - `mobile`: image pooling and a 1x1 convolution.
 * - `aspp`: atrous spatial pyramid pooling, those two and three atrous 3x3 convolutions.
 */
export type Deeplabv3Form = 'mobile' | 'aspp';

/** Input pixels to one cell of the logits. At 32 a 513-pixel image would be labelled in cells too coarse to be of use. */
export type Deeplabv3OutputStride = 8 | 16;

export interface Deeplabv3Options {
  readonly name: string;
  readonly backbone: Backbone;
  readonly width?: number;
  readonly form?: Deeplabv3Form;
  readonly outputStride?: Deeplabv3OutputStride;
  /** Height and width of the input in pixels; a multiple of the output stride plus 1 keeps cells and pixels aligned. */
  readonly size: InputSize;
  /** Classes, the background included. */
  readonly classes: number;
  readonly input: NetworkInput;
  readonly backboneStyle: Style;
  readonly headStyle: Style;
  /** Further outputs: values, layers or blocks, see `GraphBuilder.find`. */
  readonly taps?: readonly string[];
}

export interface Deeplabv3 {
  /**
   * Input `pixels` uint8 [height, width, 3] or `input` float32 [3, height, width]. Output `head.classify` [classes, rows,
   * columns], the logits before they are brought to the size of the image, then the taps.
   */
  readonly graph: Graph;
  /** Height and width of the logits in cells. */
  readonly grid: readonly [height: number, width: number];
}

const HEAD_CHANNELS = 256;

/** Dilation of the atrous branches at output stride 16; at 8 they see the same pixels at twice the rates. */
const ATROUS_RATES = [6, 12, 18] as const;
const ATROUS_RATES_STRIDE = 16;

/** The map's mean through a 1x1 convolution, repeated over the map: what bilinear upsampling makes of a single cell. */
function imagePooling(builder: GraphBuilder, name: string, x: Value, style: Style): Value {
  const [, height = 0, width = 0] = x.shape;
  const mean = builder.globalAveragePool(`${name}.mean`, x);
  const projected = convBlock(builder, name, mean, { channels: HEAD_CHANNELS }, style);
  return builder.broadcast(`${name}.map`, projected, [height, width]);
}

/**
 * A backbone with a DeepLabv3 head on its last bottleneck's map: branches of 256 channels side by side (image pooling
 * first), joined, projected to 256 and classified.
 * Source: Chen et al. (arXiv 1706.05587), section 3.3; Sandler et al. (arXiv 1801.04381), section 6.3, for the mobile form
 * and for reading the map before the final convolution; the order of the branches is that of tensorflow/models
 * research/deeplab/model.py. The pyramid's 3x3 convolutions are full ones: that is what the paper's 4.52 M parameters hold.
 * @throws RangeError where the backbone cannot be built for that output stride, or the output stride is neither 8 nor 16
 */
export function buildDeeplabv3({
  name,
  backbone,
  width = 1,
  form = 'mobile',
  outputStride = 16,
  size,
  classes,
  input,
  backboneStyle,
  headStyle,
  taps = [],
}: Deeplabv3Options): Deeplabv3 {
  if (outputStride !== 8 && outputStride !== 16) {
    throw new RangeError(`DeepLabv3 is built for output stride 8 or 16, not ${outputStride as number}`);
  }
  const builder = new GraphBuilder(name);
  const image = networkInput(builder, size, input);
  const { bottleneck } = featuresOf(backbone, builder, image, { width, outputStride, style: backboneStyle });
  const channels = HEAD_CHANNELS;
  const branches = [
    imagePooling(builder, 'head.pool', bottleneck, headStyle),
    convBlock(builder, 'head.branch', bottleneck, { channels }, headStyle),
  ];
  if (form === 'aspp') {
    ATROUS_RATES.forEach((rate, index) => {
      const dilation = (rate * ATROUS_RATES_STRIDE) / outputStride;
      const atrous = { channels, kernel: 3, dilation };
      branches.push(convBlock(builder, `head.atrous.${index}`, bottleneck, atrous, headStyle));
    });
  }
  const joined = builder.concat('head.joined', branches, 0);
  const projected = convBlock(builder, 'head.project', joined, { channels }, headStyle);
  const logits = builder.conv('head.classify', projected, { channels: classes, bias: true });
  const graph = builder.build([logits, ...taps.map((tap) => builder.find(tap))]);
  return { graph, grid: [logits.shape[1] ?? 0, logits.shape[2] ?? 0] };
}
