// Memory access and peak activation memory, by hand on small graphs and against the MobileNetV2 paper's Table 3.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { buildClassifier } from '../../../models/backbones/classifier.ts';
import { backboneNamed, backbones } from '../../../models/backbones/registry.ts';
import { GraphBuilder } from '../../../models/graph/builder.ts';
import { cost } from '../../../models/graph/cost.ts';
import { foldGraph } from '../../../models/graph/folding.ts';
import type { Graph, Value } from '../../../models/graph/graph.ts';
import { elementCount } from '../../../models/graph/graph.ts';
import { blocksOf, layersOf } from '../../../models/graph/layers.ts';
import { totalBytes } from '../../../models/graph/memory_access.ts';
import { parametersOf } from '../../../models/graph/parameters.ts';
import { peakMemory } from '../../../models/graph/peak_memory.ts';

const start = (name: string, shape: readonly number[]) => {
  const builder = new GraphBuilder(name);
  return { builder, x: builder.input('x', 'float32', shape) };
};

/** An inverted residual on 64 cells, 4 channels outside and 8 inside, an activation behind its sum, and a classifier. */
function residual(): Graph {
  const { builder, x } = start('residual', [4, 8, 8]);
  const out = builder.block('b', () => {
    const expanded = builder.batchNorm('expand.bn', builder.conv('expand', x, { channels: 8 }), 1e-3);
    const active = builder.activation('expand.act', expanded, 'relu6');
    const filtered = builder.conv('depthwise', active, { channels: 8, groups: 8, kernel: 3 });
    const projected = builder.conv('project', filtered, { channels: 4, bias: true });
    return builder.activation('act', builder.add('add', x, projected), 'relu');
  });
  const mean = builder.globalAveragePool('pool', out);
  return builder.build([builder.fullyConnected('classifier', builder.reshape('flat', mean, [4]), 10)]);
}

describe('the layers that run', () => {
  test('have normalisation and activation inside the convolution that makes their input, and no other', () => {
    assert.deepEqual(
      layersOf(residual()).map(({ nodes }) => nodes.map(({ name }) => name)),
      [
        ['expand', 'expand.bn', 'expand.act'],
        ['depthwise'],
        ['project'],
        ['add'],
        ['act'],
        ['pool'],
        ['flat'],
        ['classifier'],
      ],
    );
  });

  test('leave an activation outside where somebody else reads its input too, or where it is asked for', () => {
    const { builder, x } = start('g', [4, 8, 8]);
    const conv = builder.conv('conv', x, { channels: 4 });
    const graph = builder.build([builder.add('add', conv, builder.activation('act', conv, 'relu'))]);
    const names = (of: Graph, fuseActivations: boolean) =>
      layersOf(of, { fuseActivations }).map(({ node }) => node.name);
    assert.deepEqual(names(graph, true), ['conv', 'act', 'add']);
    assert.deepEqual(names(residual(), false).slice(0, 3), ['expand', 'expand.act', 'depthwise']);
  });

  for (const backbone of backbones()) {
    test(`${backbone.name}: hold each node once, and the parameters of the folded graph`, () => {
      const graph = buildClassifier(backbone);
      const nodes = layersOf(graph).flatMap((layer) => layer.nodes.map(({ name }) => name));
      assert.deepEqual(nodes.toSorted(), graph.nodes.map(({ name }) => name).toSorted());
      const folded = parametersOf(foldGraph(graph)).filter(
        ({ role }) => role !== 'mean' && role !== 'variance',
      );
      assert.equal(
        cost(graph).parametersFolded,
        folded.reduce((sum, { shape }) => sum + elementCount(shape), 0),
      );
    });
  }
});

