// Every network that can be built out of a backbone and a head runs in ONNX Runtime, with the shapes that its graph states.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { buildDeeplabv3 } from '../../../heads/deeplabv3/graph.ts';
import { buildSsdlite } from '../../../heads/ssdlite/graph.ts';
import type { Backbone, OutputStride } from '../../../models/backbones/backbone.ts';
import { buildClassifier } from '../../../models/backbones/classifier.ts';
import { backbones } from '../../../models/backbones/registry.ts';
import { foldGraph } from '../../../models/graph/folding.ts';
import type { Graph } from '../../../models/graph/graph.ts';
import type { NetworkInput } from '../../../models/graph/image_input.ts';
import { MINUS_ONE_TO_ONE } from '../../../models/graph/image_input.ts';
import { lower } from '../../../models/graph/lowering.ts';
import { toOnnx } from '../../../models/graph/onnx/writer.ts';
import { smoothNoise } from '../../reference/noise.ts';
import { repeatedNoise } from './random_weights.ts';

const input: NetworkInput = { kind: 'pixels', normalization: MINUS_ONE_TO_ONE };

interface Options {
  readonly backbone: Backbone;
  readonly width: number;
  readonly outputStride: OutputStride;
}

interface Head {
  readonly backbones: readonly Backbone[];
  /** All that were published, or one. */
  readonly widths: 'all' | 'smallest';
  readonly outputStrides: readonly OutputStride[];
  readonly build: (options: Options) => Graph;
}

const STRIDES: readonly OutputStride[] = [8, 16, 32];
const CARRIERS = backbones().filter(({ carriesHeads }) => carriesHeads);

const ssd =
  (form: 'ssdlite' | 'ssd'): Head['build'] =>
  (options) =>
    buildSsdlite({
      ...options,
      name: 'sweep',
      form,
      resolution: 64,
      classes: 5,
      input,
      backboneStyle: options.backbone.style,
      headStyle: options.backbone.style,
    }).graph;

const deeplabv3 =
  (form: 'mobile' | 'aspp'): Head['build'] =>
  ({ outputStride, ...options }) =>
    buildDeeplabv3({
      ...options,
      name: 'sweep',
      form,
      outputStride: outputStride === 8 ? 8 : 16,
      size: { height: 65, width: 97 },
      classes: 5,
      input,
      backboneStyle: options.backbone.style,
      headStyle: options.backbone.style,
    }).graph;

const HEADS: Record<string, Head> = {
  classifier: {
    backbones: backbones(),
    widths: 'all',
    outputStrides: STRIDES,
    build: ({ backbone, ...options }) =>
      buildClassifier(backbone, { ...options, resolution: { height: 65, width: 97 }, classes: 10, input }),
  },
  ssdlite: { backbones: CARRIERS, widths: 'all', outputStrides: STRIDES, build: ssd('ssdlite') },
  ssd: { backbones: CARRIERS, widths: 'smallest', outputStrides: [32], build: ssd('ssd') },
  deeplabv3: {
    backbones: CARRIERS,
    widths: 'smallest',
    outputStrides: [8, 16],
    build: deeplabv3('mobile'),
  },
  deeplabv3_aspp: {
    backbones: CARRIERS,
    widths: 'smallest',
    outputStrides: [8, 16],
    build: deeplabv3('aspp'),
  },
};

async function check(graph: Graph) {
  // As it is compiled. Weights are of a checkpoint whose normalisations were folded before.
  const lowered = lower(graph);
  const weights = lowered.weights(repeatedNoise(foldGraph(graph)));
  // Optimising a graph takes longer than one run of it.
  const options = {
    intraOpNumThreads: 1,
    graphOptimizationLevel: 'disabled',
    enableCpuMemArena: false,
  } as const;
  const session = await InferenceSession.create(toOnnx(lowered.graph, weights), options);
  try {
    const [image] = graph.inputs;
    assert.ok(image);
    const [height = 0, width = 0] = image.shape;
    const photo = smoothNoise(4, width, height, 9);
    const pixels = new Tensor('uint8', photo, [1, ...image.shape]);
    const outputs = await session.run({ [image.name]: pixels });
    assert.deepEqual(
      Object.keys(outputs),
      lowered.graph.outputs.map(({ name }) => name),
    );
    for (const [at, { shape }] of graph.outputs.entries()) {
      const { name = '' } = lowered.graph.outputs[at] ?? {};
      assert.deepEqual(outputs[name]?.dims, [1, ...shape], name);
      const values = outputs[name]?.data as Float32Array;
      assert.ok(values.every(Number.isFinite), `${name} is finite`);
      assert.ok(Math.max(...values) - Math.min(...values) > 1e-3, `${name} varies`);
    }
  } finally {
    await session.release();
  }
}

for (const [head, { backbones: under, widths, outputStrides, build }] of Object.entries(HEADS)) {
  describe(`${head} runs`, () => {
    for (const backbone of under) {
      for (const width of widths === 'all' ? backbone.widths : [Math.min(...backbone.widths)]) {
        for (const outputStride of backbone.outputStrides.filter((each) => outputStrides.includes(each))) {
          test(`on ${backbone.name} ${width} at output stride ${outputStride}`, () =>
            check(build({ backbone, width, outputStride })));
        }
      }
    }
  });
}
