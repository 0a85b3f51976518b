import type { GraphBuilder } from '../graph/builder.ts';
import type { Value } from '../graph/graph.ts';
import type { Style } from './blocks.ts';

/** Input pixels to one cell of the last feature map. Below 32, strides are replaced by dilation. */
export type OutputStride = 8 | 16 | 32;

export interface BackboneOptions {
  /** Width multiplier: the share of the paper's channels. */
  readonly width: number;
  readonly outputStride: OutputStride;
  readonly style: Style;
}

/** The feature maps that a head can read, each [channels, H, W]. */
export interface Features {
  /**
   * What the depthwise convolution of the block from stride 16 to stride 32 reads: the expanded map at stride 16,
   * SSDLite's first. Networks without expansion layers give their last map at stride 16.
   */
  readonly expansion: Value;
  /** Output of the last block, before the final 1x1 convolution where there is one: what DeepLabv3 reads. */
  readonly bottleneck: Value;
  /** Output of the final 1x1 convolution, or of the last block: SSDLite's second map, and what a classifier pools. */
  readonly final: Value;
  /** The last map at each stride of input pixels a cell (2, 4, ..., the output stride). */
  readonly byStride: ReadonlyMap<number, Value>;
}

/** One family of networks: its table, and how checkpoints of it are usually trained. */
export interface Backbone {
  readonly name: string;
  readonly title: string;
  readonly paper: string;
  /** The implementation that names, widths and details were compared with. */
  readonly reference: string;
  /**
   * Width multipliers that were published. Any positive one can be built, unless the family is a few tables and no rule:
   * ShuffleNets and SqueezeNet have these only.
   */
  readonly widths: readonly number[];
  /** What it can be built for; a network that ends at stride 16 has no 32. */
  readonly outputStrides: readonly OutputStride[];
  /** Whether detection and segmentation heads may read it; the others are for cost and classification. */
  readonly carriesHeads: boolean;
  /** Of the reference implementation's published checkpoints. */
  readonly style: Style;
  /** Adds the network's nodes, named `backbone.*`, behind `x` [3, H, W]. */
  readonly features: (builder: GraphBuilder, x: Value, options: BackboneOptions) => Features;
  /**
   * The paper's classifier, nodes `classifier.*`, where it is more than a mean and one fully connected layer.
   * @returns the logits [classes]
   */
  readonly classifier?: (
    builder: GraphBuilder,
    features: Features,
    options: { readonly classes: number; readonly width: number; readonly style: Style },
  ) => Value;
}

/**
 * Follows the strides of a network and turns those beyond the output stride into dilation. Where a stride is
 * removed, that block keeps the rate so far and the layers after it take twice that.
 * Source: mobilenet_base of tensorflow/models research/slim/nets/mobilenet/mobilenet.py; Chen et al. (arXiv
 * 1706.05587), section 3.
 */
export class StrideTracker {
  readonly #outputStride: number;
  #stride: number;
  #dilation = 1;

  constructor(outputStride: OutputStride, stride: number) {
    this.#outputStride = outputStride;
    this.#stride = stride;
  }

  /** Input pixels a cell so far. */
  get stride(): number {
    return this.#stride;
  }

  /** The rate that a layer without a stride of its own must use. */
  get dilation(): number {
    return this.#dilation;
  }

  /** What a block that would go by `stride` must do instead. */
  next(stride: number): { stride: number; dilation: number } {
    const dilation = this.#dilation;
    if (stride > 1 && this.#stride >= this.#outputStride) {
      this.#dilation *= stride;
      return { stride: 1, dilation };
    }
    this.#stride *= stride;
    return { stride, dilation };
  }
}

/** `backbone.features`, checked. @throws RangeError where the backbone cannot be built for that output stride or width */
export function featuresOf(
  backbone: Backbone,
  builder: GraphBuilder,
  x: Value,
  options: BackboneOptions,
): Features {
  const { outputStride, width } = options;
  if (!backbone.outputStrides.includes(outputStride)) {
    throw new RangeError(
      `${backbone.name} has no output stride ${outputStride}: it can have ${backbone.outputStrides.join(', ')}`,
    );
  }
  if (!(width > 0)) throw new RangeError(`a width multiplier must be above 0, got ${width}`);
  return backbone.features(builder, x, options);
}
