// Around the inference: request ids, probes, the document, the models, and the log.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { parse } from 'yaml';
import type { Health, Model, ModelList } from '../../../openapi/types.ts';
import { catalog } from '../../../server/zoo/catalog.ts';
import { COCO_LABELS } from '../../../server/zoo/labels.ts';
import type { TestServer } from '../harness.ts';
import {
  ask,
  post,
  problem,
  result,
  sample,
  segment,
  segmented,
  start,
  startReady,
  until,
} from '../harness.ts';

const MODEL = 'ssdlite_mobilenet_v2_coco';
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;
const PROBES = ['livez', 'readyz', 'healthz'] as const;
let server: TestServer;

before(async () => {
  server = await startReady({ models: [] });
});

after(() => server.stop());

describe('the request id', () => {
  const ids = async (given: string) => {
    const headers = { 'X-Request-Id': given };
    const answers = [
      await ask('livez', `${server.url}/livez`, { headers }),
      await post(server, Buffer.from('no image'), {}, headers),
      await post(server, await sample('clock'), {}, headers),
    ];
    assert.deepEqual(
      answers.map(({ status }) => status),
      [200, 415, 200],
    );
    return answers.map((answer) => answer.headers.get('X-Request-Id') ?? '');
  };

  for (const given of ['01JD3Q7M9Y8W6ZC5T4R2V1N0KX', 'a', '~!"#{}', 'x'.repeat(128)]) {
    test(`${given.slice(0, 30)} comes back`, async () => {
      assert.deepEqual(await ids(given), [given, given, given]);
    });
  }

  for (const [name, given] of [
    ['of two words', 'two words'],
    ['that is too long', 'x'.repeat(129)],
    ['that is empty', ''],
    ['that is not ASCII', 'caf\u00e9'],
  ] as const) {
    test(`${name} is replaced, by another one each time`, async () => {
      const replaced = await ids(given);
      for (const id of replaced) assert.match(id, UUID);
      assert.equal(new Set(replaced).size, 3);
    });
  }

  test('is made where there is none', async () => {
    assert.match((await ask('livez', `${server.url}/livez`)).headers.get('X-Request-Id') ?? '', UUID);
  });
});

describe('headers', () => {
  test('say nothing of the framework, forbid guessing at types, and keep nobody to HTTPS', async () => {
    const { headers } = await ask('livez', `${server.url}/livez`);
    assert.equal(headers.get('X-Powered-By'), null);
    assert.equal(headers.get('X-Content-Type-Options'), 'nosniff');
    assert.equal(headers.get('Strict-Transport-Security'), null);
    assert.doesNotMatch(headers.get('Content-Security-Policy') ?? 'upgrade', /upgrade/);
  });

  test('keep problems out of caches, and leave the connection usable', async () => {
    const { headers } = await post(server, Buffer.from('no image'));
    assert.equal(headers.get('Cache-Control'), 'no-store');
    assert.equal(headers.get('Connection'), 'keep-alive');
  });
});

describe('the probes', () => {
  test('say yes when the server is ready', async () => {
    for (const probe of PROBES) {
      const { status, body } = await ask(probe, `${server.url}/${probe}`);
      assert.deepEqual([status, body], [200, { status: 'ok' }]);
    }
  });

  test('before that only /livez does, the model is loading, and an image is told to come back', async () => {
    const early = await start();
    assert.equal((await ask('livez', `${early.url}/livez`)).status, 200);
    for (const probe of ['readyz', 'healthz'] as const) {
      const { status, body } = await ask(probe, `${early.url}/${probe}`);
      const reason = `${MODEL} is loading`;
      assert.deepEqual([status, body], [503, { status: 'unavailable', reason } satisfies Health]);
    }
    const { detail } = problem(await post(early, await sample('clock')), 503, 'model_unavailable');
    assert.match(detail, /loading/);
    const { body } = await ask('getModel', `${early.url}/v1/models/${MODEL}`);
    assert.deepEqual([(body as Model).state, (body as Model).precisions], ['loading', []]);
    await early.ready;
    assert.equal((await ask('readyz', `${early.url}/readyz`)).status, 200);
    result(await post(early, await sample('clock')));
    await early.stop();
  });

  test('while the server drains only /livez does, images are answered, and connections are closed', async () => {
    const draining = await startReady({ drainDelayMs: 3000 });
    const stopped = draining.stop();
    assert.equal((await ask('livez', `${draining.url}/livez`)).status, 200);
    for (const probe of ['readyz', 'healthz'] as const) {
      const { status, body, headers } = await ask(probe, `${draining.url}/${probe}`);
      assert.deepEqual([status, (body as Health).reason], [503, 'the server is stopping']);
      assert.equal(headers.get('Connection'), 'close');
    }
    const answer = await post(draining, await sample('street'));
    assert.equal(result(answer).detections.length, 2);
    assert.equal(answer.headers.get('Connection'), 'close');
    await stopped;
    await assert.rejects(fetch(`${draining.url}/livez`));
  });

  test('when no worker process is left, /readyz says so until there is one again', async () => {
    const [pid] = server.service.workerPids;
    process.kill(pid ?? assert.fail('there is no worker'), 'SIGKILL');
    await until(() => server.service.notReady !== undefined, 'the worker is missed');
    const { status, body } = await ask('readyz', `${server.url}/readyz`);
    assert.deepEqual([status, (body as Health).reason], [503, 'no worker process is running']);
    await until(() => server.service.notReady === undefined, 'another worker is ready');
    assert.equal((await ask('readyz', `${server.url}/readyz`)).status, 200);
  });
});

