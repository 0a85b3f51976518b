// What the writer and the shape rules say, against what ONNX Runtime makes of the bytes.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { convBlock } from '../../../models/backbones/blocks.ts';
import { buildClassifier } from '../../../models/backbones/classifier.ts';
import { mobilenetV2 } from '../../../models/backbones/mobilenet_v2.ts';
import { GraphBuilder } from '../../../models/graph/builder.ts';
import { foldGraph, foldWeights } from '../../../models/graph/folding.ts';
import type { Graph } from '../../../models/graph/graph.ts';
import { decodeModel } from '../../../models/graph/onnx/schema.ts';
import { toOnnx } from '../../../models/graph/onnx/writer.ts';
import type { PaddingMode } from '../../../models/graph/padding.ts';
import { parametersOf } from '../../../models/graph/parameters.ts';
import type { Tensor as Weight, Weights } from '../../../models/graph/tensor.ts';
import { convolve } from '../../reference/convolution.ts';
import { mulberry32 } from '../../reference/noise.ts';
import { randomWeights } from '../../reference/random_weights.ts';

/** Runs a graph in ONNX Runtime on random input; outputs by name. */
async function run(graph: Graph, weights: Weights, input: Float32Array | Uint8Array, batch = 1) {
  const [{ name = '', type = 'float32', shape = [] } = {}] = graph.inputs;
  const session = await InferenceSession.create(toOnnx(graph, weights), {
    intraOpNumThreads: 1,
    logSeverityLevel: 3,
  });
  const feeds = { [name]: new Tensor(type, input as Float32Array, [batch, ...shape]) };
  const outputs = await session.run(feeds);
  await session.release();
  return outputs;
}

function assertClose(actual: ArrayLike<number>, expected: ArrayLike<number>, tolerance: number) {
  assert.equal(actual.length, expected.length);
  const largest = Math.max(...Array.from(expected, Math.abs));
  assert.ok(largest > 0.1, 'the expected values are not all next to nothing');
  for (let i = 0; i < expected.length; i++) {
    const difference = Math.abs((actual[i] as number) - (expected[i] as number));
    assert.ok(difference <= tolerance * largest, `element ${i}: ${actual[i]}, not ${expected[i]}`);
  }
}

describe('a convolution block', () => {
  for (const padding of ['same', 'symmetric'] as const satisfies readonly PaddingMode[]) {
    for (const [kernel, stride, dilation, groups] of [
      [3, 1, 1, 1],
      [3, 2, 1, 1],
      [5, 2, 1, 4],
      [3, 1, 2, 4],
      [1, 1, 1, 2],
    ] as const) {
      for (const [height, width] of [
        [8, 10],
        [9, 7],
      ] as const) {
        const title = `${kernel}x${kernel} stride ${stride} dilation ${dilation} groups ${groups}, ${padding}, ${height}x${width}`;
        test(`folded and run, is the definition's convolution and normalisation: ${title}`, async () => {
          const builder = new GraphBuilder('block');
          const x = builder.input('x', 'float32', [4, height, width]);
          const style = { padding, epsilon: 1e-3, activation: 'relu6' } as const;
          const out = convBlock(
            builder,
            'b',
            x,
            { channels: 8, kernel, stride, dilation, groups, linear: true },
            style,
          );
          const graph = builder.build([out]);
          const weights = randomWeights(graph, kernel * 100 + stride * 10 + groups);
          const random = mulberry32(5);
          const input = Float32Array.from({ length: 4 * height * width }, () => random() * 4 - 2);
          const folded = foldGraph(graph);
          const outputs = await run(folded, foldWeights(graph, weights), input);
          const [conv] = graph.nodes;
          assert.ok(conv?.op === 'conv');
          const [, outHeight = 0, outWidth = 0] = out.shape;
          const { data: plain } = convolve(
            { shape: x.shape, data: input },
            { weight: weights.get('b.conv.weight') as Weight },
            conv,
            out.shape,
          );
          const of = (name: string, channel: number) => weights.get(`b.bn.${name}`)?.data[channel] as number;
          const expected = plain.map((value, i) => {
            const channel = Math.floor(i / (outHeight * outWidth));
            const scale = of('weight', channel) / Math.sqrt(of('running_var', channel) + 1e-3);
            return (value - of('running_mean', channel)) * scale + of('bias', channel);
          });
          const [name = ''] = folded.outputs.map((value) => value.name);
          assert.deepEqual(outputs[name]?.dims, [1, ...out.shape]);
          assertClose(outputs[name]?.data as Float32Array, expected, 1e-5);
        });
      }
    }
  }
});

