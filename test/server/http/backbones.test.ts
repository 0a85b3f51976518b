// GET /v1/backbones and /v1/backbones/{backbone}; every answer is held to the document by `ask`.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { HEADS } from '../../../heads/model.ts';
import { backbones } from '../../../models/backbones/registry.ts';
import type { Backbone, BackboneList } from '../../../openapi/types.ts';
import { thinlens } from '../child.ts';
import type { TestServer } from '../harness.ts';
import { ask, problem, start } from '../harness.ts';

let server: TestServer;

before(async () => {
  server = await start();
});

after(() => server.stop());

const get = (name: string, query = '') => ask('getBackbone', `${server.url}/v1/backbones/${name}${query}`);

async function backbone(name: string, query = ''): Promise<Backbone> {
  const answer = await get(name, query);
  assert.equal(answer.status, 200, answer.text);
  return answer.body as Backbone;
}

describe('GET /v1/backbones', () => {
  const list = async () => {
    const { status, body } = await ask('listBackbones', `${server.url}/v1/backbones`);
    assert.equal(status, 200);
    return (body as BackboneList).backbones;
  };

  test('lists the registry in its order, without layers', async () => {
    const found = await list();
    assert.deepEqual(
      found.map(({ name, carries_heads, widths, output_strides }) => [
        name,
        carries_heads,
        widths,
        output_strides,
      ]),
      backbones().map(({ name, carriesHeads, widths, outputStrides }) => [
        name,
        carriesHeads,
        widths,
        outputStrides,
      ]),
    );
    for (const { layers, network } of found) {
      assert.equal(layers, undefined);
      assert.deepEqual(
        [network.head, network.width, network.input],
        ['classifier', 1, { width: 224, height: 224 }],
      );
    }
  });

  test('has the published figures, the same each time', async () => {
    const [first, second] = await Promise.all([list(), list()]);
    assert.deepEqual(first, second);
    const of = (wanted: string) => first.find(({ name }) => name === wanted)?.network;
    assert.deepEqual([of('mobilenet_v2')?.madds, of('mobilenet_v2')?.parameters], [300_774_272, 3_504_872]);
    assert.equal(of('shufflenet_v2')?.parameters, 2_278_604);
  });

  test('takes no parameters', async () => {
    const { detail } = problem(
      await ask('listBackbones', `${server.url}/v1/backbones?width=1`),
      400,
      'unknown_parameter',
    );
    assert.match(detail, /'width': this operation takes no query parameters/);
  });
});

describe('GET /v1/backbones/{backbone}', () => {
  test('counts the paper network, and layers that sum up to it', async () => {
    const { network, layers = [] } = await backbone('mobilenet_v2');
    assert.deepEqual(
      [network.madds, network.parameters, network.parameters_folded],
      [300_774_272, 3_504_872, 3_487_816],
    );
    assert.equal(
      layers.reduce((sum, { madds }) => sum + madds, 0),
      network.madds,
    );
    assert.equal(
      layers.reduce((sum, { memory_access }) => sum + memory_access.total_bytes, 0),
      network.memory_access.total_bytes,
    );
  });

  test('takes width, resolution, output stride, head and classes', async () => {
    const { network } = await backbone('mobilenet_v2', '?width=0.5&resolution=160');
    // Printed as 50 M by tensorflow/models research/slim/nets/mobilenet/README.md.
    assert.equal(Math.floor(network.madds / 1e6), 50);
    const { network: dense } = await backbone('mobilenet_v2', '?output_stride=8');
    assert.equal(dense.output_stride, 8);
    assert.ok(dense.madds > 2 * 300_774_272);
    const { network: detector } = await backbone('mobilenet_v2', '?head=ssdlite');
    assert.deepEqual(
      [detector.madds, detector.parameters, detector.classes, detector.input.width],
      [749_503_856, 4_500_543, 91, 300],
    );
    const { network: segmenter } = await backbone('mobilenet_v2', '?head=deeplabv3&classes=19');
    assert.deepEqual([segmenter.classes, segmenter.output_stride, segmenter.input.height], [19, 16, 513]);
  });

  test('answers what `thinlens cost --json --layers` prints', async () => {
    const { stdout } = await thinlens([
      'cost',
      'shufflenet_v2',
      '--width',
      '2',
      '--head',
      'deeplabv3',
      '--layers',
      '--json',
    ]);
    assert.deepEqual(await backbone('shufflenet_v2', '?width=2&head=deeplabv3'), JSON.parse(stdout));
  });

  test('counts every backbone with every head that it carries, at the smallest and the largest input', async () => {
    for (const { name, carriesHeads } of backbones()) {
      for (const head of Object.keys(HEADS)) {
        for (const resolution of [32, 2048]) {
          const answer = await get(name, `?head=${head}&resolution=${resolution}`);
          const expected = carriesHeads || head === 'classifier' ? 200 : 400;
          assert.equal(
            answer.status,
            expected,
            `${name} ${head} ${resolution}: ${answer.text.slice(0, 300)}`,
          );
        }
      }
    }
  });

  for (const name of ['resnet_50', 'constructor', 'MobileNet_v2', 'mobilenet_v2%20']) {
    test(`does not know ${name}`, async () => {
      const { detail } = problem(await get(name), 404, 'unknown_backbone');
      assert.match(detail, /^there is no backbone '.*': the backbones are mobilenet_v1, mobilenet_v2, /);
    });
  }

  for (const [name, query, parameter, wanted] of [
    ['mobilenet_v2', 'width=0', 'width', /^width must be a number between 0\.1 and 4, got '0'$/],
    ['mobilenet_v2', 'width=1e9', 'width', /between 0\.1 and 4/],
    ['shufflenet_v2', 'width=0.7', 'width', /^width must be 0\.5, 1, 1\.5 or 2 for shufflenet_v2, got 0\.7$/],
    [
      'mobilenet_v2',
      'resolution=4096',
      'resolution',
      /^resolution must be an integer between 32 and 2048, got '4096'$/,
    ],
    ['mobilenet_v2', 'resolution=224.5', 'resolution', /an integer between 32 and 2048/],
    ['mobilenet_v2', 'output_stride=4', 'output_stride', /^output_stride must be one of 8, 16, 32, got '4'$/],
    [
      'mobilenet_v2',
      'output_stride=32&head=deeplabv3',
      'output_stride',
      /^output_stride must be 8 or 16 for mobilenet_v2/,
    ],
    [
      'squeezenet_1_0',
      'head=ssdlite',
      'head',
      /^head must be classifier for squeezenet_1_0.*backbones that carry heads are mobilenet_v1,/,
    ],
    [
      'mobilenet_v2',
      'head=yolo',
      'head',
      /^head must be one of classifier, ssdlite, ssd, deeplabv3, deeplabv3_aspp, got 'yolo'$/,
    ],
    ['mobilenet_v2', 'classes=0', 'classes', /^classes must be an integer between 1 and 100000, got '0'$/],
  ] as const) {
    test(`refuses ${name} with ${query}`, async () => {
      const { errors } = problem(await get(name, `?${query}`), 400, 'invalid_parameter');
      assert.equal(errors?.[0]?.parameter, parameter);
      assert.match(errors?.[0]?.detail ?? '', wanted);
    });
  }

  test('refuses a parameter that it does not know, and another method', async () => {
    problem(await get('mobilenet_v2', '?stride=8'), 400, 'unknown_parameter');
    const response = await fetch(`${server.url}/v1/backbones/mobilenet_v2`, { method: 'POST' });
    assert.deepEqual([response.status, response.headers.get('Allow')], [405, 'GET, HEAD']);
  });
});
