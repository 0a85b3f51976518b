// The weights that the training kit made, through `thinlens import` and `thinlens run`, held to what PyTorch gave for them.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { decode } from 'fast-png';
import sharp from 'sharp';
import { gridMapping } from '../../../heads/deeplabv3/grid_mapping.ts';
import { denseClassMap, logitsAt, probabilitiesOf } from '../../heads/deeplabv3/dense.ts';
import { readFixture } from '../../safetensors.ts';
import { home, thinlens } from '../child.ts';

const WEIGHTS = '../shared/zoo/weights';
const TOLERANCE = 1e-4;

async function ok(args: readonly string[]): Promise<string> {
  const { exit, stdout, stderr } = await thinlens(args);
  assert.deepEqual([exit, stderr], [[0, null], ''], stderr);
  return stdout;
}

/** Class and confidence maps that the command line writes for the recorded pixels are those of the recorded logits, upsampled densely. */
async function assertClassMap(name: string, recorded: ReturnType<typeof readFixture>): Promise<void> {
  const photo = { height: 513, width: 513 };
  const pixels = Uint8Array.from(recorded.get('pixels')?.data as Float32Array);
  const picture = join(home, `${name}.pixels.png`);
  await sharp(pixels, { raw: { ...photo, channels: 3 } })
    .png()
    .toFile(picture);
  await ok(['segment', picture, '--model', name, '--out', join(home, 'masks'), '--confidence']);
  const written = decode(readFileSync(join(home, 'masks', `${name}.pixels.png`)));
  assert.equal(written.channels, 1);
  const logits = recorded.get('logits');
  const [, classes = 0, height = 0, width = 0] = logits?.shape ?? [];
  const map = { data: logits?.data as Float32Array, classes, height, width };
  const mapping = gridMapping({ photo, resized: photo, input: photo, grid: map, alignCorners: true });
  const wanted = denseClassMap(map, mapping, photo);
  const different = wanted.reduce((count, classId, at) => count + Number(classId !== written.data[at]), 0);
  // Where two classes are as likely, the last digit decides.
  assert.ok(different <= wanted.length * 1e-4, `${different} pixels differ`);
  // Some networks take noise for background throughout; how sure they are varies all the same.
  const sure = decode(readFileSync(join(home, 'masks', `${name}.pixels.confidence.png`))).data;
  const seen = new Set<number>();
  for (let at = 0; at < wanted.length; at += 97) {
    const [y, x] = [Math.floor(at / photo.width), at % photo.width];
    const probability = Math.max(...probabilitiesOf(logitsAt(map, mapping, y, x)));
    seen.add(sure[at] as number);
    assert.ok(
      Math.abs((sure[at] as number) - 255 * probability) <= 1,
      `${sure[at]}, not ${255 * probability}`,
    );
  }
  assert.ok(seen.size > 20, `only ${seen.size} values of confidence`);
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
      if (head === 'deeplabv3') await assertClassMap(name, recorded);
    });
  }
});