describe('the ONNX writer', () => {
  const graph = buildClassifier(mobilenetV2, {
    width: 0.35,
    resolution: 64,
    classes: 10,
  });
  const folded = foldGraph(graph);
  const weights = foldWeights(graph, randomWeights(graph, 1));

  test('gives the same bytes for the same graph and weights', () => {
    assert.deepEqual(toOnnx(folded, weights), toOnnx(folded, weights));
  });

  test('writes every folded weight, and reads back', () => {
    const model = decodeModel(toOnnx(folded, weights, { metadata: { licence: 'none' } }));
    const written = new Set(model.graph.initializer.map(({ name }) => name));
    for (const { name } of parametersOf(folded)) assert.ok(written.has(name), name);
    assert.deepEqual(model.metadataProps, [{ key: 'licence', value: 'none' }]);
    assert.ok(!model.graph.node.some(({ opType }) => opType === 'BatchNormalization'));
  });

  test('leaves the batch free: a batch of three is three single images', async () => {
    const random = mulberry32(9);
    const images = Array.from({ length: 3 }, () =>
      Uint8Array.from({ length: 64 * 64 * 3 }, () => random() * 256),
    );
    const batch = await run(folded, weights, Uint8Array.from(images.flatMap((image) => [...image])), 3);
    const singles = await Promise.all(images.map((image) => run(folded, weights, image)));
    assert.deepEqual(batch.classifier?.dims, [3, 10]);
    assertClose(
      batch.classifier?.data as Float32Array,
      singles.flatMap(({ classifier }) => Array.from(classifier?.data as Float32Array)),
      1e-5,
    );
  });

  test('refuses a missing weight, a misshapen one, and an unfolded graph, by name', () => {
    const without = new Map(weights);
    without.delete('backbone.stem.conv.weight');
    assert.throws(() => toOnnx(folded, without), /weight 'backbone\.stem\.conv\.weight' is missing/);
    const misshapen = new Map(weights).set('classifier.bias', { shape: [9], data: new Float32Array(9) });
    assert.throws(() => toOnnx(folded, misshapen), /'classifier\.bias' is \[9\], the graph needs \[10\]/);
    assert.throws(() => toOnnx(graph, randomWeights(graph, 1)), /batch normalisation .* must be folded/);
  });
});

describe('folding', () => {
  const build = () => {
    const builder = new GraphBuilder('g');
    const x = builder.input('x', 'float32', [4, 8, 8]);
    const style = { padding: 'same', epsilon: 1e-3, activation: 'relu' } as const;
    return builder.build([convBlock(builder, 'b', x, { channels: 4 }, style)]);
  };

  test('passes a layer through that was folded before it was published', () => {
    const graph = build();
    const weights = new Map<string, Weight>([
      ['b.conv.weight', { shape: [4, 4, 1, 1], data: new Float32Array(16).fill(1) }],
      ['b.conv.bias', { shape: [4], data: Float32Array.of(1, 2, 3, 4) }],
    ]);
    assert.deepEqual(foldWeights(graph, weights), weights);
  });

  test('refuses a layer that comes both folded and unfolded', () => {
    const graph = build();
    const weights = randomWeights(graph, 1).set('b.conv.bias', { shape: [4], data: new Float32Array(4) });
    assert.throws(
      () => foldWeights(graph, weights),
      /'b\.conv' comes both folded \(b\.conv\.bias\) and unfolded/,
    );
  });

  test('keeps a normalisation whose convolution is read by another node too', () => {
    const builder = new GraphBuilder('g');
    const x = builder.input('x', 'float32', [4, 8, 8]);
    const conv = builder.conv('c', x, { channels: 4 });
    const graph = builder.build([builder.add('sum', conv, builder.batchNorm('n', conv, 1e-3))]);
    assert.deepEqual(
      foldGraph(graph).nodes.map(({ name }) => name),
      ['c', 'n', 'sum'],
    );
  });
});
