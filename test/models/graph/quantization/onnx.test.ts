// Quantised networks in ONNX Runtime: what it makes of them, and what comes out.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { buildDeeplabv3 } from '../../../../heads/deeplabv3/graph.ts';
import { buildSsdlite } from '../../../../heads/ssdlite/graph.ts';
import { buildClassifier } from '../../../../models/backbones/classifier.ts';
import { mnasnetA1 } from '../../../../models/backbones/mnasnet.ts';
import { mobilenetV2 } from '../../../../models/backbones/mobilenet_v2.ts';
import { mobilenetV3Small } from '../../../../models/backbones/mobilenet_v3.ts';
import { shufflenetV1G3 } from '../../../../models/backbones/shufflenet_v1.ts';
import { shufflenetV2 } from '../../../../models/backbones/shufflenet_v2.ts';
import { squeezenet11 } from '../../../../models/backbones/squeezenet.ts';
import { GraphBuilder } from '../../../../models/graph/builder.ts';
import type { Graph } from '../../../../models/graph/graph.ts';
import { elementCount } from '../../../../models/graph/graph.ts';
import type { Normalization } from '../../../../models/graph/image_input.ts';
import { imageInput, MINUS_ONE_TO_ONE } from '../../../../models/graph/image_input.ts';
import { lower } from '../../../../models/graph/lowering.ts';
import { decodeModel } from '../../../../models/graph/onnx/schema.ts';
import { toOnnx } from '../../../../models/graph/onnx/writer.ts';
import { padDepthwise } from '../../../../models/graph/quantization/channel_padding.ts';
import { leastSquares, minMax } from '../../../../models/graph/quantization/estimators.ts';
import { toQuantizedOnnx } from '../../../../models/graph/quantization/onnx.ts';
import { planQuantization } from '../../../../models/graph/quantization/plan.ts';
import { quantize } from '../../../../models/graph/quantization/quantize.ts';
import type { Tensor } from '../../../../models/graph/tensor.ts';
import { mulberry32, smoothNoise } from '../../../reference/noise.ts';
import { randomWeights } from '../../../reference/random_weights.ts';
import type { Sample } from './runtime.ts';
import { calibrate, ON_BYTES, optimizedNodes, run, signalToNoise } from './runtime.ts';

const input = { kind: 'pixels', normalization: MINUS_ONE_TO_ONE } as const;
const headStyle = { padding: 'same', epsilon: 1e-3, activation: 'relu6' } as const;

function samplesOf({ inputs }: Graph, seeds: readonly number[]): Sample[] {
  const [{ type = 'uint8', shape = [] } = {}] = inputs;
  return seeds.map((seed) => {
    if (type === 'uint8') return { data: smoothNoise(seed, shape[1], shape[0], 9) };
    const random = mulberry32(seed);
    return { data: Float32Array.from({ length: elementCount(shape) }, () => random() * 2 - 1) };
  });
}

/** Lowers, calibrates on a few samples and quantises. */
async function quantized(described: Graph, estimate = minMax, weightsOf = randomWeights) {
  const lowered = lower(described);
  const weights = lowered.weights(weightsOf(described, 5));
  const calibration = await calibrate(lowered.graph, weights, samplesOf(described, [1, 2, 3]));
  const network = quantize(lowered.graph, weights, calibration.calibrated(estimate));
  return { graph: lowered.graph, weights, network, calibration };
}

/** Signal to noise of each output, on a sample that calibration did not see. */
async function noiseOf({ graph, weights, network }: Awaited<ReturnType<typeof quantized>>) {
  const [sample] = samplesOf(graph, [77]) as [Sample];
  const expected = await run(toOnnx(graph, weights), graph, sample);
  const actual = await run(toQuantizedOnnx(network), graph, sample);
  assert.deepEqual([...actual.keys()], [...expected.keys()]);
  return new Map(
    [...expected].map(([name, numbers]) => {
      const found = actual.get(name) as Float32Array;
      assert.equal(found.length, numbers.length);
      return [name, signalToNoise(numbers, found)];
    }),
  );
}

