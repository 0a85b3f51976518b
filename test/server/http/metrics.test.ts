// What Prometheus sees of requests that are known.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { TestServer } from '../harness.ts';
import { ask, form, growth, post, postJson, sample, scrape, startReady, until } from '../harness.ts';

const MODEL = 'ssdlite_mobilenet_v2_coco';
const MADDS = 749_503_856;
let server: TestServer;
let clock: Buffer;

before(async () => {
  server = await startReady();
  clock = await sample('clock');
});

after(() => server.stop());

/** What a request adds, of the metrics that count. Scrapes before and after count themselves. */
async function added(send: () => Promise<unknown>): Promise<Record<string, number>> {
  const earlier = await scrape(server);
  await send();
  const grown = Object.entries(growth(earlier, await scrape(server)));
  return Object.fromEntries(
    grown.filter(([name]) => !/_bucket\{|_seconds_sum\{|route="\/metrics"/.test(name)),
  );
}

const visit = async (path: string, init?: RequestInit) => (await fetch(`${server.url}${path}`, init)).text();

const duration = (route: string, status: number, model = 'none', precision = 'none') =>
  `thinlens_request_duration_seconds_count{route="${route}",model="${model}",precision="${precision}",status="${status}"}`;
const detected = (status: number) => duration('/v1/detect', status, MODEL, 'fp32');
const rejected = (reason: string) => `thinlens_requests_rejected_total{reason="${reason}"}`;
const stages = (images: number, encoded: number) => ({
  ...Object.fromEntries(
    ['queue', 'decode', 'preprocess', 'inference', 'postprocess'].map((stage) => [stageCount(stage), images]),
  ),
  [stageCount('encode')]: encoded,
});
const stageCount = (stage: string) =>
  `thinlens_stage_duration_seconds_count{model="${MODEL}",precision="fp32",stage="${stage}"}`;
const answered = (images: number) => ({
  [detected(200)]: 1,
  [`thinlens_request_madds_count{model="${MODEL}"}`]: 1,
  [`thinlens_request_madds_sum{model="${MODEL}"}`]: images * MADDS,
  [`thinlens_images_total{model="${MODEL}"}`]: images,
  ...stages(images, 1),
});

describe('an answered request', () => {
  test('counts as one request, one image and its multiply-adds', async () => {
    assert.deepEqual(await added(() => post(server, clock)), answered(1));
  });

  test('counts each image of a batch, and the batch as one', async () => {
    assert.deepEqual(await added(() => post(server, form(clock, clock, clock))), answered(3));
    const images = [clock.toString('base64')];
    assert.deepEqual(await added(() => postJson(server, { images })), answered(1));
  });

  test('lies in the bucket of its work, and of its time', async () => {
    const earlier = await scrape(server);
    const started = performance.now();
    await post(server, form(clock, clock));
    const most = (performance.now() - started) / 1000;
    const grown = growth(earlier, await scrape(server));
    const madds = (le: string) => grown[`thinlens_request_madds_bucket{le="${le}",model="${MODEL}"}`];
    assert.deepEqual([madds('800000000'), madds('1600000000'), madds('+Inf')], [undefined, 1, 1]);
    const labels = `route="/v1/detect",model="${MODEL}",precision="fp32",status="200"`;
    const seconds = grown[`thinlens_request_duration_seconds_sum{${labels}}`] ?? assert.fail();
    assert.ok(seconds > 0 && seconds <= most, `${seconds} s, and the client waited ${most} s`);
    const bucket = (le: string) => grown[`thinlens_request_duration_seconds_bucket{le="${le}",${labels}}`];
    assert.deepEqual([bucket('0.001'), bucket('+Inf')], [undefined, 1]);
  });
});

describe('a refused request', () => {
  const cases: [string, () => Promise<unknown>, Record<string, number>][] = [
    [
      'for its image counts with its model, and as no image',
      () => post(server, Buffer.from('no image')),
      { [detected(415)]: 1, [rejected('unsupported_image')]: 1 },
    ],
    [
      'for a damaged image counts no work',
      () => post(server, clock.subarray(0, 5000)),
      { [detected(422)]: 1, [rejected('undecodable_image')]: 1 },
    ],
    [
      'for its model counts with no model',
      () => post(server, clock, { model: 'yolo-from-outside' }),
      { [duration('/v1/detect', 404)]: 1, [rejected('unknown_model')]: 1 },
    ],
    [
      'for its precision counts with its model',
      () => post(server, clock, { precision: 'int8' }),
      { [duration('/v1/detect', 400, MODEL)]: 1, [rejected('precision_unavailable')]: 1 },
    ],
    [
      'for a parameter counts with no model',
      () => post(server, clock, { 'from-outside': 1 }),
      { [duration('/v1/detect', 400)]: 1, [rejected('unknown_parameter')]: 1 },
    ],
    [
      'for its model, asked about',
      () => ask('getModel', `${server.url}/v1/models/from-outside`),
      { [duration('/v1/models/:model', 404)]: 1, [rejected('unknown_model')]: 1 },
    ],
    [
      'for its path counts with no route',
      () => visit('/from-outside'),
      { [duration('none', 404)]: 1, [rejected('not_found')]: 1 },
    ],
    [
      'for its method counts with no route',
      () => visit('/v1/models', { method: 'DELETE' }),
      { [duration('none', 405)]: 1, [rejected('method_not_allowed')]: 1 },
    ],
  ];
  for (const [name, send, expected] of cases) {
    test(name, async () => {
      assert.deepEqual(await added(send), expected);
    });
  }
});

describe('other requests', () => {
  for (const [path, route] of [
    ['/livez', '/livez'],
    ['/readyz', '/readyz'],
    ['/healthz', '/healthz'],
    ['/openapi.json', '/openapi.json'],
    ['/v1/models', '/v1/models'],
    [`/v1/models/${MODEL}`, '/v1/models/:model'],
  ] as const) {
    test(`${path} counts under its route, and nowhere else`, async () => {
      assert.deepEqual(await added(() => visit(path)), { [duration(route, 200)]: 1 });
    });
  }
});

test('a lost worker counts', async () => {
  const grown = await added(async () => {
    process.kill(server.service.workerPids[0] ?? assert.fail('there is no worker'), 'SIGKILL');
    await until(() => server.service.notReady !== undefined, 'the worker is missed');
    await until(() => server.service.notReady === undefined, 'another worker is ready');
  });
  assert.deepEqual(grown, { 'thinlens_worker_restarts_total{reason="crash"}': 1 });
});

test('every metric of the design is there from the start, with its type', async () => {
  const fresh = await startReady();
  const { body } = await ask('metrics', `${fresh.url}/metrics`);
  const types = [...String(body).matchAll(/^# TYPE (thinlens_\S+) (\S+)$/gm)];
  assert.deepEqual(Object.fromEntries(types.map(([, name, type]) => [name, type])), {
    thinlens_request_duration_seconds: 'histogram',
    thinlens_request_madds: 'histogram',
    thinlens_stage_duration_seconds: 'histogram',
    thinlens_images_total: 'counter',
    thinlens_requests_rejected_total: 'counter',
    thinlens_worker_restarts_total: 'counter',
    thinlens_model_madds: 'gauge',
    thinlens_model_parameters: 'gauge',
    thinlens_model_load_seconds: 'gauge',
    thinlens_model_precision_fallback: 'gauge',
    thinlens_queue_depth: 'gauge',
    thinlens_requests_in_flight: 'gauge',
  });
  const metrics = await scrape(fresh);
  assert.equal(metrics.get(`thinlens_model_madds{model="${MODEL}"}`), MADDS);
  assert.equal(metrics.get(`thinlens_model_parameters{model="${MODEL}"}`), 4_500_543);
  assert.ok((metrics.get(`thinlens_model_load_seconds{model="${MODEL}",precision="fp32"}`) ?? 0) > 0);
  // What will be counted exists at zero before it first happens, so that rates miss nothing.
  for (const name of [
    `thinlens_images_total{model="${MODEL}"}`,
    `thinlens_request_madds_count{model="${MODEL}"}`,
    stageCount('inference'),
    'thinlens_worker_restarts_total{reason="crash"}',
    'thinlens_worker_restarts_total{reason="hang"}',
    'thinlens_queue_depth',
  ]) {
    assert.equal(metrics.get(name), 0, name);
  }
  assert.equal(metrics.get('thinlens_requests_in_flight'), 1, 'the scrape itself');
  assert.ok((metrics.get('process_resident_memory_bytes') ?? 0) > 0);
  await fresh.stop();
});

test('no name is one that promtool rejects', async () => {
  const metrics = await scrape(server);
  assert.deepEqual(
    [...metrics.keys()].filter((name) => name.startsWith('nodejs_active_') && name.includes('_total')),
    [],
  );
});

test('nothing that callers write becomes a label', async () => {
  const strange = 'from-outside';
  await Promise.all([
    post(server, clock, { model: strange }),
    post(server, clock, { classes: strange }),
    post(server, clock, { precision: strange }),
    post(server, clock, {}, { 'Content-Type': strange, 'X-Request-Id': strange, 'User-Agent': strange }),
    visit(`/${strange}`),
    visit(`/v1/models/${strange}`),
    visit(`/v1/detect/?${strange}=1`, { method: 'POST', body: clock }),
    visit(`/V1/${strange}`, { method: 'PROPFIND' }),
  ]);
  for (const name of (await scrape(server)).keys()) assert.ok(!name.includes(strange), name);
});
