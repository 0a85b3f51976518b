import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { rleArea } from '../../../heads/deeplabv3/rle.ts';
import type { DetectResponse, SegmentResponse } from '../../../openapi/types.ts';
import { assertResponse, openapiDocument, validateJsonBody } from '../../../server/http/contract.ts';
import { allOperations, operation } from '../../../server/http/document.ts';
import { PROBLEMS, type Problem } from '../../../server/http/problem.ts';

const RESULT: DetectResponse = {
  model: 'ssdlite_mobilenet_v2_coco',
  precision: 'fp32',
  image: { width: 640, height: 480 },
  detections: [
    { label: 'dog', class_id: 18, score: 0.5, box: { x_min: 0, y_min: 0.5, x_max: 640, y_max: 480 } },
  ],
  timing: {
    queue_ms: 0,
    decode_ms: 7.1,
    preprocess_ms: 1,
    inference_ms: 12,
    postprocess_ms: 0.2,
    total_ms: 20.5,
  },
  madds: 749500000,
};

const MASKS: SegmentResponse = {
  model: 'deeplabv3_mobilenet_v2_voc',
  precision: 'fp32',
  image: { width: 2, height: 1 },
  input: { width: 513, height: 257 },
  segments: [
    {
      label: 'dog',
      class_id: 12,
      pixels: 1,
      fraction: 0.5,
      box: { x_min: 0, y_min: 0, x_max: 1, y_max: 1 },
      mask: { rle: { size: [1, 2], counts: [0, 1, 1] } },
    },
  ],
  timing: { ...RESULT.timing, encode_ms: 0.1 },
  madds: 1_374_000_000,
};

test('the document is that of this version of the package', () => {
  const { openapi, info } = openapiDocument() as {
    openapi: string;
    info: { title: string; version: string };
  };
  const { name, version } = JSON.parse(readFileSync('package.json', 'utf8'));
  assert.deepEqual([openapi, info.title, info.version], ['3.1.0', name, version]);
});

test('the operations are those of the API', () => {
  assert.deepEqual(
    allOperations().map(({ operationId, method, path }) => [operationId, method, path]),
    [
      ['detect', 'POST', '/v1/detect'],
      ['segment', 'POST', '/v1/segment'],
      ['listModels', 'GET', '/v1/models'],
      ['getModel', 'GET', '/v1/models/{model}'],
      ['listBackbones', 'GET', '/v1/backbones'],
      ['getBackbone', 'GET', '/v1/backbones/{backbone}'],
      ['livez', 'GET', '/livez'],
      ['readyz', 'GET', '/readyz'],
      ['healthz', 'GET', '/healthz'],
      ['metrics', 'GET', '/metrics'],
      ['page', 'GET', '/'],
      ['openapiDocument', 'GET', '/openapi.json'],
    ],
  );
});

for (const { operationId, responses } of allOperations()) {
  test(`${operationId}: every response carries a request id and examples that are as documented`, () => {
    for (const [status, { content, headers }] of Object.entries(responses)) {
      assert.ok(headers?.['X-Request-Id'], `${status} has no X-Request-Id`);
      assert.equal(headers['Retry-After'] !== undefined, status === '503', `Retry-After of ${status}`);
      for (const [type, { examples }] of Object.entries(content ?? {})) {
        // An example is JSON or text; of a picture's bytes there is none.
        if (type.startsWith('image/')) continue;
        assert.ok(examples && Object.keys(examples).length > 0, `${status} ${type} has no example`);
        for (const { value } of Object.values(examples))
          assertResponse(operationId, Number(status), type, value);
      }
    }
  });

  test(`${operationId}: every error is a problem of the table, under the status of its code`, () => {
    for (const [status, { content, description }] of Object.entries(responses)) {
      const problems = content?.['application/problem+json'];
      if (Number(status) < 400 || !problems) continue;
      assert.deepEqual(Object.keys(content), ['application/problem+json']);
      for (const [name, { value }] of Object.entries(problems.examples ?? {})) {
        const { type, code, title, status: stated } = value as Problem;
        const { status: want, title: wanted } = PROBLEMS[code];
        assert.deepEqual([code, title, stated], [name, wanted, want]);
        assert.equal(type, `urn:thinlens:problem:${code}`);
        assert.equal(String(want), status);
        assert.ok(description.includes(`\`${code}\``), `${status} does not mention ${code}`);
      }
    }
  });
}

for (const [id, never] of [
  ['detect', []],
  ['segment', ['region_outside_image']],
] as const) {
  test(`${id} documents every code of the table but those of other paths and of methods`, () => {
    const { responses } = allOperations().find(({ operationId }) => operationId === id)!;
    const text = Object.values(responses)
      .map(({ description }) => description)
      .join();
    const missing = Object.keys(PROBLEMS).filter((code) => !text.includes(`\`${code}\``));
    assert.deepEqual(
      missing.sort(),
      ['not_found', 'unknown_backbone', 'method_not_allowed', ...never].sort(),
    );
  });
}

test("segmentation's examples have run lengths of their own image", () => {
  const { examples = {} } = operation('segment').responses['200']?.content?.['application/json'] ?? {};
  let seen = 0;
  for (const { value } of Object.values(examples)) {
    const { image, segments } = value as SegmentResponse;
    for (const { pixels, fraction, mask } of segments ?? []) {
      assert.equal(fraction, pixels / (image.width * image.height));
      if (!mask.rle) continue;
      seen++;
      const { size, counts } = mask.rle;
      assert.deepEqual(size, [image.height, image.width]);
      assert.equal(rleArea({ size: [image.height, image.width], counts }), pixels);
    }
  }
  assert.ok(seen > 0);
});

