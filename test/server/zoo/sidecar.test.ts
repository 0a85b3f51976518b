// What JSON files beside a checkpoint may say, which of them are about it, and what is assumed where none is.
import assert from 'node:assert/strict';
import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, beforeEach, describe, test } from 'node:test';
import type { Tensor } from '../../../models/graph/tensor.ts';
import { writeSafetensors } from '../../../models/weights/safetensors.ts';
import { trialRun } from '../../../server/inference/trial.ts';
import { readImported } from '../../../server/zoo/imported.ts';
import type { ImportRequest } from '../../../server/zoo/importer.ts';
import { importModel } from '../../../server/zoo/importer.ts';
import { ModelStore } from '../../../server/zoo/store.ts';
import { thinlens } from '../child.ts';

const SQUEEZENET = 'test/fixtures/squeezenet1_1.weights.safetensors';
const HF = 'test/fixtures/hf_deeplabv3_mobilenet_v2';

let folder: string;
/** A folder of its own for each test, with the checkpoint and what lies beside it. */
let place: string;
let store: ModelStore;
let notes: string[];
let timmTensors: Uint8Array;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'thinlens-sidecar-'));
  const { models } = JSON.parse(await readFile('test/fixtures/timm.json', 'utf8'));
  const { tensors } = models.find(({ name }: { name: string }) => name === 'mobilenetv2_050');
  const weights = Object.entries(tensors as Record<string, number[]>).map(
    ([name, shape]): [string, Tensor] => [
      name,
      { shape, data: new Float32Array(shape.reduce((a, b) => a * b, 1)).fill(1) },
    ],
  );
  timmTensors = writeSafetensors(new Map(weights));
});

beforeEach(async () => {
  place = await mkdtemp(join(folder, 'place-'));
  store = new ModelStore(join(place, 'home'));
  notes = [];
});

after(() => rm(folder, { recursive: true, force: true }));

const importTo = (request: ImportRequest) =>
  importModel(request, store, {
    trial: (onnx, size) => trialRun(onnx, size, 1),
    note: (sentence) => notes.push(sentence),
  });

const beside = (name: string, json: unknown) =>
  writeFile(join(place, name), typeof json === 'string' ? json : JSON.stringify(json));

async function squeezenet(request: Partial<ImportRequest> = {}) {
  const file = join(place, 'mine.safetensors');
  await cp(SQUEEZENET, file);
  const size = { height: 64, width: 64 };
  return importTo({ file, name: 'mine', backbone: 'squeezenet_1_1', size, ...request });
}

async function hf(change: object, request: Partial<ImportRequest> = {}) {
  const file = join(place, 'model.safetensors');
  await cp(`${HF}.weights.safetensors`, file);
  const json = JSON.parse(await readFile(`${HF}.config.json`, 'utf8'));
  await beside('config.json', { ...json, ...change });
  return importTo({ file, name: 'mine', ...request });
}

const PRETRAINED = { mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5], input_size: [3, 64, 64] };

async function timm(pretrained: object | undefined, request: Partial<ImportRequest> = {}) {
  const file = join(place, 'model.safetensors');
  await writeFile(file, timmTensors);
  if (pretrained) {
    const pretrained_cfg = { ...PRETRAINED, ...pretrained };
    await beside('config.json', { architecture: 'mobilenetv2_050', pretrained_cfg });
  }
  return importTo({ file, name: 'mine', ...request });
}

/** Nothing became of it, and the message names the file. */
async function assertRefused(attempt: Promise<unknown>, wanted: RegExp): Promise<void> {
  await assert.rejects(attempt, (error: Error) => {
    assert.equal(error.name, 'ImportError', error.stack);
    assert.match(error.message, wanted);
    assert.ok(error.message.includes(join(place, 'config.json')), error.message);
    return true;
  });
  assert.deepEqual(readImported(store.home), { records: [], faults: [] });
}

describe('a value of a configuration that no network can have', () => {
  for (const [change, wanted] of [
    [{ layer_norm_eps: 0 }, /layer_norm_eps is 0, and must be a number from 1e-12 to 1$/],
    [{ layer_norm_eps: 5 }, /layer_norm_eps is 5, and must be a number from 1e-12 to 1$/],
    [{ image_size: 129.5 }, /image_size is 129\.5, and must be a whole number from 32 to 2048$/],
    [{ image_size: 60_000 }, /image_size is 60000, and must be a whole number from 32 to 2048$/],
    [{ depth_multiplier: 0 }, /depth_multiplier is 0, and must be a number from 0\.1 to 4$/],
    [{ output_stride: 12 }, /12/],
    [{ output_stride: 32 }, /output stride 8 or 16, not 32/],
    [{ id2label: { 0: 'background', one: 'cat' } }, /id2label: .*whole number as its id.*\["one","cat"\]/],
    [{ id2label: { 0.5: 'background' } }, /id2label: .*whole number as its id/],
    [{ id2label: { 0: null } }, /id2label: a label must be a name/],
    [{ id2label: { 0: 'background', 1: 'cat' } }, /the 2 labels of .* do not fit/],
  ] as const) {
    test(`${JSON.stringify(change)} is named`, () => assertRefused(hf(change), wanted));
  }

  for (const [change, wanted] of [
    [{ std: [0.5, 0, 0.5] }, /std is \[0\.5,0,0\.5\], and must be three numbers from 0\.000001 to 1000000$/],
    [{ mean: [0.5, '0.5', 0.5] }, /mean is .* three numbers/],
    [{ input_size: [3, 64.5, 64] }, /input_size is \[3,64\.5,64\], and must be three whole numbers/],
    [{ input_size: [3, 8, 64] }, /input_size is \[3,8,64\], and must be 3, then .* 32 to 2048 pixels/],
    [{ input_size: [1, 64, 64] }, /input_size is \[1,64,64\], and must be 3, then/],
    [{ input_size: [3, 64, 60_000] }, /input_size is \[3,64,60000\], and must be three .* to 2048/],
  ] as const) {
    test(`timm's ${JSON.stringify(change)} is named`, () => assertRefused(timm(change), wanted));
  }

  test('is named too in a record of the training kit', async () => {
    const record = {
      title: 'mine',
      architecture: {
        backbone: 'mobilenetv2',
        head: 'ssdlite',
        output_stride: 32,
        bn_eps: 0,
        padding: 'TF SAME everywhere (extra pixel after)',
      },
      input: { height: 320, width: 320 },
      normalisation: { scale: 1, offset: 0 },
      classes: { names: ['cat'], ids: [1] },
    };
    await beside('config.json', record);
    const file = join(place, 'mine.safetensors');
    await cp(SQUEEZENET, file);
    const request = { file, name: 'mine' };
    await assertRefused(importTo(request), /architecture: bn_eps is 0, and must be a number from 1e-12 to 1/);
    record.architecture.bn_eps = 0.001;
    record.input.width = 320.5;
    await beside('config.json', record);
    await assertRefused(importTo(request), /input: width is 320\.5, and must be a whole number/);
    record.input.width = 320;
    await beside('config.json', { ...record, classes: { names: ['cat'], ids: ['one'] } });
    await assertRefused(importTo(request), /classes: .*\["one","cat"\]/);
  });
});

