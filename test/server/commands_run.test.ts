// `thinlens run`: what it refuses, and that it says what would be right.
import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { before, describe, test } from 'node:test';
import type { Tensor } from '../../models/graph/tensor.ts';
import { writeSafetensors } from '../../models/weights/safetensors.ts';
import { runNetwork } from '../../server/inference/network_run.ts';
import { recordNamed } from '../../server/zoo/records.ts';
import { loadWeights } from '../../server/zoo/weights.ts';
import { readFixture } from '../safetensors.ts';
import { home, thinlens } from './child.ts';

const MODEL = 'classifier_run';
const out = join(home, 'run.out.safetensors');

async function file(tensors: Readonly<Record<string, Tensor>>, options = {}): Promise<string> {
  const path = join(home, `input-${Math.random()}.safetensors`);
  await writeFile(path, writeSafetensors(new Map(Object.entries(tensors)), options));
  return path;
}

const filled = (shape: readonly number[], value: (at: number) => number): Tensor => ({
  shape,
  data: Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, at) => value(at)),
});
const noise = (at: number) => Math.sin(at * 12.9898) / 2;

before(async () => {
  const { exit, stderr } = await thinlens([
    'import',
    'test/fixtures/mobilenet_v2_0.35.weights.pth',
    '--backbone',
    'mobilenet_v2',
    '--width',
    '0.35',
    '--name',
    MODEL,
  ]);
  assert.deepEqual(exit, [0, null], stderr);
});

async function assertRefused(input: string, more: readonly string[], wanted: RegExp): Promise<void> {
  const { exit, stdout, stderr } = await thinlens(['run', MODEL, '--input', input, '--out', out, ...more]);
  assert.deepEqual([exit, stdout], [[1, null], ''], stderr);
  assert.match(stderr, wanted);
  assert.doesNotMatch(stderr, /\bat .*\.js/);
}