describe('memory access', () => {
  test('is each weight, input and output once, by hand', () => {
    const { layers, memoryAccess } = cost(residual(), { elementBytes: 1 });
    assert.deepEqual(
      layers.map(({ name, memoryAccess: { weights, read, written } }) => [name, weights, read, written]),
      [
        ['expand', 32 + 8, 256, 512],
        ['depthwise', 72, 512, 512],
        ['project', 32 + 4, 512, 256],
        ['add', 0, 512, 256],
        ['act', 0, 256, 256],
        ['pool', 0, 256, 4],
        ['flat', 0, 0, 0],
        ['classifier', 50, 4, 10],
      ],
    );
    assert.equal(totalBytes(memoryAccess), 4312);
  });

  test('takes 4 bytes an element unless told otherwise, and 1 for a byte', () => {
    assert.equal(totalBytes(cost(residual()).memoryAccess), 4 * 4312);
    const builder = new GraphBuilder('g');
    const pixels = builder.input('pixels', 'uint8', [4, 4, 3]);
    const graph = builder.build([builder.cast('float', pixels, 'float32')]);
    assert.deepEqual(cost(graph).memoryAccess, { weights: 0, read: 48, written: 192 });
  });

  test('of a slice is what it gives, read and written', () => {
    const { builder, x } = start('g', [4, 2, 2]);
    const { memoryAccess } = cost(builder.build([builder.sliceChannels('s', x, 1, 2)]), { elementBytes: 1 });
    assert.deepEqual(memoryAccess, { weights: 0, read: 4, written: 4 });
  });
});

describe('peak memory', () => {
  const at = (graph: Graph, slices: number) => peakMemory(graph, { elementBytes: 1, slices });

  test('of an inverted residual, by hand', () => {
    const { layers, blocks, scheduled } = at(residual(), 4);
    assert.deepEqual(layers, { bytes: 512 + 512, at: 'depthwise' });
    // Input and output, and of the expanded and the filtered map 2 of 8 channels.
    assert.deepEqual(blocks, { bytes: 256 + 256 + 128 + 128, at: 'b' });
    assert.deepEqual(scheduled, { bytes: 256 + 512 + 512, at: 'depthwise' });
  });

  test('goes by whole channels: of 8 in 3 slices, 3 are kept', () => {
    assert.equal(at(residual(), 3).blocks.bytes, 512 + 2 * 3 * 64);
    assert.equal(at(residual(), 1).blocks.bytes, 512 + 2 * 512);
    assert.equal(at(residual(), 100).blocks.bytes, 512 + 2 * 64);
  });

  test('keeps a map whole whose mean scales it', () => {
    const { builder, x } = start('squeeze', [4, 8, 8]);
    const out = builder.block('b', () => {
      const filtered = builder.conv('depthwise', x, { channels: 4, groups: 4, kernel: 3 });
      const reduced = builder.conv('reduce', builder.globalAveragePool('pool', filtered), { channels: 2 });
      const gate = builder.activation('gate', builder.conv('grow', reduced, { channels: 4 }), 'sigmoid');
      return builder.conv('project', builder.multiply('scale', filtered, gate), { channels: 6 });
    });
    // In `scale`: the filtered map, four factors, and half of the scaled map.
    assert.equal(at(builder.build([out]), 2).blocks.bytes, 256 + 384 + (256 + 4 + 128));
  });

  test('gives halves of a block, and what is joined and shuffled, no room of their own', () => {
    const { builder, x } = start('unit', [8, 4, 4]);
    const out = builder.block('u', () => {
      const left = builder.sliceChannels('left', x, 0, 4);
      const reduced = builder.conv('reduce', builder.sliceChannels('right', x, 4, 8), { channels: 4 });
      const filtered = builder.conv('depthwise', reduced, { channels: 4, groups: 4, kernel: 3 });
      const projected = builder.conv('project', filtered, { channels: 4 });
      return builder.channelShuffle('shuffle', builder.concat('concat', [left, projected], 0), 2);
    });
    assert.equal(at(builder.build([out]), 2).blocks.bytes, 128 + 128 + 32 + 32);
  });

  for (const backbone of backbones()) {
    test(`${backbone.name}: bounds are in order, and grow with the size of an element`, () => {
      const graph = buildClassifier(backbone);
      const { layers, scheduled } = at(graph, 1);
      assert.ok(scheduled.bytes >= layers.bytes);
      const sliced = [1, 2, 4, 8].map((slices) => at(graph, slices).blocks.bytes);
      assert.deepEqual(
        sliced,
        sliced.toSorted((a, b) => b - a),
      );
      assert.equal(peakMemory(graph, { elementBytes: 2, slices: 1 }).layers.bytes, 2 * layers.bytes);
      const nodes = new Set(graph.nodes.flatMap(({ name, block = '' }) => [name, block]));
      for (const peak of Object.values(peakMemory(graph))) assert.ok(nodes.has(peak.at), peak.at);
    });
  }
});

