import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { buildClassifier } from '../../../models/backbones/classifier.ts';
import { backboneNamed } from '../../../models/backbones/registry.ts';
import { GraphBuilder } from '../../../models/graph/builder.ts';
import { cost } from '../../../models/graph/cost.ts';
import type { Value } from '../../../models/graph/graph.ts';
import { guidelines } from '../../../models/graph/guidelines.ts';
import { totalBytes } from '../../../models/graph/memory_access.ts';

/** A graph with a map of `channels` on 4x4 cells as input. */
function graphOf(channels: number, describe: (builder: GraphBuilder, x: Value) => Value) {
  const builder = new GraphBuilder('g');
  return builder.build([describe(builder, builder.input('x', 'float32', [channels, 4, 4]))]);
}

const pointwise = (inChannels: number, channels: number, groups = 1) =>
  graphOf(inChannels, (builder, x) => builder.conv('conv', x, { channels, groups }));

const names = (breaking: readonly { readonly layer: string }[]) => breaking.map(({ layer }) => layer);
const moved = (graph: Parameters<typeof cost>[0]) =>
  totalBytes(cost(graph, { elementBytes: 1 }).memoryAccess);

describe('G1, channel balance', () => {
  test('the lower bound is what the balanced layer of the same MAdds moves, and no other moves less', () => {
    const { channelBalance } = guidelines(pointwise(4, 16));
    const [layer] = channelBalance.breaking;
    assert.deepEqual(
      [layer?.layer, layer?.ratio, layer?.memoryAccess, layer?.lowerBound],
      ['conv', 4, moved(pointwise(4, 16)), moved(pointwise(8, 8))],
    );
    assert.equal(channelBalance.excess, 384 / 320);
    for (const channels of [1, 2, 4, 16, 32, 64])
      assert.ok(moved(pointwise(channels, 64 / channels)) > moved(pointwise(8, 8)));
  });

  test('holds in groups too', () => {
    const { channelBalance } = guidelines(pointwise(4, 16, 2));
    assert.equal(channelBalance.breaking[0]?.memoryAccess, moved(pointwise(4, 16, 2)));
    assert.equal(channelBalance.breaking[0]?.lowerBound, moved(pointwise(8, 8, 2)));
  });

  test('lets pass twice the channels, and looks at no depthwise, larger or strided layer and no vector', () => {
    assert.deepEqual(guidelines(pointwise(8, 16)).channelBalance.breaking, []);
    const other = graphOf(8, (builder, x) => {
      const filtered = builder.conv('depthwise', x, { channels: 8, groups: 8, kernel: 3 });
      const wide = builder.conv('wide', filtered, { channels: 64, kernel: 3 });
      const strided = builder.conv('strided', wide, { channels: 8, stride: 2 });
      return builder.conv('vector', builder.globalAveragePool('pool', strided), { channels: 64 });
    });
    assert.deepEqual(guidelines(other).channelBalance, { excess: 1, pointwiseLayers: 0, breaking: [] });
  });
});

describe('G2, group convolution', () => {
  test('sets a grouped layer beside the ungrouped one of the same input and MAdds', () => {
    const { groupConvolution } = guidelines(pointwise(8, 32, 4));
    assert.equal(cost(pointwise(8, 32, 4)).madds, cost(pointwise(8, 8)).madds);
    assert.deepEqual(groupConvolution.breaking, [
      { layer: 'conv', groups: 4, excess: moved(pointwise(8, 32, 4)) / moved(pointwise(8, 8)) },
    ]);
  });

  test('tells depthwise layers apart, and their shares of MAdds and memory', () => {
    const graph = graphOf(8, (builder, x) => {
      const filtered = builder.conv('depthwise', x, { channels: 8, groups: 8, kernel: 3 });
      const grouped = builder.conv('grouped', filtered, { channels: 8, groups: 2 });
      return builder.conv('full', grouped, { channels: 8 });
    });
    const { grouped, depthwise, breaking } = guidelines(graph).groupConvolution;
    const madds = 72 + 32 + 64;
    const memory = 3 * 256 + 72 + 32 + 64;
    assert.deepEqual(grouped, { layers: 1, madds: 32 / madds, memoryAccess: (256 + 32) / memory });
    assert.deepEqual(depthwise, { layers: 1, madds: 72 / madds, memoryAccess: (256 + 72) / memory });
    assert.deepEqual(names(breaking), ['grouped']);
  });
});

