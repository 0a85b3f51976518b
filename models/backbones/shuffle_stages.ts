import type { GraphBuilder } from '../graph/builder.ts';
import type { Value } from '../graph/graph.ts';
import type { BackboneOptions, Features } from './backbone.ts';
import { StrideTracker } from './backbone.ts';
import { convBlock } from './blocks.ts';

/** Units of stages 2, 3 and 4; the first of each goes by stride 2. Table 1 of ShuffleNet, Table 5 of ShuffleNetV2. */
const UNITS = [4, 8, 4] as const;
const FIRST_STAGE = 2;
/** The last stage at stride 16. */
const EXPANSION_STAGE = 3;

/** Where a unit stands, and what its place asks of it. */
export interface ShuffleUnitPlace {
  /** `backbone.stage2.0` and so on. */
  readonly name: string;
  readonly stage: number;
  /** Channels of the output. */
  readonly channels: number;
  readonly stride: number;
  readonly dilation: number;
  /** First of its stage: it changes the number of channels, and goes by the stage's stride. */
  readonly first: boolean;
}

/**
 * What ShuffleNets share: a stem, a max pool and three stages of units, nodes `backbone.stem`, `backbone.pool` and
 * `backbone.stage{2,3,4}.{0..}`. As units expand nothing, `expansion` is the last map at stride 16.
 * @param channels of the stem, and of each stage's units
 * @param unit adds one unit behind `x`
 */
export function shuffleStages(
  builder: GraphBuilder,
  image: Value,
  channels: { readonly stem: number; readonly stages: readonly number[] },
  { outputStride, style }: Omit<BackboneOptions, 'width'>,
  unit: (x: Value, place: ShuffleUnitPlace) => Value,
): Omit<Features, 'final'> {
  const byStride = new Map<number, Value>();
  const strides = new StrideTracker(outputStride, 2);
  const stem = { channels: channels.stem, kernel: 3, stride: 2 };
  let x = convBlock(builder, 'backbone.stem', image, stem, style);
  byStride.set(strides.stride, x);
  const { stride } = strides.next(2);
  x = builder.maxPool('backbone.pool', x, { kernel: 3, stride, padding: style.padding });
  byStride.set(strides.stride, x);
  let expansion = x;
  UNITS.forEach((units, index) => {
    const stage = FIRST_STAGE + index;
    for (let at = 0; at < units; at++) {
      const first = at === 0;
      x = unit(x, {
        name: `backbone.stage${stage}.${at}`,
        stage,
        channels: channels.stages[index] ?? 0,
        first,
        ...strides.next(first ? 2 : 1),
      });
      byStride.set(strides.stride, x);
    }
    if (stage === EXPANSION_STAGE) expansion = x;
  });
  return { expansion, bottleneck: x, byStride };
}
