import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { GraphBuilder } from '../../../models/graph/builder.ts';
import { padChannels, padWeights } from '../../../models/graph/channel_padding.ts';
import type { Graph, Value } from '../../../models/graph/graph.ts';
import { elementCount } from '../../../models/graph/graph.ts';
import { interpret } from '../../reference/interpreter.ts';
import { mulberry32 } from '../../reference/noise.ts';
import { randomWeights } from '../../reference/random_weights.ts';

const start = () => {
  const builder = new GraphBuilder('g');
  return { builder, x: builder.input('x', 'float32', [3, 5, 6]) };
};

const depthwise = (builder: GraphBuilder, name: string, x: Value) =>
  builder.conv(name, x, { channels: x.shape[0] ?? 0, groups: x.shape[0] ?? 0, kernel: 3, bias: true });

/** Both graphs must give the same numbers, bit for bit: zeros are added at the end of each sum. Returns the padded form. */
function assertSame(graph: Graph): Graph {
  const weights = randomWeights(graph, 9);
  const random = mulberry32(2);
  const data = Float64Array.from({ length: elementCount([3, 5, 6]) }, () => random() - 0.5);
  const feeds = new Map([['x', { shape: [3, 5, 6], data }]]);
  const padded = padChannels(graph);
  assert.deepEqual(padded.graph.outputs, graph.outputs);
  assert.deepEqual(
    interpret(padded.graph, padWeights(padded, weights), feeds),
    interpret(graph, weights, feeds),
  );
  return padded.graph;
}

const channels = (graph: Graph) => graph.nodes.map(({ name }) => graph.values.get(name)?.shape[0]);

describe('padding of channels', () => {
  test('a run between two dense convolutions goes to the next multiple of 4', () => {
    const { builder, x } = start();
    const first = builder.activation('a', builder.conv('first', x, { channels: 6, bias: true }), 'relu');
    const second = builder.conv('second', depthwise(builder, 'd', first), {
      channels: 5,
      kernel: 3,
      bias: true,
    });
    assert.deepEqual(channels(assertSame(builder.build([second]))), [8, 8, 8, 5]);
  });

  test('one that is pooled, to the next multiple of 16', () => {
    const { builder, x } = start();
    const first = builder.conv('first', x, { channels: 12 });
    const pooled = builder.maxPool('m', first, { kernel: 3, stride: 2, padding: 'symmetric' });
    const out = builder.add(
      'sum',
      builder.conv('b', pooled, { channels: 3 }),
      builder.conv('c', depthwise(builder, 'd', pooled), { channels: 3 }),
    );
    assert.deepEqual(channels(assertSame(builder.build([out]))), [16, 16, 3, 16, 3, 3]);
  });

  test('runs behind one another', () => {
    const { builder, x } = start();
    let last = x;
    for (const [index, count] of [5, 8, 7, 6].entries()) {
      last = builder.conv(`c${index}`, last, { channels: count, bias: true });
    }
    assert.deepEqual(channels(assertSame(builder.build([last]))), [8, 8, 8, 6]);
  });

  test('not for maps of a single cell', () => {
    const { builder, x } = start();
    const first = builder.conv('first', builder.globalAveragePool('p', x), { channels: 6 });
    const graph = builder.build([builder.conv('second', first, { channels: 5 })]);
    assert.equal(assertSame(graph), graph);
  });

  for (const [reader, read] of Object.entries<(builder: GraphBuilder, x: Value) => Value>({
    'an output': (_, x) => x,
    'a sum': (builder, x) => builder.add('s', x, x),
    'a join': (builder, x) => builder.conv('c', builder.concat('j', [x, x], 0), { channels: 4 }),
    'a grouped convolution': (builder, x) => builder.conv('c', x, { channels: 4, groups: 2 }),
    'a sum behind an activation': (builder, x) => builder.add('s', x, builder.activation('a', x, 'relu')),
  })) {
    test(`what is read by ${reader} keeps its channels`, () => {
      const { builder, x } = start();
      const graph = builder.build([read(builder, builder.conv('first', x, { channels: 6 }))]);
      assert.equal(assertSame(graph), graph);
    });
  }

  test('a missing weight is named', () => {
    const { builder, x } = start();
    const first = builder.conv('first', x, { channels: 6 });
    const padded = padChannels(builder.build([builder.conv('second', first, { channels: 5 })]));
    assert.throws(() => padWeights(padded, new Map()), /'first\.weight' is missing/);
  });
});
