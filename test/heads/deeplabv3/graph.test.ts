import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import type { Deeplabv3Options } from '../../../heads/deeplabv3/graph.ts';
import { buildDeeplabv3 } from '../../../heads/deeplabv3/graph.ts';
import { MULTI_SCALES, multiScaleMadds, scaledSize } from '../../../heads/deeplabv3/multi_scale.ts';
import { mobilenetV2 } from '../../../models/backbones/mobilenet_v2.ts';
import { cost } from '../../../models/graph/cost.ts';
import { foldGraph, foldWeights } from '../../../models/graph/folding.ts';
import type { Shape } from '../../../models/graph/graph.ts';
import { toOnnx } from '../../../models/graph/onnx/writer.ts';
import type { Tensor as Weight } from '../../../models/graph/tensor.ts';
import { convolve } from '../../reference/convolution.ts';
import { mulberry32 } from '../../reference/noise.ts';
import { randomWeights } from '../../reference/random_weights.ts';

const options: Deeplabv3Options = {
  name: 'deeplabv3',
  backbone: mobilenetV2,
  size: { height: 513, width: 513 },
  classes: 21,
  input: { kind: 'tensor' },
  backboneStyle: mobilenetV2.style,
  headStyle: { padding: 'same', epsilon: 1e-3, activation: 'relu' },
};

const costOf = (more: Partial<Deeplabv3Options>) => cost(buildDeeplabv3({ ...options, ...more }).graph);

describe('DeepLabv3 on MobileNetV2, the rows of Table 7 of arXiv 1801.04381 that read the 320-channel map', () => {
  test('output stride 16: 2.11 M parameters, 2.741 B MAdds (printed: 2.75)', () => {
    const { parameters, madds } = costOf({});
    assert.equal(parameters, 2_113_557);
    assert.equal((madds / 1e9).toFixed(3), '2.741');
  });

  // The table prints 5.8 B, which is more than any reading of its 4.52 M parameters gives.
  test('output stride 16 with ASPP: 4.52 M parameters, 5.364 B MAdds', () => {
    const { parameters, madds } = costOf({ form: 'aspp' });
    assert.equal((parameters / 1e6).toFixed(3), '4.524');
    assert.equal((madds / 1e9).toFixed(3), '5.364');
  });

  test('output stride 8, six scales, each also mirrored: 152.3 B MAdds (printed: 152.6)', () => {
    const madds = multiScaleMadds({ ...options, outputStride: 8 }, { flip: true });
    assert.equal((madds / 1e9).toFixed(1), '152.3');
  });

  test('the output stride changes no parameter', () => {
    for (const form of ['mobile', 'aspp'] as const) {
      assert.equal(costOf({ form, outputStride: 8 }).parameters, costOf({ form }).parameters);
    }
  });
});

describe('multi-scale inference', () => {
  test('goes by intervals between pixels, so that every side stays a multiple of 16 plus 1', () => {
    const sides = MULTI_SCALES.map((scale) => scaledSize(options.size, scale).height);
    assert.deepEqual(sides, [257, 385, 513, 641, 769, 897]);
    assert.deepEqual(scaledSize({ height: 257, width: 385 }, 0.5), { height: 129, width: 193 });
  });

  test('at scale 1 is one run, and mirroring doubles it', () => {
    const { madds } = costOf({});
    assert.equal(multiScaleMadds(options, { scales: [1] }), madds);
    assert.equal(multiScaleMadds(options, { scales: [1], flip: true }), 2 * madds);
  });
});

interface Map3 {
  readonly shape: Shape;
  readonly data: ArrayLike<number>;
}