/**
 * Table 3 of Sandler et al. (arXiv 1801.04381): the most channels, and kB of 16-bit activations, that must be kept at each size. The
 * last column is captioned g = 3; its channels are those of g = 2 at twice the width.
 */
const TABLE_3 = [
  { size: 112, v1: [64, 1600], v2: [16, 400], shuffle: [32, 800] },
  { size: 56, v1: [128, 800], v2: [32, 200], shuffle: [48, 300] },
  { size: 28, v1: [256, 400], v2: [64, 100], shuffle: [400, 600] },
  { size: 14, v1: [512, 200], v2: [160, 62], shuffle: [800, 310] },
  // Printed as 1024/199.
  { size: 7, v1: [1024, 100], v2: [320, 32], shuffle: [1600, 156] },
  { size: 1, v1: [1024, 2], v2: [1280, 2], shuffle: [1600, 3] },
] as const;

describe('Table 3 of the MobileNetV2 paper', () => {
  /** The widest of these maps at each height. */
  const widest = (values: readonly Value[]) => {
    const found = new Map<number, number>();
    for (const { shape } of values) {
      const [channels = 0, height = 0] = shape;
      if (shape.length === 3) found.set(height, Math.max(found.get(height) ?? 0, channels));
    }
    return found;
  };
  const outputs = (graph: Graph) => layersOf(graph).map(({ output }) => output);

  test('has kB of 1000 bytes, cut off behind the last digit that is printed', () => {
    const cells = TABLE_3.flatMap(({ size, v1, v2, shuffle }) =>
      [v1, v2, shuffle].map(([channels, printed]) => ({ printed, bytes: channels * size ** 2 * 2 })),
    );
    const lastDigit = (value: number): number => (value % 10 === 0 ? 10 * lastDigit(value / 10) : 1);
    const otherwise = (kilo: number) =>
      cells
        .filter(
          ({ printed, bytes }) => printed > bytes / kilo || bytes / kilo >= printed + lastDigit(printed),
        )
        .map(({ printed }) => printed);
    // 31.36, rounded up.
    assert.deepEqual(otherwise(1000), [32]);
    // In units of 1024 bytes next to nothing fits: 1600 would be 1568.
    assert.ok(otherwise(1024).length > cells.length / 2);
  });

  test('MobileNetV1: the widest output of a layer', () => {
    const found = widest(outputs(buildClassifier(backboneNamed('mobilenet_v1'))));
    for (const { size, v1 } of TABLE_3) assert.equal(found.get(size), v1[0], `at ${size}`);
  });

  test('MobileNetV2: the widest output of a block that begins at the size; at 112 of one that stays there', () => {
    const graph = buildClassifier(backboneNamed('mobilenet_v2'));
    const blocks = blocksOf(graph).map(({ inputs: [input], outputs: [output] }) => {
      assert.ok(input && output);
      return { begins: input.shape[1], ends: output.shape[1], channels: output.shape[0] ?? 0 };
    });
    const most = (of: typeof blocks) => Math.max(...of.map(({ channels }) => channels));
    for (const { size, v2 } of TABLE_3.slice(1, 5))
      assert.equal(most(blocks.filter(({ begins }) => begins === size)), v2[0], `at ${size}`);
    assert.equal(most(blocks.filter(({ ends }) => ends === 112)), 16);
    assert.equal(widest(outputs(graph)).get(1), 1280);
  });

  test('ShuffleNet: the widest value between units, of 2 groups', () => {
    const graph = buildClassifier(backboneNamed('shufflenet_v1_g2'), { width: 2 });
    const found = widest([...blocksOf(graph).flatMap((block) => block.outputs), ...outputs(graph).slice(-4)]);
    for (const { size, shuffle } of TABLE_3.slice(2)) assert.equal(found.get(size), shuffle[0], `at ${size}`);
  });
});
