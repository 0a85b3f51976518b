// Checkpoints of other libraries through `thinlens import` and `thinlens run`, held to what those libraries computed.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { before, describe, test } from 'node:test';
import { readFixture } from '../../safetensors.ts';
import { home, thinlens } from '../child.ts';

const FIXTURES = 'test/fixtures';
/** Of a tensor's largest magnitude. Two orders of summation in float32 differ by up to 7e-5, any mistake by 5 % and more. */
const TOLERANCE = 1e-4;

async function ok(args: readonly string[]): Promise<string> {
  const { exit, stdout, stderr } = await thinlens(args);
  assert.deepEqual([exit, stderr], [[0, null], ''], stderr);
  return stdout;
}

/** Runs a model on a fixture's `input` and holds its logits, and all else that the fixture has, to it. */
async function assertAsRecorded(model: string, fixture: string): Promise<void> {
  const recorded = readFixture(fixture);
  const wanted = [...recorded.keys()].filter((name) => name !== 'input');
  assert.ok(wanted.includes('logits') && wanted.length > 2);
  const out = join(home, `${model}.out.safetensors`);
  const taps = wanted.filter((name) => name !== 'logits');
  await ok(['run', model, '--input', fixture, '--taps', taps.join(), '--out', out]);
  const given = readFixture(out);
  assert.deepEqual([...given.keys()].sort(), wanted.sort());
  for (const name of wanted) {
    const [golden, mine] = [recorded.get(name), given.get(name)];
    assert.deepEqual(mine?.shape, golden?.shape, name);
    const [a, b] = [golden?.data as Float32Array, mine?.data as Float32Array];
    const largest = a.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    const furthest = a.reduce((most, value, at) => Math.max(most, Math.abs(value - (b[at] as number))), 0);
    assert.ok(largest > 0 && furthest <= TOLERANCE * largest, `${name}: ${furthest / largest}`);
  }
}

describe('torchvision', () => {
  for (const { fixture, file, backbone, width, parameters } of [
    { fixture: 'mobilenet_v2_0.35', file: 'pth', backbone: 'mobilenet_v2', width: 0.35, parameters: 408_938 },
    {
      fixture: 'shufflenet_v2_x0_5',
      file: 'pth',
      backbone: 'shufflenet_v2',
      width: 0.5,
      parameters: 352_042,
    },
    { fixture: 'mnasnet0_5', file: 'safetensors', backbone: 'mnasnet_b1', width: 0.5, parameters: 950_322 },
    {
      fixture: 'mobilenet_v3_small',
      file: 'pth',
      backbone: 'mobilenet_v3_small',
      width: 1,
      parameters: 1_528_106,
    },
    {
      fixture: 'squeezenet1_1',
      file: 'safetensors',
      backbone: 'squeezenet_1_1',
      width: 1,
      parameters: 727_626,
    },
  ]) {
    test(`${fixture}: every tap and the logits`, async () => {
      const checkpoint = join(FIXTURES, `${fixture}.weights.${file}`);
      const name = fixture.replaceAll('.', '_');
      const said = JSON.parse(
        await ok([
          'import',
          checkpoint,
          '--backbone',
          backbone,
          '--width',
          String(width),
          '--name',
          name,
          '--json',
        ]),
      );
      assert.deepEqual(
        [said.map, said.head, said.class_columns, said.parameters],
        ['torchvision', 'classifier', 10, parameters],
      );
      assert.ok(said.left_out.every((tensor: string) => tensor.endsWith('.num_batches_tracked')));
      await assertAsRecorded(name, join(FIXTURES, `${fixture}.activations.safetensors`));
    });
  }
});

describe('transformers', () => {
  const MODEL = join(FIXTURES, 'hf_deeplabv3_mobilenet_v2');

  for (const stride of [8, 16]) {
    describe(`DeepLabv3 at output stride ${stride}`, () => {
      before(async () => {
        const said = JSON.parse(
          await ok([
            'import',
            `${MODEL}.weights.safetensors`,
            '--config',
            `${MODEL}.config.json`,
            // The configuration says 8.
            ...(stride === 8 ? [] : ['--output-stride', String(stride)]),
            '--name',
            `hf_${stride}`,
            '--json',
          ]),
        );
        assert.deepEqual(
          [said.map, said.head, said.width, said.output_stride, said.class_columns],
          ['transformers', 'deeplabv3', 0.35, stride, 21],
        );
        const others = said.left_out.filter((tensor: string) => !tensor.endsWith('.num_batches_tracked'));
        assert.equal(others.length, 5);
        assert.ok(others.every((tensor: string) => tensor.startsWith('mobilenet_v2.conv_1x1.')));
      });

      for (const size of ['129x129', '97x161', '96x134']) {
        test(`${size}: every tap and the logits`, () =>
          assertAsRecorded(`hf_${stride}`, `${MODEL}.os${stride}_${size}.activations.safetensors`));
      }
    });
  }
});
