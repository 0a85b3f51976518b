// The lowered form of a network against the form it was described in, both in ONNX Runtime.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { buildSsdlite } from '../../../heads/ssdlite/graph.ts';
import { buildClassifier } from '../../../models/backbones/classifier.ts';
import { shufflenetV2 } from '../../../models/backbones/shufflenet_v2.ts';
import { GraphBuilder } from '../../../models/graph/builder.ts';
import { foldGraph, foldWeights } from '../../../models/graph/folding.ts';
import type { Graph } from '../../../models/graph/graph.ts';
import { elementCount } from '../../../models/graph/graph.ts';
import { lower } from '../../../models/graph/lowering.ts';
import { toOnnx } from '../../../models/graph/onnx/writer.ts';
import { mulberry32 } from '../../reference/noise.ts';
import { randomWeights } from '../../reference/random_weights.ts';

async function run(onnx: Uint8Array, { inputs }: Graph): Promise<InferenceSession.OnnxValueMapType> {
  const [{ name = '', shape = [] } = {}] = inputs;
  const random = mulberry32(3);
  const data = Float32Array.from({ length: elementCount(shape) }, () => random() * 2 - 1);
  const session = await InferenceSession.create(onnx, { intraOpNumThreads: 1 });
  const outputs = await session.run({ [name]: new Tensor('float32', data, [1, ...shape]) });
  await session.release();
  return outputs;
}

async function assertSame(graph: Graph): Promise<Graph> {
  const weights = randomWeights(graph, 5);
  const lowered = lower(graph);
  const described = await run(toOnnx(foldGraph(graph), foldWeights(graph, weights)), graph);
  const actual = await run(toOnnx(lowered.graph, lowered.weights(weights)), graph);
  assert.deepEqual(Object.keys(actual), Object.keys(described));
  for (const [name, expected] of Object.entries(described)) {
    const numbers = expected.data as Float32Array;
    const largest = numbers.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    assert.ok(largest > 0.1, `${name} is not all next to nothing`);
    const values = actual[name]?.data as Float32Array;
    assert.equal(values.length, numbers.length);
    values.forEach((value, i) => {
      // Single precision, and sums in another order.
      const difference = Math.abs(value - (numbers[i] as number));
      assert.ok(difference < 5e-6 * largest, `${name}, element ${i}: ${value}, not ${numbers[i]}`);
    });
  }
  return lowered.graph;
}

test('a channel shuffle in ONNX Runtime is the one by definition, also of a batch', async () => {
  const builder = new GraphBuilder('shuffle');
  const graph = builder.build([builder.channelShuffle('s', builder.input('x', 'float32', [6, 1, 2]), 3)]);
  const session = await InferenceSession.create(toOnnx(graph, new Map()), { intraOpNumThreads: 1 });
  const data = Float32Array.from({ length: 24 }, (_, i) => i);
  const { s } = await session.run({ x: new Tensor('float32', data, [2, 6, 1, 2]) });
  await session.release();
  // Groups (0 1) (2 3) (4 5) become 0 2 4 1 3 5.
  const channels = [0, 2, 4, 1, 3, 5, 6, 8, 10, 7, 9, 11];
  assert.deepEqual(
    Array.from(s?.data as Float32Array),
    channels.flatMap((channel) => [2 * channel, 2 * channel + 1]),
  );
});

const tensorInput = { kind: 'tensor' } as const;

describe('ShuffleNetV2, lowered', () => {
  for (const width of shufflenetV2.widths) {
    test(`${width}x gives the same logits, without a shuffle`, async () => {
      const resolution = { height: 65, width: 97 };
      const graph = buildClassifier(shufflenetV2, { width, resolution, classes: 10, input: tensorInput });
      const lowered = await assertSame(graph);
      assert.equal(graph.nodes.filter(({ op }) => op === 'channelShuffle').length, 16);
      assert.equal(lowered.nodes.filter(({ op }) => op === 'channelShuffle').length, 0);
    });
  }

  test('1.0x with SSDLite gives the same boxes and logits, and taps inside units as they were', async () => {
    const { graph } = buildSsdlite({
      name: 'tapped',
      backbone: shufflenetV2,
      resolution: 160,
      classes: 7,
      input: tensorInput,
      backboneStyle: shufflenetV2.style,
      headStyle: { padding: 'same', epsilon: 1e-3, activation: 'relu6' },
      taps: [
        'backbone.pool',
        'backbone.stage2.3',
        'backbone.stage3.2.reduce',
        'backbone.stage3.5.depthwise',
        'backbone.stage4.1.right',
      ],
    });
    await assertSame(graph);
  });
});