describe('thinlens run', () => {
  test('an image of a batch gives what it gives alone, at any size', async () => {
    const pair = filled([2, 3, 40, 56], noise);
    const second = { shape: [1, 3, 40, 56], data: pair.data.slice(pair.data.length / 2) };
    const taps = ['--taps', 'features.3,backbone.stem.bn,features.3'];
    const both = await thinlens([
      'run',
      MODEL,
      '--input',
      await file({ input: pair }),
      '--out',
      out,
      ...taps,
    ]);
    assert.deepEqual(both.exit, [0, null], both.stderr);
    const given = readFixture(out);
    assert.deepEqual([...given].map(([name, { shape }]) => [name, shape]).sort(), [
      ['backbone.stem.bn', [2, 16, 20, 28]],
      ['features.3', [2, 8, 10, 14]],
      ['logits', [2, 10]],
    ]);
    await thinlens(['run', MODEL, '--input', await file({ input: second }), '--out', out, ...taps]);
    for (const [name, { data }] of readFixture(out)) {
      const batch = given.get(name)?.data as Float32Array;
      assert.deepEqual(data, batch.slice(batch.length / 2), name);
      assert.notDeepEqual(data, batch.slice(0, batch.length / 2), name);
    }
  });

  test('pixels are normalised as the model was trained', async () => {
    const pixels = filled([1, 32, 32, 3], (at) => (at * 37) % 256);
    const mean = [0.485, 0.456, 0.406];
    const deviation = [0.229, 0.224, 0.225];
    const input = filled([1, 3, 32, 32], (at) => {
      const channel = Math.floor(at / 1024);
      const value = pixels.data[(at % 1024) * 3 + channel] as number;
      return (value / 255 - (mean[channel] as number)) / (deviation[channel] as number);
    });
    const logits = async (path: string) => {
      const { exit, stderr } = await thinlens(['run', MODEL, '--input', path, '--out', out]);
      assert.deepEqual(exit, [0, null], stderr);
      return readFixture(out).get('logits')?.data as Float32Array;
    };
    const [a, b] = [await logits(await file({ pixels })), await logits(await file({ input }))];
    const largest = Math.max(...a.map(Math.abs));
    a.forEach((value, at) => {
      assert.ok(Math.abs(value - (b[at] as number)) < 1e-4 * largest);
    });
  });

  test('an input that is not one is refused', async () => {
    const square = filled([1, 3, 32, 32], noise);
    await assertRefused(await file({ image: square }), [], /holds 'image': there must be 'input', float32/);
    await assertRefused(await file({ '\x1b[2Jimage': square }), [], /holds '\?\[2Jimage': there must be/);
    const many = Object.fromEntries(Array.from({ length: 12 }, (_, at) => [`t${10 + at}`, square]));
    await assertRefused(await file(many), [], /holds 't10', .*'t19', 2 more: there must be/);
    const long = filled(Array(40).fill(1), noise);
    await assertRefused(await file({ input: long }), [], /is \[(1, ){8}\.\.\. 40 dimensions\], and must be/);
    await assertRefused(await file({ input: square, pixels: square }), [], /both 'input' and 'pixels'/);
    await assertRefused(
      await file({ input: { ...square, shape: [3, 32, 32] } }),
      [],
      /is \[3, 32, 32\], and must be \[N, 3, height, width\]/,
    );
    await assertRefused(
      await file({ input: { ...square, shape: [1, 32, 32, 3] } }),
      [],
      /must be \[N, 3, height, width\]/,
    );
    await assertRefused(
      await file({ input: square }, { dtype: 'F16' }),
      [],
      /'input' is of type F16, and must be F32/,
    );
    await assertRefused(
      await file({ pixels: filled([1, 32, 32, 3], noise) }),
      [],
      /whole numbers from 0 to 255/,
    );
    await assertRefused(
      await file({ input: filled([1, 3, 2, 5000], noise) }),
      [],
      /height and width go from 1 to 4096/,
    );
    await assertRefused(join(home, 'none.safetensors'), [], /none\.safetensors cannot be read/);
    await assertRefused('test/fixtures/timm.json', [], /timm\.json: .*(header|JSON)/);
  });

  test('a tap that is not there is answered with what is near', async () => {
    const input = await file({ input: filled([1, 3, 32, 32], noise) });
    await assertRefused(
      input,
      ['--taps', 'features.33'],
      /no value, layer or block 'features\.33': near it are features\.3,/,
    );
    await assertRefused(
      input,
      ['--taps', 'backbone.stage9'],
      /near it are backbone\.stage1, backbone\.stage2/,
    );
    await assertRefused(input, ['--taps', 'input'], /no value, layer or block 'input'/);
    await assertRefused(
      input,
      ['--taps', 'logits,backbone.stem.conv'],
      /backbone\.stem\.conv' is a convolution .*folded into: tap backbone\.stem\.bn .* or backbone\.stem /,
    );
  });

  test('outputs beyond any memory are refused before they are made', async () => {
    const record = recordNamed(MODEL, home) ?? assert.fail('it was not imported');
    const input = { kind: 'tensor', data: new Float32Array(0), shape: [10_000, 3, 256, 256] } as const;
    await assert.rejects(
      runNetwork(record, await loadWeights(record, home), input, { taps: ['backbone.stem'], threads: 1 }),
      /would have 2621540000 elements, and at most 268435456/,
    );
  });

  test('a model that there is not is answered with those that there are', async () => {
    const input = await file({ input: filled([1, 3, 32, 32], noise) });
    const { stderr } = await thinlens(['run', 'yolo', '--input', input, '--out', out]);
    assert.match(stderr, /no model 'yolo': the models are ssdlite_mobilenet_v2_coco, .*classifier_run/);
    const detection = await thinlens([
      'run',
      'ssdlite_mobilenet_v2_coco',
      '--input',
      await file({ input: filled([1, 3, 96, 128], noise) }),
      '--out',
      out,
    ]);
    assert.match(detection.stderr, /takes square images, not 96x128/);
  });

  test('a detection model gives its raw outputs', async () => {
    const input = await file({ input: filled([1, 3, 300, 300], noise) });
    const { exit, stdout } = await thinlens([
      'run',
      'ssdlite_mobilenet_v2_coco',
      '--input',
      input,
      '--out',
      out,
      '--json',
    ]);
    assert.deepEqual(exit, [0, null]);
    assert.deepEqual(JSON.parse(stdout).outputs, [
      { name: 'box_encodings', shape: [1, 1917, 4] },
      { name: 'class_logits', shape: [1, 1917, 91] },
    ]);
  });
});