describe('the document', () => {
  test('is the one that was written', async () => {
    const { body } = await ask('openapiDocument', `${server.url}/openapi.json`);
    assert.deepEqual(body, parse(await readFile('openapi/openapi.yaml', 'utf8')));
  });
});

describe('the models', () => {
  test('are listed, without their labels', async () => {
    const { body } = await ask('listModels', `${server.url}/v1/models`);
    const { models } = body as ModelList;
    assert.deepEqual(
      models.map(({ name }) => name),
      catalog.map(({ name }) => name),
    );
    for (const { task, state, precisions, label_count, labels } of models) {
      assert.deepEqual([state, precisions, labels], ['ready', ['fp32'], undefined]);
      // COCO's objects, and VOC's with the background.
      assert.equal(label_count, { detection: 80, segmentation: 21, classification: 0 }[task]);
    }
    const [model] = models;
    assert.equal(model?.name, MODEL);
    // The paper's table counts 0.8 G multiply-adds for this network at 320x320; 300x300 has 0.88 of the pixels.
    assert.ok(model.madds > 7e8 && model.madds < 8e8);
  });

  test('are described one by one, with their labels', async () => {
    const { body } = await ask('getModel', `${server.url}/v1/models/${MODEL}`);
    const { labels, ...model } = body as Model;
    assert.deepEqual(
      labels,
      COCO_LABELS.map(({ classId, label }) => ({ class_id: classId, label })),
    );
    const list = await ask('listModels', `${server.url}/v1/models`);
    assert.deepEqual(model, (list.body as ModelList).models[0]);
  });

  test('all find what is on a picture, the clock or the cat, each at its own cost', async () => {
    const [clock, cat] = [await sample('clock'), await sample('cat')];
    const madds = new Set<number>();
    for (const { name, task } of catalog) {
      const detects = task === 'detection';
      const answer = detects
        ? result(await post(server, clock, { model: name, max_detections: 1 }))
        : segmented(await segment(server, cat, { model: name }));
      const found = 'detections' in answer ? answer.detections : answer.segments;
      assert.equal(answer.model, name);
      // The weakest of the segmentation models takes the cat for a dog.
      assert.match(found[0]?.label ?? '', detects ? /^clock$/ : /^(cat|dog)$/);
      madds.add(answer.madds);
    }
    assert.equal(catalog.length, 6);
    assert.equal(madds.size, catalog.length);
  });

  test('that there are not are 404, and those that there are are listed', async () => {
    const answer = await ask('getModel', `${server.url}/v1/models/yolo`);
    assert.match(problem(answer, 404, 'unknown_model').detail, new RegExp(`'yolo'.*${MODEL}`));
  });

  test('take no parameters, and no other Accept', async () => {
    for (const [operation, path] of [
      ['listModels', '/v1/models'],
      ['getModel', `/v1/models/${MODEL}`],
    ] as const) {
      problem(await ask(operation, `${server.url}${path}?page=2`), 400, 'unknown_parameter');
      const headers = { Accept: 'text/csv' };
      problem(await ask(operation, `${server.url}${path}`, { headers }), 406, 'not_acceptable');
    }
  });
});

describe('the log', () => {
  test('has one line for each request, under its id, and none for probes', async () => {
    const id = 'the-log-1';
    const headers = { 'X-Request-Id': id };
    const before = server.log.length;
    await post(server, await sample('clock'), { max_detections: 1 }, headers);
    await post(server, Buffer.from('no image'), {}, headers);
    for (const probe of PROBES) await ask(probe, `${server.url}/${probe}`, { headers });
    await ask('metrics', `${server.url}/metrics`, { headers });
    const lines = server.log.slice(before);
    assert.deepEqual(
      lines.map(({ request_id, method, url, status, model, code }) => ({
        request_id,
        method,
        url,
        status,
        model,
        code,
      })),
      [
        {
          request_id: id,
          method: 'POST',
          url: '/v1/detect?max_detections=1',
          status: 200,
          model: MODEL,
          code: undefined,
        },
        {
          request_id: id,
          method: 'POST',
          url: '/v1/detect',
          status: 415,
          model: MODEL,
          code: 'unsupported_image',
        },
      ],
    );
  });
});

test('what is not HTTP is refused, and the server goes on', async () => {
  const { port } = new URL(server.url);
  for (const bytes of [
    '\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03',
    'GET / HTTP/9.9\r\n\r\n',
    'x'.repeat(100_000),
  ]) {
    const socket = connect(Number(port), '127.0.0.1');
    socket.on('error', () => {});
    socket.write(Buffer.from(bytes, 'latin1'));
    await new Promise((resolve) => socket.once('close', resolve).resume());
  }
  assert.equal((await ask('livez', `${server.url}/livez`)).status, 200);
});
