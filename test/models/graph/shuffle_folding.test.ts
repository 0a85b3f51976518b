import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { GraphBuilder } from '../../../models/graph/builder.ts';
import { cost } from '../../../models/graph/cost.ts';
import type { Graph, Value } from '../../../models/graph/graph.ts';
import { elementCount } from '../../../models/graph/graph.ts';
import { parametersOf } from '../../../models/graph/parameters.ts';
import { foldShuffles, permuteWeights } from '../../../models/graph/shuffle_folding.ts';
import type { Tensor } from '../../../models/graph/tensor.ts';
import { interpret } from '../../reference/interpreter.ts';
import { mulberry32 } from '../../reference/noise.ts';

/** Whole numbers: sums of them come out the same in any order, so that results can be compared bit for bit. */
function wholeWeights(graph: Graph, random: () => number): Map<string, Tensor> {
  return new Map(
    parametersOf(graph).map(({ name, shape }) => [
      name,
      { shape, data: Float32Array.from({ length: elementCount(shape) }, () => Math.floor(random() * 5) - 2) },
    ]),
  );
}

/** The outputs of `graph` and of its folded form must be the same numbers; returns the folded form. */
function assertSame(graph: Graph, seed: number): Graph {
  const random = mulberry32(seed);
  const weights = wholeWeights(graph, random);
  const feeds = new Map(
    graph.inputs.map(({ name, shape }) => {
      const data = Float64Array.from({ length: elementCount(shape) }, () => Math.floor(random() * 9) - 4);
      return [name, { shape, data }];
    }),
  );
  const folded = foldShuffles(graph);
  assert.deepEqual(folded.graph.outputs, graph.outputs);
  assert.deepEqual(
    interpret(folded.graph, permuteWeights(folded, weights), feeds),
    interpret(graph, weights, feeds),
  );
  assert.equal(cost(folded.graph).madds, cost(graph).madds);
  assert.equal(cost(folded.graph).parameters, cost(graph).parameters);
  return folded.graph;
}

const ops = (graph: Graph) => graph.nodes.map(({ op }) => op);

const start = (channels = 6) => {
  const builder = new GraphBuilder('g');
  return { builder, x: builder.input('x', 'float32', [channels, 4, 4]) };
};

const depthwise = (builder: GraphBuilder, name: string, x: Value) =>
  builder.conv(name, x, { channels: x.shape[0] ?? 0, groups: x.shape[0] ?? 0, kernel: 3, bias: true });

/** Units as ShuffleNetV2's: half passes through, the other goes through three convolutions, both are shuffled. */
function shuffleUnits(builder: GraphBuilder, x: Value, count: number): Value {
  let out = x;
  for (let unit = 0; unit < count; unit++) {
    const [channels = 0] = out.shape;
    const left = builder.sliceChannels(`${unit}.left`, out, 0, channels / 2);
    const right = builder.sliceChannels(`${unit}.right`, out, channels / 2, channels);
    const reduced = builder.conv(`${unit}.reduce`, right, { channels: channels / 2, bias: true });
    const active = builder.activation(`${unit}.act`, reduced, 'relu');
    const branch = builder.conv(`${unit}.out`, depthwise(builder, `${unit}.dw`, active), {
      channels: channels / 2,
      bias: true,
    });
    out = builder.channelShuffle(`${unit}`, builder.concat(`${unit}.joined`, [left, branch], 0), 2);
  }
  return out;
}

