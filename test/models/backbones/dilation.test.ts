// What dilation is for: the denser map must hold the strided network's values, at every second (or fourth) place.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import type { OutputStride } from '../../../models/backbones/backbone.ts';
import { featuresOf } from '../../../models/backbones/backbone.ts';
import { backboneNamed } from '../../../models/backbones/registry.ts';
import { GraphBuilder } from '../../../models/graph/builder.ts';
import { foldGraph } from '../../../models/graph/folding.ts';
import { toOnnx } from '../../../models/graph/onnx/writer.ts';
import { mulberry32 } from '../../reference/noise.ts';
import { repeatedNoise } from './random_weights.ts';

const SIDE = 96;
const random = mulberry32(6);
const IMAGE = Float32Array.from({ length: 3 * SIDE * SIDE }, () => random() * 2 - 1);

/** The last map before the final convolution, padded on both sides alike: SAME padding shifts cells where a stride goes. */
async function bottleneck(name: string, outputStride: OutputStride) {
  const backbone = backboneNamed(name);
  const builder = new GraphBuilder(name);
  const image = builder.input('image', 'float32', [3, SIDE, SIDE]);
  const features = featuresOf(backbone, builder, image, {
    width: Math.min(...backbone.widths),
    outputStride,
    style: { ...backbone.style, padding: 'symmetric' },
  });
  const graph = foldGraph(builder.build([features.bottleneck]));
  const session = await InferenceSession.create(toOnnx(graph, repeatedNoise(graph)), {
    intraOpNumThreads: 1,
    graphOptimizationLevel: 'disabled',
  });
  const outputs = await session.run({ image: new Tensor('float32', IMAGE, [1, 3, SIDE, SIDE]) });
  await session.release();
  const [output] = graph.outputs;
  return { values: outputs[output?.name ?? '']?.data as Float32Array, shape: output?.shape ?? [] };
}

describe('a map made denser by dilation holds the strided map', () => {
  // Left out: squeeze-and-excitation, whose mean over a denser map is another; and ShuffleNetV1 at 8, whose pooled
  // shortcuts are not dilated. SqueezeNet's unpadded poolings put the windows one place further.
  for (const [name, strided, dense, first] of [
    ['mobilenet_v1', 32, 16, 0],
    ['mobilenet_v1', 32, 8, 0],
    ['mobilenet_v2', 32, 16, 0],
    ['mobilenet_v2', 32, 8, 0],
    ['mnasnet_b1', 32, 16, 0],
    ['mnasnet_b1', 32, 8, 0],
    ['shufflenet_v2', 32, 16, 0],
    ['shufflenet_v2', 32, 8, 0],
    ['shufflenet_v1_g1', 32, 16, 0],
    ['shufflenet_v1_g8', 32, 16, 0],
    ['squeezenet_1_0', 16, 8, 1],
    ['squeezenet_1_1', 16, 8, 1],
  ] as const) {
    test(`${name}: stride ${strided} in stride ${dense}`, async () => {
      const coarse = await bottleneck(name, strided);
      const fine = await bottleneck(name, dense);
      const [channels = 0, height = 0, width = 0] = coarse.shape;
      const [, fineHeight = 0, fineWidth = 0] = fine.shape;
      const step = strided / dense;
      const largest = Math.max(...coarse.values.map(Math.abs));
      assert.ok(largest > 0.01);
      for (let c = 0; c < channels; c++) {
        for (let y = 0; y < height; y++) {
          for (let x = 0; x < width; x++) {
            const expected = coarse.values[(c * height + y) * width + x] as number;
            const at = (c * fineHeight + first + y * step) * fineWidth + first + x * step;
            const difference = Math.abs((fine.values[at] as number) - expected);
            assert.ok(difference <= 1e-4 * largest, `channel ${c} at ${y}, ${x}: off by ${difference}`);
          }
        }
      }
    });
  }
});
