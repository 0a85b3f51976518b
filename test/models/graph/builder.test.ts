import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { GraphBuilder } from '../../../models/graph/builder.ts';

const start = () => {
  const builder = new GraphBuilder('g');
  return { builder, x: builder.input('x', 'float32', [8, 10, 12]) };
};

describe('the builder', () => {
  test('leaves out what no output depends on', () => {
    const { builder, x } = start();
    const used = builder.conv('used', x, { channels: 4 });
    builder.conv('unused', x, { channels: 4 });
    const graph = builder.build([used]);
    assert.deepEqual(
      graph.nodes.map(({ name }) => name),
      ['used'],
    );
    assert.equal(graph.values.has('unused'), false);
  });

  test('refuses a name used twice', () => {
    const { builder, x } = start();
    builder.activation('a', x, 'relu');
    assert.throws(() => builder.activation('a', x, 'relu'), /'a' is used twice/);
  });

  test('refuses a value of another graph', () => {
    const other = new GraphBuilder('other').input('elsewhere', 'float32', [8, 10, 12]);
    assert.throws(() => start().builder.activation('a', other, 'relu'), /'elsewhere', which does not exist/);
  });

  for (const [name, { build, complaint }] of Object.entries<{
    build: (parts: ReturnType<typeof start>) => unknown;
    complaint: RegExp;
  }>({
    'groups that do not divide the channels': {
      build: ({ builder, x }) => builder.conv('c', x, { channels: 9, groups: 3 }),
      complaint: /conv 'c': 8 -> 9 channels do not divide into 3 groups/,
    },
    'a kernel larger than its input': {
      build: ({ builder, x }) => builder.conv('c', x, { channels: 8, kernel: 13, padding: 'valid' }),
      complaint: /conv 'c': the kernel is larger/,
    },
    'a sum of two shapes': {
      build: ({ builder, x }) => builder.add('s', x, builder.conv('c', x, { channels: 4 })),
      complaint: /add 's': needs two values of one shape.*x float32 \[8, 10, 12\]/,
    },
    'a reshape that loses elements': {
      build: ({ builder, x }) => builder.reshape('r', x, [8, 10]),
      complaint: /reshape 'r': \[8, 10\] holds another number of elements/,
    },
    'a permutation that repeats a dimension': {
      build: ({ builder, x }) => builder.transpose('t', x, [0, 1, 1]),
      complaint: /transpose 't': \[0, 1, 1\] is not a permutation/,
    },
    'a fully connected layer on a map': {
      build: ({ builder, x }) => builder.fullyConnected('f', x, 10),
      complaint: /fullyConnected 'f': needs a flat value/,
    },
    'pixels fed to a convolution': {
      build: ({ builder }) => builder.conv('c', builder.input('p', 'uint8', [3, 4, 4]), { channels: 4 }),
      complaint: /conv 'c': needs float32; it was given p uint8/,
    },
  })) {
    test(`refuses ${name}, naming the layer`, () => {
      assert.throws(() => build(start()), complaint);
    });
  }
});
