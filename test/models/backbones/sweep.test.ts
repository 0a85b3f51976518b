// Every network that can be built out of a backbone and a head runs in ONNX Runtime, with the shapes that its graph states.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { buildSsdlite } from '../../../heads/ssdlite/graph.ts';
import type { Backbone, OutputStride } from '../../../models/backbones/backbone.ts';
import { buildClassifier } from '../../../models/backbones/classifier.ts';
import { backbones } from '../../../models/backbones/registry.ts';
import { foldGraph } from '../../../models/graph/folding.ts';
import type { Graph } from '../../../models/graph/graph.ts';
import type { NetworkInput } from '../../../models/graph/image_input.ts';
import { MINUS_ONE_TO_ONE } from '../../../models/graph/image_input.ts';
import { toOnnx } from '../../../models/graph/onnx/writer.ts';
import { smoothNoise } from '../../reference/noise.ts';
import { repeatedNoise } from './random_weights.ts';

const input: NetworkInput = { kind: 'pixels', normalization: MINUS_ONE_TO_ONE };

interface Options {
  readonly backbone: Backbone;
  readonly width: number;
  readonly outputStride: OutputStride;
}

const HEADS: Record<
  string,
  { readonly fits: (backbone: Backbone) => boolean; readonly build: (options: Options) => Graph }
> = {
  classifier: {
    fits: () => true,
    build: ({ backbone, ...options }) =>
      buildClassifier(backbone, { ...options, resolution: { height: 65, width: 97 }, classes: 10, input }),
  },
  ssdlite: {
    fits: ({ carriesHeads }) => carriesHeads,
    build: (options) =>
      buildSsdlite({
        ...options,
        name: 'sweep',
        resolution: 64,
        classes: 5,
        input,
        backboneStyle: options.backbone.style,
        headStyle: options.backbone.style,
      }).graph,
  },
};

async function check(graph: Graph) {
  const folded = foldGraph(graph);
  // Optimising a graph takes longer than one run of it.
  const options = {
    intraOpNumThreads: 1,
    graphOptimizationLevel: 'disabled',
    enableCpuMemArena: false,
  } as const;
  const session = await InferenceSession.create(toOnnx(folded, repeatedNoise(folded)), options);
  try {
    const [image] = folded.inputs;
    assert.ok(image);
    const [height = 0, width = 0] = image.shape;
    const photo = smoothNoise(4, width, height, 9);
    const pixels = new Tensor('uint8', photo, [1, ...image.shape]);
    const outputs = await session.run({ [image.name]: pixels });
    assert.deepEqual(
      Object.keys(outputs),
      folded.outputs.map(({ name }) => name),
    );
    for (const { name, shape } of folded.outputs) {
      assert.deepEqual(outputs[name]?.dims, [1, ...shape], name);
      const values = outputs[name]?.data as Float32Array;
      assert.ok(values.every(Number.isFinite), `${name} is finite`);
      assert.ok(Math.max(...values) - Math.min(...values) > 1e-3, `${name} varies`);
    }
  } finally {
    await session.release();
  }
}

for (const [head, { fits, build }] of Object.entries(HEADS)) {
  describe(`${head} runs`, () => {
    for (const backbone of backbones().filter(fits)) {
      for (const width of backbone.widths) {
        for (const outputStride of backbone.outputStrides) {
          test(`on ${backbone.name} ${width} at output stride ${outputStride}`, () =>
            check(build({ backbone, width, outputStride })));
        }
      }
    }
  });
}