const ssdlite = (backbone: typeof mobilenetV2, resolution = 96) =>
  buildSsdlite({
    name: 'ssdlite',
    backbone,
    resolution,
    classes: 7,
    input,
    backboneStyle: backbone.style,
    headStyle,
  }).graph;

const deeplabv3 = (backbone: typeof mobilenetV2, size = { height: 65, width: 97 }) =>
  buildDeeplabv3({
    name: 'deeplabv3',
    backbone,
    size,
    classes: 5,
    input,
    backboneStyle: backbone.style,
    headStyle,
  }).graph;

describe('ONNX Runtime computes on bytes from the pixels to the predictions', () => {
  for (const backbone of [mobilenetV2, mnasnetA1, shufflenetV2]) {
    for (const [head, graph] of [
      ['SSDLite', ssdlite(backbone)],
      ['DeepLabv3', deeplabv3(backbone)],
    ] as const) {
      test(`${head} on ${backbone.name}`, async () => {
        // A narrower range for each value: were quantizers not shared, they would differ.
        const result = await quantized(graph, leastSquares);
        const nodes = await optimizedNodes(toQuantizedOnnx(result.network));
        const counts = new Map<string, number>();
        for (const { opType } of nodes) counts.set(opType, (counts.get(opType) ?? 0) + 1);
        const convolutions = result.graph.nodes.filter(({ op }) => op === 'conv').length;
        assert.equal(counts.get('QLinearConv'), convolutions);
        // Each prediction becomes floats once, and is joined with the others.
        const predictions = head === 'SSDLite' ? 12 : 1;
        assert.equal(counts.get('DequantizeLinear'), predictions);
        assert.equal(counts.get('Concat') ?? 0, head === 'SSDLite' ? 2 : 0);
        const others = [...counts.keys()].filter(
          (opType) => !ON_BYTES.has(opType) && opType !== 'DequantizeLinear' && opType !== 'Concat',
        );
        assert.deepEqual(others, []);
        const sums = result.graph.nodes.filter(({ op }) => op === 'add').length;
        assert.equal(counts.get('QLinearAdd') ?? 0, sums);
        // Nothing is requantised where bytes only move: the scales of all that a join reads and gives are one.
        for (const node of nodes.filter(({ opType }) => opType === 'QLinearConcat')) {
          const scales = node.input.filter((name) => name.startsWith('quantizer.scale.'));
          assert.ok(scales.length >= 3);
          assert.equal(new Set(scales).size, 1);
        }

        const noise = await noiseOf(result);
        for (const [name, decibels] of noise) assert.ok(decibels > 15, `${name}: ${decibels} dB`);
      });
    }
  }
});

describe('networks with layers that stay in floats give about the same', () => {
  for (const backbone of [mobilenetV3Small, shufflenetV1G3, squeezenet11]) {
    test(backbone.name, async () => {
      const graph = buildClassifier(backbone, { resolution: { height: 65, width: 97 }, classes: 10, input });
      for (const [name, decibels] of await noiseOf(await quantized(graph))) {
        assert.ok(decibels > 12, `${name}: ${decibels} dB`);
      }
    });
  }
});

const IMAGENET: Normalization = {
  scale: [1 / 58.4, 1 / 57.1, 1 / 57.4],
  offset: [-2.12, -2.04, -1.8],
};

/** One convolution behind an image, and its output as a number. */
function stem(
  {
    height,
    width,
    padding = 'same',
    stride = 2,
    kernel = 3,
  }: Record<'height' | 'width', number> & {
    padding?: 'same' | 'symmetric' | 'valid';
    stride?: number;
    kernel?: number;
  },
  normalization: Normalization = MINUS_ONE_TO_ONE,
): Graph {
  const builder = new GraphBuilder('stem');
  const image = imageInput(builder, { height, width }, normalization);
  const conv = builder.conv('conv', image, { channels: 16, kernel, stride, padding, bias: true });
  return builder.build([builder.activation('act', conv, 'relu6')]);
}

