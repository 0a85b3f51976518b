// The weights that the training kit made, through `thinlens import` and `thinlens run`, held to what PyTorch gave for them.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { readFixture } from '../../safetensors.ts';
import { home, thinlens } from '../child.ts';

const WEIGHTS = '../shared/zoo/weights';
const TOLERANCE = 1e-4;

async function ok(args: readonly string[]): Promise<string> {
  const { exit, stdout, stderr } = await thinlens(args);
  assert.deepEqual([exit, stderr], [[0, null], ''], stderr);
  return stdout;
}

describe('the weights of the training kit', () => {
  for (const { model, backbone, head, parameters } of [
    {
      model: 'ssdlite_shufflenet_v2_coco',
      backbone: 'shufflenet_v2',
      head: 'ssdlite',
      parameters: 3_207_579,
    },
    { model: 'ssdlite_mnasnet_a1_coco', backbone: 'mnasnet_a1', head: 'ssdlite', parameters: 4_912_181 },
    {
      model: 'deeplabv3_mobilenet_v2_voc',
      backbone: 'mobilenet_v2',
      head: 'deeplabv3',
      parameters: 2_113_557,
    },
    {
      model: 'deeplabv3_shufflenet_v2_voc',
      backbone: 'shufflenet_v2',
      head: 'deeplabv3',
      parameters: 1_151_993,
    },
    { model: 'deeplabv3_mnasnet_a1_voc', backbone: 'mnasnet_a1', head: 'deeplabv3', parameters: 2_495_723 },
  ]) {
    test(`${model} needs a name and nothing else, and gives what it gave in PyTorch`, async () => {
      const name = `my_${model}`;
      const said = JSON.parse(
        await ok(['import', join(WEIGHTS, `${model}.safetensors`), '--name', name, '--json']),
      );
      assert.deepEqual(
        [said.map, said.backbone, said.head, said.parameters, said.left_out],
        ['training', backbone, head, parameters, []],
      );
      const reference = join(WEIGHTS, `${model}.reference.safetensors`);
      const out = join(home, `${model}.out.safetensors`);
      await ok(['run', name, '--input', reference, '--out', out]);
      const [recorded, given] = [readFixture(reference), readFixture(out)];
      assert.deepEqual(
        [...given.keys()].sort(),
        [...recorded.keys()].filter((key) => key !== 'pixels').sort(),
      );
      for (const [key, { shape, data }] of given) {
        const golden = recorded.get(key);
        assert.deepEqual(shape, golden?.shape);
        const [a, b] = [golden?.data as Float32Array, data as Float32Array];
        const largest = a.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
        const furthest = a.reduce(
          (most, value, at) => Math.max(most, Math.abs(value - (b[at] as number))),
          0,
        );
        assert.ok(largest > 0 && furthest <= TOLERANCE * largest, `${key}: ${furthest / largest}`);
      }
    });
  }
});