/** The head written out from the paper, in double precision: logits from the bottleneck's map. */
function headByDefinition(
  bottleneck: Map3,
  weights: ReadonlyMap<string, Weight>,
  rates: readonly number[],
): Map3 {
  const cells = (bottleneck.shape[1] ?? 0) * (bottleneck.shape[2] ?? 0);
  const layer = (name: string, x: Map3, rate: number, suffix = '.conv'): Map3 => {
    const weight = weights.get(`${name}${suffix}.weight`) as Weight;
    const around = ((weight.shape[2] ?? 0) - 1) / 2;
    return convolve(
      x,
      { weight, bias: weights.get(`${name}${suffix}.bias`) },
      { stride: 1, dilation: rate, groups: 1, padding: { top: around * rate, left: around * rate } },
      [weight.shape[0] ?? 0, ...x.shape.slice(1)],
    );
  };
  const relu = ({ shape, data }: Map3): Map3 => ({
    shape,
    data: Float64Array.from(data, (v) => Math.max(v, 0)),
  });
  const channels = bottleneck.shape[0] ?? 0;
  const means = Float64Array.from({ length: channels }, (_, channel) => {
    let sum = 0;
    for (let i = 0; i < cells; i++) sum += bottleneck.data[channel * cells + i] as number;
    return sum / cells;
  });
  const pooled = relu(layer('head.pool', { shape: [channels, 1, 1], data: means }, 1));
  const branches = [
    Float64Array.from({ length: 256 * cells }, (_, i) => pooled.data[Math.floor(i / cells)] as number),
    relu(layer('head.branch', bottleneck, 1)).data,
    ...rates.map((rate, i) => relu(layer(`head.atrous.${i}`, bottleneck, rate)).data),
  ];
  const joined = {
    shape: [256 * branches.length, ...bottleneck.shape.slice(1)],
    data: Float64Array.from(branches.flatMap((branch) => Array.from(branch))),
  };
  return layer('head.classify', relu(layer('head.project', joined, 1)), 1, '');
}

describe('the head in ONNX Runtime is the head by its definition, on an input of odd and unequal sides', () => {
  for (const [form, outputStride, rates] of [
    ['mobile', 16, []],
    ['mobile', 8, []],
    ['aspp', 16, [6, 12, 18]],
    ['aspp', 8, [12, 24, 36]],
  ] as const) {
    test(`${form} at output stride ${outputStride}`, async () => {
      // Wide enough that the smallest rates reach other cells, not only the padding.
      const size = { height: 16 * 4 + 1, width: 16 * 13 + 3 };
      const { graph, grid } = buildDeeplabv3({
        ...options,
        form,
        outputStride,
        size,
        width: 0.35,
        classes: 5,
        taps: ['backbone.stage7.0'],
      });
      assert.deepEqual(grid, [Math.ceil(size.height / outputStride), Math.ceil(size.width / outputStride)]);
      const weights = foldWeights(graph, randomWeights(graph, 7));
      const folded = foldGraph(graph);
      const session = await InferenceSession.create(toOnnx(folded, weights), { intraOpNumThreads: 1 });
      const random = mulberry32(1);
      const pixels = Float32Array.from({ length: 3 * size.height * size.width }, () => random() * 2 - 1);
      const outputs = await session.run({
        input: new Tensor('float32', pixels, [1, 3, size.height, size.width]),
      });
      await session.release();
      assert.deepEqual(Object.keys(outputs).sort(), folded.outputs.map(({ name }) => name).sort());
      assert.equal(folded.outputs[0]?.name, 'head.classify');
      const tapped = outputs[folded.outputs[1]?.name ?? ''];
      const logits = outputs['head.classify'];
      assert.ok(tapped && logits);
      assert.deepEqual(logits.dims, [1, 5, ...grid]);
      const bottleneck = { shape: tapped.dims.slice(1), data: tapped.data as Float32Array };
      const expected = headByDefinition(bottleneck, weights, rates);
      const largest = Math.max(...Array.from(expected.data, Math.abs));
      assert.ok(largest > 0.1, 'the expected logits are not all next to nothing');
      (logits.data as Float32Array).forEach((value, i) => {
        const difference = Math.abs(value - (expected.data[i] as number));
        assert.ok(difference < 1e-5 * largest, `element ${i}: ${value}, not ${expected.data[i]}`);
      });
    });
  }
});

describe('refusals', () => {
  test('output stride 32, naming those that there are', () => {
    const outputStride = 32 as unknown as 16;
    assert.throws(() => buildDeeplabv3({ ...options, outputStride }), /output stride 8 or 16, not 32/);
  });

  test('a tap that is not there', () => {
    assert.throws(() => buildDeeplabv3({ ...options, taps: ['backbone.stage9'] }), /'backbone\.stage9'/);
  });
});