describe('pixels', () => {
  test('go into the first convolution unrounded', async () => {
    const graph = stem({ height: 11, width: 12, padding: 'valid' });
    // Weights that bytes hold exactly: what differs is the rounding of the result alone.
    const random = mulberry32(8);
    const exact = (): Map<string, Tensor> => {
      const levels = Float32Array.from({ length: 16 * 27 }, () => Math.floor(random() * 255 - 127) / 1024);
      for (let filter = 0; filter < 16; filter++) levels[filter * 27] = 127 / 1024;
      const bias = Float32Array.from({ length: 16 }, () => random() + 1);
      return new Map([
        ['conv.weight', { shape: [16, 3, 3, 3], data: levels }],
        ['conv.bias', { shape: [16], data: bias }],
      ]);
    };
    const { weights, network } = await quantized(graph, minMax, exact);
    const [sample] = samplesOf(graph, [1]) as [Sample];
    const expected = (await run(toOnnx(graph, weights), graph, sample)).get('act') as Float32Array;
    const actual = (await run(toQuantizedOnnx(network), graph, sample)).get('act') as Float32Array;
    const step = network.quantizers.get('act')?.scale as number;
    assert.ok(Math.max(...expected) > 20 * step, 'the outputs are not all next to zero');
    expected.forEach((value, i) => {
      const difference = Math.abs(value - (actual[i] as number));
      assert.ok(difference < 0.51 * step, `${value}, not ${actual[i]}; a step is ${step}`);
    });
  });

  for (const [title, normalization] of [
    ['one scale', MINUS_ONE_TO_ONE],
    ['a scale a channel', IMAGENET],
  ] as const) {
    test(`normalised by ${title} come to the same as in floats`, async () => {
      const noise = await noiseOf(await quantized(stem({ height: 40, width: 40 }, normalization)));
      assert.ok((noise.get('act') as number) > 30, `${noise.get('act')} dB`);
    });
  }

  for (const [options, cells] of [
    [{ height: 10, width: 12 }, true],
    [{ height: 10, width: 12, padding: 'symmetric' }, true],
    [{ height: 9, width: 16, kernel: 5 }, true],
    [{ height: 9, width: 16, kernel: 5, padding: 'symmetric', stride: 1 }, true],
    [{ height: 12, width: 16, kernel: 3, stride: 4 }, true],
    [{ height: 10, width: 12, padding: 'valid' }, false],
    [{ height: 10, width: 13 }, false],
  ] as const) {
    test(`by cells of four give the same bytes: ${JSON.stringify(options)}`, async () => {
      const { graph, network } = await quantized(stem(options));
      const [sample] = samplesOf(graph, [4]) as [Sample];
      const onnx = toQuantizedOnnx(network);
      assert.equal(
        decodeModel(onnx).graph.node.some(({ name }) => name === 'input.cells'),
        cells,
      );
      const byCells = (await run(onnx, graph, sample)).get('act') as Float32Array;
      const byPixels = (await run(toQuantizedOnnx(network, { anySize: true }), graph, sample)).get('act');
      assert.ok(new Set(byCells).size > 20);
      assert.deepEqual(byCells, byPixels);
    });
  }
});