test('the examples of JSON bodies are accepted', () => {
  for (const { operationId, requestBody } of allOperations()) {
    const examples = requestBody?.content['application/json']?.examples ?? {};
    for (const { value } of Object.values(examples))
      assert.equal(validateJsonBody(operationId, value), value);
  }
});

test('assertResponse accepts a result and a batch of them', () => {
  assertResponse('detect', 200, 'application/json; charset=utf-8', RESULT);
  assertResponse('detect', 200, 'application/json', { results: [RESULT, RESULT] });
  assertResponse('metrics', 200, 'text/plain; version=0.0.4', '# HELP x\n');
  assertResponse('segment', 200, 'application/json', MASKS);
  assertResponse('segment', 200, 'application/json', { results: [MASKS] });
  assertResponse('segment', 200, 'image/png', 'its bytes');
});

const { madds: _, ...withoutMadds } = RESULT;
const unlike: [string, () => void, RegExp][] = [
  ['a missing property', () => assertResponse('detect', 200, 'application/json', withoutMadds), /madds/],
  [
    'an unknown property',
    () => assertResponse('detect', 200, 'application/json', { ...RESULT, mask: '' }),
    /additional properties/,
  ],
  [
    'an unknown property deep inside',
    () =>
      assertResponse('detect', 200, 'application/json', {
        ...RESULT,
        timing: { ...RESULT.timing, encode_ms: 1 },
      }),
    /timing must NOT have additional properties/,
  ],
  [
    'a number that is text',
    () => assertResponse('detect', 200, 'application/json', { ...RESULT, madds: '1' }),
    /madds must be integer/,
  ],
  [
    'a box outside the image',
    () =>
      assertResponse('detect', 200, 'application/json', {
        ...RESULT,
        detections: [{ ...RESULT.detections[0], box: { x_min: -1, y_min: 0, x_max: 1, y_max: 1 } }],
      }),
    /x_min must be >= 0/,
  ],
  [
    'no number',
    () => assertResponse('detect', 200, 'application/json', { ...RESULT, madds: Number.NaN }),
    /integer/,
  ],
  [
    'a segment without its mask',
    () =>
      assertResponse('segment', 200, 'application/json', {
        ...MASKS,
        segments: [{ ...MASKS.segments[0], mask: undefined }],
      }),
    /mask/,
  ],
  [
    'a mask in two formats',
    () =>
      assertResponse('segment', 200, 'application/json', {
        ...MASKS,
        segments: [{ ...MASKS.segments[0], mask: { ...MASKS.segments[0]?.mask, png: '' } }],
      }),
    /mask must NOT have more than 1 prop/,
  ],
  [
    'a picture where models are listed',
    () => assertResponse('listModels', 200, 'image/png', ''),
    /not as 'image\/png'/,
  ],
  [
    'an empty batch',
    () => assertResponse('detect', 200, 'application/json', { results: [] }),
    /fewer than 1/,
  ],
  ['another status', () => assertResponse('detect', 201, 'application/json', RESULT), /not 201/],
  ['another type', () => assertResponse('detect', 200, 'text/html', RESULT), /not as 'text\/html'/],
  ['a problem as plain JSON', () => assertResponse('detect', 404, 'application/json', {}), /problem\+json/],
  ['text that is JSON', () => assertResponse('metrics', 200, 'text/plain', { a: 1 }), /must be string/],
  [
    'a state unheard of',
    () => assertResponse('readyz', 503, 'application/json', { status: 'down' }),
    /allowed values/,
  ],
];
for (const [name, attempt, want] of unlike) {
  test(`assertResponse refuses ${name}`, () => assert.throws(attempt, want));
}

const bodies: [unknown, string, string][] = [
  [[], '', 'the body must be a JSON object, got an array'],
  [null, '', 'the body must be a JSON object, got null'],
  ['aGk=', '', 'the body must be a JSON object, got a string'],
  [{}, '', "the body must have 'image' or 'images'"],
  [{ image: 'a', images: ['b'] }, '', "the body must have 'image' or 'images', not both"],
  [{ img: 'a' }, '/img', "the body has 'img': there is 'image' or 'images'"],
  [
    { image: 'a', score_threshold: 0.5 },
    '/score_threshold',
    "the body has 'score_threshold': options go in the query string",
  ],
  [{ image: 7 }, '/image', "'/image' must be a JSON string, got a number"],
  [{ image: ['a'] }, '/image', "'/image' must be a JSON string, got an array"],
  [{ images: 'a' }, '/images', "'/images' must be a JSON array, got a string"],
  [{ images: [] }, '/images', "'/images' is empty"],
  [{ images: ['a', null] }, '/images/1', "'/images/1' must be a JSON string, got null"],
  [{ 'a/b~c': 1 }, '/a~1b~0c', "the body has 'a/b~c': there is 'image' or 'images'"],
];
for (const [body, pointer, detail] of bodies) {
  test(`a body of ${JSON.stringify(body)} is refused`, () => {
    assert.throws(() => validateJsonBody('detect', body), {
      code: 'invalid_body',
      message: detail,
      errors: [{ pointer, detail }],
    });
  });
}

test('a body with a great many faults names one of them', () => {
  const images = Array.from({ length: 100_000 }, () => 1);
  assert.throws(
    () => validateJsonBody('detect', { images }),
    (error: { errors: unknown[] }) => {
      assert.equal(error.errors.length, 1);
      return true;
    },
  );
});
