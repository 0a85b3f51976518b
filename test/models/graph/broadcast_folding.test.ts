// Repeated cells folded into a sum, against the network as it was described.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { foldBroadcasts, splitWeights } from '../../../models/graph/broadcast_folding.ts';
import { GraphBuilder } from '../../../models/graph/builder.ts';
import type { Graph, Value } from '../../../models/graph/graph.ts';
import { elementCount, GraphError } from '../../../models/graph/graph.ts';
import { parametersOf } from '../../../models/graph/parameters.ts';
import { interpret } from '../../reference/interpreter.ts';
import { mulberry32 } from '../../reference/noise.ts';

/** Sums of whole numbers are the same in any order. */
const whole = (random: () => number, length: number) =>
  Float32Array.from({ length }, () => Math.floor(random() * 9) - 4);

/** The folded form gives the same numbers, bit for bit; returns it. */
function assertSame(graph: Graph, seed = 1): Graph {
  const random = mulberry32(seed);
  const weights = new Map(
    parametersOf(graph).map(({ name, shape }) => [name, { shape, data: whole(random, elementCount(shape)) }]),
  );
  const feeds = new Map(
    graph.inputs.map(({ name, shape }) => [
      name,
      { shape, data: Float64Array.from(whole(random, elementCount(shape))) },
    ]),
  );
  const folded = foldBroadcasts(graph);
  const wanted = interpret(graph, weights, feeds);
  assert.deepEqual(interpret(folded.graph, splitWeights(folded, weights), feeds), wanted);
  for (const { data } of wanted.values()) assert.ok(new Set(data).size > 2, 'the numbers say something');
  return folded.graph;
}

const ops = (graph: Graph) => graph.nodes.map(({ op }) => op);

/** An image, its mean as a cell, and maps of 2 and 3 channels. */
function parts() {
  const builder = new GraphBuilder('g');
  const x = builder.input('x', 'float32', [4, 4, 2]);
  const mean = builder.globalAveragePool('mean', x);
  const cell = builder.broadcast('cell', mean, [4, 2]);
  const maps: [Value, Value] = [builder.conv('a', x, { channels: 2 }), builder.conv('b', x, { channels: 3 })];
  return { builder, x, mean, cell, maps };
}

describe('a 1x1 convolution of maps and repeated cells', () => {
  test('as DeepLabv3 has it: the cell first, one map', () => {
    const { builder, cell, maps } = parts();
    const joined = builder.concat('joined', [cell, maps[0]], 0);
    const out = builder.conv('out', joined, { channels: 5, bias: true });
    const graph = assertSame(builder.build([out]));
    assert.deepEqual(ops(graph), ['globalAveragePool', 'conv', 'conv', 'conv', 'add']);
  });

  test('several of each, mixed, and a layer behind', () => {
    const { builder, x, cell, maps } = parts();
    const other = builder.broadcast(
      'other',
      builder.conv('c', builder.globalAveragePool('m', x), { channels: 3 }),
      [4, 2],
    );
    const joined = builder.concat('joined', [maps[0], cell, maps[1], other], 0);
    const out = builder.conv('out', joined, { channels: 5 });
    const graph = assertSame(builder.build([builder.activation('act', out, 'relu')]));
    assert.ok(!ops(graph).includes('broadcast'));
    assert.equal(ops(graph).filter((op) => op === 'concat').length, 2);
  });

  test('of a block, its parts belong to it', () => {
    const { builder, cell, maps } = parts();
    const out = builder.block('head', () =>
      builder.conv('out', builder.concat('joined', [cell, maps[0]], 0), { channels: 5 }),
    );
    const { nodes } = foldBroadcasts(builder.build([out])).graph;
    assert.deepEqual(
      nodes.filter(({ block }) => block === 'head').map(({ name }) => name),
      ['out.maps', 'out.cells', 'out'],
    );
  });
});

describe('left as it is', () => {
  for (const { name, build } of [
    {
      name: 'a 3x3 convolution',
      build: (b: GraphBuilder, j: Value) => [b.conv('out', j, { channels: 2, kernel: 3 })],
    },
    {
      name: 'a grouped one',
      build: (b: GraphBuilder, j: Value) => [b.conv('out', j, { channels: 2, groups: 2 })],
    },
    {
      name: 'one by stride 2',
      build: (b: GraphBuilder, j: Value) => [b.conv('out', j, { channels: 2, stride: 2 })],
    },
    {
      name: 'a join that is an output',
      build: (b: GraphBuilder, j: Value) => [b.conv('out', j, { channels: 2 }), j],
    },
    {
      name: 'a join that two layers read',
      build: (b: GraphBuilder, j: Value) => [
        b.conv('out', j, { channels: 2 }),
        b.conv('too', j, { channels: 3 }),
      ],
    },
  ]) {
    test(name, () => {
      const { builder, cell, maps } = parts();
      const graph = builder.build(build(builder, builder.concat('joined', [cell, maps[0]], 0)));
      assert.equal(foldBroadcasts(graph).graph, graph);
    });
  }

  test('a join of repeated cells alone', () => {
    const { builder, cell } = parts();
    const out = builder.conv('out', builder.concat('joined', [cell, cell], 0), { channels: 2 });
    const graph = builder.build([out]);
    assert.equal(foldBroadcasts(graph).graph, graph);
  });
});

test('a missing weight is named', () => {
  const { builder, cell, maps } = parts();
  const out = builder.conv('out', builder.concat('joined', [cell, maps[0]], 0), { channels: 5 });
  const folded = foldBroadcasts(builder.build([out]));
  assert.throws(() => splitWeights(folded, new Map()), new GraphError("weight 'out.weight' is missing"));
});
