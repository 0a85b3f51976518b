import type { GraphBuilder } from '../graph/builder.ts';
import type { ActivationKind, Value } from '../graph/graph.ts';
import type { Features, OutputStride } from './backbone.ts';
import { StrideTracker } from './backbone.ts';
import type { SqueezeExcite, Style } from './blocks.ts';
import { convBlock, invertedResidual } from './blocks.ts';
import { makeDivisible } from './width.ts';

/** Alike blocks in a row of a paper's table. Channels are those of width 1. */
export interface InvertedResidualRow {
  /** Channels between expansion and projection, as a multiple of the block's input. */
  readonly expansion: number;
  readonly kernel: number;
  readonly channels: number;
  /** How many blocks; 1 where left out. */
  readonly repeats?: number;
  /** Of the first of them. */
  readonly stride: number;
  /** Squeeze-and-excitation of a block with these channels, where the row has it. */
  readonly squeeze?: (channels: { readonly input: number; readonly hidden: number }) => SqueezeExcite;
  /** Where it isn't the style's. */
  readonly activation?: ActivationKind;
}

/** A family that is a stem, stages of inverted residuals and a last 1x1 convolution. */
export interface InvertedResidualTable {
  readonly stem: number;
  /** Below this width the stem keeps its channels. */
  readonly stemKeptBelow?: number;
  readonly stages: readonly (readonly InvertedResidualRow[])[];
  /** Channels of the final convolution at a width and behind `last` channels: families differ in whether it shrinks. */
  readonly final: (width: number, last: number) => number;
  /** Hidden channels are counted at width 1, then scaled; by default they are a multiple of the scaled input. */
  readonly scalesHidden?: boolean;
}

/** The stride of the map whose expansion a detection head reads. */
const EXPANSION_STRIDE = 16;

/**
 * Adds `backbone.stem`, `backbone.stage{1..}.{0..}` and `backbone.final`. Channels are scaled by `width`
 * and rounded by `makeDivisible`, hidden ones after their multiplication.
 */
export function invertedResidualFeatures(
  builder: GraphBuilder,
  image: Value,
  table: InvertedResidualTable,
  {
    width,
    outputStride,
    style,
  }: { readonly width: number; readonly outputStride: OutputStride; readonly style: Style },
): Features {
  const byStride = new Map<number, Value>();
  const strides = new StrideTracker(outputStride, 2);
  const stemWidth = width < (table.stemKeptBelow ?? 0) ? 1 : width;
  const stem = { channels: makeDivisible(table.stem * stemWidth), kernel: 3, stride: 2 };
  let x = convBlock(builder, 'backbone.stem', image, stem, style);
  byStride.set(strides.stride, x);
  let expansion = x;
  // The block's input as it would be at width 1.
  let unscaled = table.stem;
  // What the stride would be without dilation.
  let undilated = 2;
  table.stages.forEach((rows, stage) => {
    let block = 0;
    for (const { expansion: factor, kernel, channels, repeats = 1, stride, squeeze, activation } of rows) {
      for (let repeat = 0; repeat < repeats; repeat++) {
        const input = x.shape[0] ?? 0;
        const hidden = table.scalesHidden
          ? makeDivisible(makeDivisible(unscaled * factor) * width)
          : makeDivisible(input * factor);
        const blockStride = repeat === 0 ? stride : 1;
        const { out, expanded } = invertedResidual(
          builder,
          `backbone.stage${stage + 1}.${block++}`,
          x,
          {
            channels: makeDivisible(channels * width),
            hidden,
            kernel,
            ...strides.next(blockStride),
            ...(squeeze && { squeeze: squeeze({ input, hidden }) }),
            ...(activation && { activation }),
          },
          style,
        );
        if (undilated === EXPANSION_STRIDE && blockStride > 1) expansion = expanded;
        undilated *= blockStride;
        unscaled = channels;
        x = out;
        byStride.set(strides.stride, x);
      }
    }
  });
  const final = convBlock(
    builder,
    'backbone.final',
    x,
    { channels: table.final(width, x.shape[0] ?? 0) },
    style,
  );
  byStride.set(strides.stride, final);
  return { expansion, bottleneck: x, final, byStride };
}