describe('a file that lies beside a checkpoint by chance', () => {
  const deep = `${'['.repeat(100_000)}${']'.repeat(100_000)}`;
  for (const [title, text, wanted] of [
    ['is not JSON', '{ // my settings', /mine\.json is not JSON: .*not read as a description/],
    ['nests too deep', deep, /mine\.json nests deeper than 64 levels: .*not read/],
    [
      'is too large',
      `"${' '.repeat(16 * 1024 * 1024)}"`,
      /mine\.json has \d+ bytes; at most 16777216 .*not read/,
    ],
    ['says a thing twice', '{"a": 1, "a": 2}', /mine\.json gives 'a' twice in one object: .*not read/],
  ] as const) {
    test(`and ${title} is passed over and named, and binds where it is asked for`, async () => {
      await beside('mine.json', text);
      await squeezenet();
      assert.equal(notes.length, 1);
      assert.match(notes[0] ?? '', wanted);
      await assert.rejects(squeezenet({ force: true, config: join(place, 'mine.json') }), {
        name: 'ImportError',
      });
    });
  }

  test('and is a folder is passed over and named', async () => {
    await mkdir(join(place, 'config.json'));
    await squeezenet();
    assert.match(notes.join(), /config\.json is not a file: .*not read/);
  });

  test('and is about something else altogether is not worth a word', async () => {
    await beside('mine.json', { architecture: { layers: 3 } });
    await beside('config.json', { architecture: 'resnet50' });
    await squeezenet();
    assert.deepEqual(notes, []);
  });

  test('and contradicts --backbone or --head is passed over, whatever else it says', async () => {
    const json = JSON.parse(await readFile(`${HF}.config.json`, 'utf8'));
    await beside('config.json', { ...json, expand_ratio: 4, layer_norm_eps: 'none' });
    await squeezenet();
    assert.equal(notes.length, 1);
    assert.match(
      notes[0] ?? '',
      /config\.json describes the backbone mobilenet_v2, and --backbone is squeezenet_1_1: it is not read/,
    );
    await assert.rejects(
      squeezenet({ force: true, config: join(place, 'config.json') }),
      /config\.json describes the backbone mobilenet_v2, and --backbone is squeezenet_1_1$/,
    );
    await assert.rejects(
      squeezenet({ force: true, config: join(place, 'config.json'), backbone: 'mobilenet_v2', head: 'ssd' }),
      /config\.json describes the head deeplabv3, and --head is ssd$/,
    );
  });

  test('is named on the standard error of the command, which succeeds', async () => {
    await beside('mine.json', '{');
    const file = join(place, 'mine.safetensors');
    await cp(SQUEEZENET, file);
    const args = ['import', file, '--backbone', 'squeezenet_1_1', '--resolution', '64', '--name', 'mine'];
    const { exit, stdout, stderr } = await thinlens([...args, '--json'], { THINLENS_HOME: store.home });
    assert.deepEqual(exit, [0, null], stderr);
    assert.equal(JSON.parse(stdout).described_by, null);
    assert.match(stderr, /^thinlens: .*mine\.json is not JSON/);
  });
});

describe('names that several libraries give', () => {
  const request = { backbone: 'mobilenet_v2', width: 0.5, size: { height: 64, width: 64 } };

  test('are read as the first does, and it is said what that assumes and what says otherwise', async () => {
    const { record } = await timm(undefined, request);
    assert.equal(record.source.map, 'timm');
    assert.equal(notes.length, 1);
    assert.match(
      notes[0] ?? '',
      /named alike by timm, timm_tf: timm is assumed \(padding symmetric, epsilon 0\.00001, .*--map timm_tf for padding same, epsilon 0\.001/,
    );
  });

  test('need no word where --map, a configuration or all that differs is given', async () => {
    await timm(undefined, { ...request, map: 'timm_tf' });
    const normalization = { scale: [1, 1, 1], offset: [0, 0, 0] } as const;
    await timm(undefined, { ...request, name: 'all', padding: 'same', epsilon: 0.001, normalization });
    await timm({}, { name: 'described' });
    assert.deepEqual(notes, []);
  });

  test('need none where only one library gives them', async () => {
    await squeezenet();
    assert.deepEqual(notes, []);
  });
});