describe('a quantised network', () => {
  test('left open takes another size, and gives what it would give at that size', async () => {
    const small = await quantized(deeplabv3(mobilenetV2));
    const lowered = lower(deeplabv3(mobilenetV2, { height: 97, width: 129 }));
    const large = quantize(
      lowered.graph,
      lowered.weights(randomWeights(deeplabv3(mobilenetV2), 5)),
      small.calibration.calibrated(minMax),
    );
    const [sample] = samplesOf(lowered.graph, [6]) as [Sample];
    const [name = ''] = lowered.graph.outputs.map((value) => value.name);
    const fixed = await run(toQuantizedOnnx(large), lowered.graph, sample);
    const open = await run(toQuantizedOnnx(small.network, { anySize: true }), lowered.graph, sample);
    assert.ok(new Set(fixed.get(name)).size > 20);
    assert.deepEqual(open.get(name), fixed.get(name));
  });

  test('that holds a size cannot be left open', async () => {
    const { network } = await quantized(ssdlite(mobilenetV2, 64));
    assert.throws(() => toQuantizedOnnx(network, { anySize: true }), /reshape '.*' holds a size/);
  });

  test('takes floats for an input too, and gives the same bytes for the same arguments', async () => {
    const graph = buildClassifier(mobilenetV2, {
      width: 0.35,
      resolution: { height: 64, width: 64 },
      classes: 10,
      input: { kind: 'tensor' },
    });
    const result = await quantized(graph);
    for (const [name, decibels] of await noiseOf(result)) assert.ok(decibels > 15, `${name}: ${decibels} dB`);
    assert.deepEqual(toQuantizedOnnx(result.network), toQuantizedOnnx(result.network));
  });

  test('saturates where its ReLU6 does, though calibration has seen more', async () => {
    const graph = stem({ height: 8, width: 8 });
    const weights = randomWeights(graph, 5);
    weights.get('conv.bias')?.data.fill(9);
    const ranges = new Map([['act', [0, 12]]] as const);
    const [sample] = samplesOf(graph, [4]) as [Sample];
    const onnx = toQuantizedOnnx(quantize(graph, weights, { ranges }));
    const numbers = (await run(onnx, graph, sample)).get('act') as Float32Array;
    assert.ok(Math.abs(Math.max(...numbers) - 6) < 1e-5);
  });

  test('keeps the bias of a filter whose weights are next to nothing', async () => {
    const graph = stem({ height: 8, width: 8 });
    const weights = randomWeights(graph, 5);
    // As they come out of training with weight decay. In steps of such a weight's scale the bias is beyond 32 bits.
    weights.get('conv.weight')?.data.fill(1e-12, 27, 54);
    weights.get('conv.bias')?.data.fill(3, 1, 2);
    const ranges = new Map([['act', [0, 6]]] as const);
    const [sample] = samplesOf(graph, [4]) as [Sample];
    const onnx = toQuantizedOnnx(quantize(graph, weights, { ranges }));
    const numbers = (await run(onnx, graph, sample)).get('act') as Float32Array;
    assert.ok(numbers.subarray(16, 32).every((x) => Math.abs(x - 3) < 6 / 255));
  });

  test('is nearer to the floats when its biases are corrected', async () => {
    const { graph, weights, network, calibration } = await quantized(deeplabv3(mobilenetV2));
    const corrected = await noiseOf({ graph, weights, network, calibration });
    const plain = quantize(graph, weights, { ranges: calibration.ranges(minMax) });
    const uncorrected = await noiseOf({ graph, weights, network: plain, calibration });
    for (const [name, decibels] of corrected) {
      assert.ok(decibels > (uncorrected.get(name) as number) + 1, `${decibels} dB, ${uncorrected.get(name)}`);
    }
  });

  test('gives values inside it, where they are asked for, as floats', async () => {
    const builder = new GraphBuilder('tapped');
    const image = imageInput(builder, { height: 16, width: 16 }, MINUS_ONE_TO_ONE);
    const first = builder.conv('first', image, { channels: 8, kernel: 3, bias: true });
    const active = builder.activation('active', first, 'relu');
    const second = builder.conv('second', active, { channels: 8, bias: true });
    const graph = builder.build([builder.add('sum', active, second), first, active]);
    const noise = await noiseOf(await quantized(graph));
    assert.deepEqual([...noise.keys()], ['sum', 'first', 'active']);
    for (const [name, decibels] of noise) assert.ok(decibels > 25, `${name}: ${decibels} dB`);
  });
});

test('depthwise convolutions are given channel counts that integer kernels take', () => {
  for (const backbone of [mnasnetA1, shufflenetV2]) {
    const { graph } = lower(ssdlite(backbone));
    const counts = (nodes: Graph['nodes']) =>
      nodes.flatMap((node) => (node.op === 'conv' && node.groups > 1 ? [node.outChannels] : []));
    const before = counts(graph.nodes).filter((count) => count % 16 !== 0).length;
    const after = counts(padDepthwise(graph).graph.nodes).filter((count) => count % 16 !== 0).length;
    // What remains reads channels that lie in a join, or of which the predictors see each.
    assert.ok(after <= before / 3, `${after} of ${before}`);
  }
  const plan = planQuantization(lower(ssdlite(mobilenetV2)).graph);
  assert.ok([...plan.sources.values()].every((sources) => sources.length > 0));
});
