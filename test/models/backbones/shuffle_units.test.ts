// What passes a shuffle unit unchanged, read off two neighbouring maps.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { buildClassifier } from '../../../models/backbones/classifier.ts';
import { backboneNamed } from '../../../models/backbones/registry.ts';
import { foldGraph } from '../../../models/graph/folding.ts';
import { toOnnx } from '../../../models/graph/onnx/writer.ts';
import { uniformNoise } from '../../reference/noise.ts';
import { repeatedNoise } from './random_weights.ts';

const SIDE = 64;

/** Two blocks' outputs [channels, cells]: each channel a row. */
async function maps(name: string, taps: readonly [string, string]) {
  const graph = foldGraph(buildClassifier(backboneNamed(name), { resolution: SIDE, taps }));
  const session = await InferenceSession.create(toOnnx(graph, repeatedNoise(graph)), {
    intraOpNumThreads: 1,
  });
  const pixels = new Tensor('uint8', uniformNoise(8, SIDE, SIDE), [1, SIDE, SIDE, 3]);
  const outputs = await session.run({ [graph.inputs[0]?.name ?? '']: pixels });
  await session.release();
  return graph.outputs.slice(1).map(({ name: output, shape: [channels = 0, height = 0, width = 0] }) => {
    const data = outputs[output]?.data as Float32Array;
    const cells = height * width;
    const rows = Array.from({ length: channels }, (_, c) => data.slice(c * cells, (c + 1) * cells));
    return { rows, height, width };
  });
}

describe('a shuffle unit', () => {
  test('of ShuffleNetV2 passes the first half of its channels on, to every second place', async () => {
    const [before, after] = await maps('shufflenet_v2', ['backbone.stage3.2', 'backbone.stage3.3']);
    assert.ok(before && after);
    const half = before.rows.length / 2;
    for (let channel = 0; channel < half; channel++) {
      assert.deepEqual(after.rows[2 * channel], before.rows[channel], `channel ${channel}`);
    }
    const same = (row: Float32Array | undefined, other: Float32Array | undefined) =>
      row?.every((value, cell) => value === other?.[cell]) ?? false;
    const unchanged = before.rows
      .slice(half)
      .filter((row, channel) => same(row, after.rows[2 * channel + 1]));
    // A ReLU may leave a channel all zero; the second half as a whole has been through layers.
    assert.ok(unchanged.length < half / 4, `${unchanged.length} of ${half} are unchanged`);
  });

  test('of ShuffleNetV1, first of its stage, gives the means of 3x3 windows of its input, then its own channels', async () => {
    const [before, after] = await maps('shufflenet_v1_g3', ['backbone.stage2.3', 'backbone.stage3.0']);
    assert.ok(before && after);
    assert.equal(after.rows.length, 2 * before.rows.length);
    before.rows.forEach((row, channel) => {
      for (let y = 0; y < after.height; y++) {
        for (let x = 0; x < after.width; x++) {
          let sum = 0;
          for (let v = 2 * y - 1; v <= 2 * y + 1; v++) {
            for (let u = 2 * x - 1; u <= 2 * x + 1; u++) {
              if (v >= 0 && u >= 0 && v < before.height && u < before.width)
                sum += row[v * before.width + u] as number;
            }
          }
          const given = after.rows[channel]?.[y * after.width + x] as number;
          assert.ok(Math.abs(given - sum / 9) <= 1e-5 * Math.max(1, sum), `channel ${channel} at ${y}, ${x}`);
        }
      }
    });
  });
});