describe('folding of channel shuffles', () => {
  test('a shuffle before a dense convolution goes into its weights, and nothing is moved', () => {
    const { builder, x } = start();
    const shuffled = builder.channelShuffle('s', x, 3);
    const folded = assertSame(
      builder.build([builder.conv('c', shuffled, { channels: 4, kernel: 3, bias: true })]),
      1,
    );
    assert.deepEqual(ops(folded), ['conv']);
  });

  test('the order passes through depthwise convolutions, activations and pooling', () => {
    const { builder, x } = start();
    const filtered = depthwise(builder, 'd', builder.channelShuffle('s', x, 2));
    const active = builder.activation('a', filtered, 'relu');
    const pooled = builder.maxPool('m', active, { kernel: 3, stride: 2, padding: 'same' });
    const mean = builder.globalAveragePool('p', builder.channelShuffle('s2', pooled, 3));
    const folded = assertSame(builder.build([builder.conv('c', mean, { channels: 5 })]), 2);
    assert.deepEqual(ops(folded), ['conv', 'activation', 'maxPool', 'globalAveragePool', 'conv']);
  });

  test('units with an odd half: no shuffle is left, and each branch is cut into pieces that nobody else reads', () => {
    const { builder, x } = start(12);
    const out = shuffleUnits(builder, x, 3);
    const folded = assertSame(builder.build([builder.conv('c', out, { channels: 3 })]), 3);
    assert.equal(ops(folded).includes('channelShuffle'), false);
    const kept = folded.nodes.filter((node) => node.op === 'slice');
    for (const source of new Set(kept.map(({ inputs }) => inputs[0]))) {
      const cuts = kept.filter(({ inputs }) => inputs[0] === source).sort((a, b) => a.start - b.start);
      cuts.forEach((cut, i) => {
        assert.equal(cut.start, cuts[i - 1]?.end ?? 0, `${cut.name} begins where the piece before it ends`);
      });
    }
    for (const node of folded.nodes.filter(({ op }) => op === 'slice' || op === 'concat')) {
      const readers = folded.nodes.filter(({ inputs }) => inputs.includes(node.name));
      assert.equal(readers.length, 1, node.name);
    }
  });

  test('an output in between is in its old order, beside the folded rest', () => {
    const { builder, x } = start(12);
    const out = shuffleUnits(builder, x, 3);
    const folded = assertSame(
      builder.build([builder.conv('c', out, { channels: 3 }), builder.find('1'), builder.find('2.dw')]),
      4,
    );
    assert.equal(ops(folded).filter((op) => op === 'channelShuffle').length, 2);
  });

  for (const [reader, read] of Object.entries<(builder: GraphBuilder, x: Value) => Value>({
    'a grouped convolution': (builder, x) => builder.conv('c', x, { channels: 8, groups: 2 }),
    'a depthwise convolution with two filters a channel': (builder, x) =>
      builder.conv('c', x, { channels: 12, groups: 6 }),
    'a sum': (builder, x) => builder.add('c', x, builder.activation('r', x, 'relu')),
    'an activation that is an output': (builder, x) => builder.activation('c', x, 'relu'),
    'an activation behind which the order matters': (builder, x) =>
      builder.conv('c', builder.activation('r', x, 'relu'), { channels: 8, groups: 2 }),
  })) {
    test(`before ${reader} the shuffle stays`, () => {
      const { builder, x } = start();
      const folded = assertSame(builder.build([read(builder, builder.channelShuffle('s', x, 2))]), 5);
      assert.ok(ops(folded).includes('channelShuffle'));
    });
  }

  test('a graph without shuffles is left as it is', () => {
    const { builder, x } = start();
    const graph = builder.build([builder.conv('c', builder.concat('j', [x, x], 0), { channels: 2 })]);
    assert.equal(foldShuffles(graph).graph, graph);
  });

  test('a missing weight is named', () => {
    const { builder, x } = start();
    const graph = builder.build([builder.conv('c', builder.channelShuffle('s', x, 2), { channels: 2 })]);
    assert.throws(() => permuteWeights(foldShuffles(graph), new Map()), /'c\.weight' is missing/);
  });
});

/** A small network of random nodes over 4x4 maps of even channel counts, with random outputs. */
function randomGraph(random: () => number): Graph {
  const { builder, x } = start(2 * (1 + Math.floor(random() * 4)));
  const values = [x];
  const below = (limit: number) => Math.floor(random() * limit);
  const recent = () => values[Math.max(0, values.length - 1 - below(4))] as Value;
  const steps: ((name: string) => Value)[] = [
    (name) => builder.channelShuffle(name, recent(), 2),
    (name) => builder.channelShuffle(name, recent(), 2),
    (name) => {
      const from = recent();
      const [channels = 0] = from.shape;
      if (channels < 4) return builder.channelShuffle(name, from, 2);
      const begin = below(channels - 1);
      const length = Math.max(2, 2 * Math.ceil(below(channels - begin) / 2));
      return builder.sliceChannels(
        name,
        from,
        Math.min(begin, channels - length),
        Math.min(begin, channels - length) + length,
      );
    },
    (name) => builder.concat(name, [recent(), recent()], 0),
    (name) => builder.concat(name, [recent(), recent(), recent()], 0),
    (name) => builder.activation(name, recent(), 'relu'),
    (name) => depthwise(builder, name, recent()),
    (name) => builder.conv(name, recent(), { channels: 2 * (1 + below(4)), bias: true }),
    (name) => builder.conv(name, recent(), { channels: 2 * (1 + below(4)), kernel: 3 }),
    (name) => builder.conv(name, recent(), { channels: 4, groups: 2, bias: true }),
    (name) => {
      const one = recent();
      return builder.add(name, one, values.findLast(({ shape }) => shape[0] === one.shape[0]) ?? one);
    },
    (name) => builder.maxPool(name, recent(), { kernel: 3, stride: 1, padding: 'same' }),
  ];
  for (let i = 0; i < 4 + below(14); i++) {
    const step = steps[below(steps.length)] as (typeof steps)[number];
    const value = step(`n${i}`);
    if ((value.shape[0] ?? 0) <= 48) values.push(value);
  }
  // Mostly what a network ends in, so that orders are absorbed; now and then other outputs, so that they are not.
  const last = builder.conv('last', values.at(-1) as Value, { channels: 3 });
  const outputs = values.slice(1).filter(() => random() < 0.04);
  return builder.build([last, ...outputs]);
}

test('two thousand random graphs give the same numbers, bit for bit, folded and not', () => {
  let gone = 0;
  let left = 0;
  for (let seed = 1; seed <= 2000; seed++) {
    const graph = randomGraph(mulberry32(seed));
    const before = ops(graph).filter((op) => op === 'channelShuffle').length;
    const after = ops(assertSame(graph, seed)).filter((op) => op === 'channelShuffle').length;
    assert.ok(after <= before);
    gone += before - after;
    left += after;
  }
  // Both kinds must have occurred often for this to say anything.
  assert.ok(gone > 300 && left > 300, `${gone} shuffles gone, ${left} left`);
});