describe('G3, fragmentation', () => {
  const split = (branches: number, depth: number) =>
    graphOf(8, (builder, x) =>
      builder.block('b', () => {
        const ends = Array.from({ length: branches }, (_, branch) => {
          let end = x;
          for (let layer = 0; layer < depth; layer++)
            end = builder.activation(
              `${branch}.${layer}.act`,
              builder.conv(`${branch}.${layer}`, end, { channels: 8 }),
              'relu',
            );
          return end;
        });
        return builder.concat('joined', ends, 0);
      }),
    );

  test('counts operators and how many lie side by side', () => {
    assert.deepEqual(guidelines(split(3, 1)).fragmentation, {
      blocks: 1,
      meanOperators: 3,
      most: { block: 'b', operators: 3, branches: 3 },
      breaking: [{ block: 'b', operators: 3, branches: 3 }],
    });
    assert.deepEqual(guidelines(split(2, 2)).fragmentation.breaking, []);
    assert.deepEqual(guidelines(split(1, 6)).fragmentation.breaking, [
      { block: 'b', operators: 6, branches: 1 },
    ]);
  });

  test('leaves out what belongs to no block', () => {
    assert.deepEqual(guidelines(pointwise(8, 8)).fragmentation, {
      blocks: 0,
      meanOperators: 0,
      most: undefined,
      breaking: [],
    });
  });
});

describe('G4, element-wise operators', () => {
  test('counts activations on their own and inside, and names what is left', () => {
    const graph = graphOf(8, (builder, x) => {
      const active = builder.activation('act', builder.conv('conv', x, { channels: 8 }), 'relu');
      return builder.channelShuffle('shuffle', builder.add('add', x, active), 2);
    });
    const { share, shareFused, breaking } = guidelines(graph).elementWise;
    const conv = 256 + 64;
    const rest = 3 * 128 + 2 * 128;
    assert.equal(share, (256 + rest) / (conv + 256 + rest));
    assert.equal(shareFused, rest / (conv + rest));
    assert.deepEqual(breaking, [
      { layer: 'add', op: 'add', share: 384 / (conv + rest) },
      { layer: 'shuffle', op: 'channelShuffle', share: 256 / (conv + rest) },
    ]);
  });
});

describe('ShuffleNetV2 against ShuffleNetV1, at about 140 M MAdds', () => {
  const v2 = guidelines(buildClassifier(backboneNamed('shufflenet_v2')));
  for (const name of ['shufflenet_v1_g2', 'shufflenet_v1_g3', 'shufflenet_v1_g4', 'shufflenet_v1_g8']) {
    test(`${name}: V2 is better balanced, and has no groups and fewer element-wise operators`, () => {
      const v1 = guidelines(buildClassifier(backboneNamed(name)));
      assert.ok(v2.channelBalance.excess < 1.02 && v1.channelBalance.excess > 1.1);
      assert.ok(v1.groupConvolution.grouped.madds > 0.8);
      assert.equal(v2.groupConvolution.grouped.layers, 0);
      assert.ok(v2.elementWise.shareFused < v1.elementWise.shareFused);
    });
  }

  test('no unit of V2 breaks the limit on fragments, which is its own largest unit', () => {
    assert.deepEqual(v2.fragmentation.breaking, []);
    assert.deepEqual(
      { operators: v2.fragmentation.most?.operators, branches: v2.fragmentation.most?.branches },
      { operators: 5, branches: 2 },
    );
  });
});
