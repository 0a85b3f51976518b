// What is not an image, or too much of one, and how each is told.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import sharp from 'sharp';
import type { Problem } from '../../../openapi/types.ts';
import { allOperations } from '../../../server/http/document.ts';
import type { Answer, TestServer } from '../harness.ts';
import { answered, form, post, postJson, problem, result, sample, startReady, TASKS } from '../harness.ts';
import { hollowPng } from '../image/pictures.ts';

const LIMITS = {
  maxImageBytes: 200_000,
  maxRequestBytes: 500_000,
  maxBatch: 3,
  maxImagePixels: 2_000_000,
};
let server: TestServer;
let street: Buffer;
let clock: Buffer;

before(async () => {
  server = await startReady(LIMITS);
  [street, clock] = await Promise.all([sample('street'), sample('clock')]);
});

after(() => server.stop());

/** After whatever was refused, the server answers as ever. */
async function assertWell(): Promise<void> {
  assert.equal(result(await post(server, street)).detections.length, 2);
}

const text = (value: string) => Buffer.from(value);
/** The first box of a HEIC file: its brands, and nothing else. */
const HEIC = Buffer.concat([text('\0\0\0\x18ftypheic\0\0\0\0mif1heic'), Buffer.alloc(2000)]);

for (const { operation, send } of TASKS) {
  describe(`${operation}:`, () => {
    describe('bytes that are no image that can be read', () => {
      for (const [name, bytes, wanted] of [
        ['text', text('a photo of a cat'), /JPEG, PNG, WebP, AVIF, GIF, TIFF/],
        ['an HTML page', text('<!doctype html><html><body>404</body></html>'), /an HTML page/],
        [
          'an SVG drawing',
          text('<svg xmlns="http://www.w3.org/2000/svg"><image href="file:///etc/x"/></svg>'),
          /SVG/,
        ],
        ['a PDF document', text('%PDF-1.7\n%\xe2\xe3\xcf\xd3\n'), /a PDF document/],
        ['a ZIP archive', text('PK\x03\x04aaaa'), /a ZIP archive/],
        ['a HEIC photo', HEIC, /HEIC.*convert it to JPEG.*Most Compatible/],
        ['base64 without JSON around it', text('/9j/4AAQSkZJRgABAQ'), /base64 text.*application\/json/],
        ['zeros', Buffer.alloc(5000), /Accepted formats/],
        ['one byte', Buffer.of(0xff), /Accepted formats/],
      ] as const) {
        test(`${name} is 415, and named`, async () => {
          const raw = problem(await send(server, bytes), 415, 'unsupported_image');
          assert.match(raw.detail, wanted);
          assert.match(raw.detail, /JPEG, PNG, WebP, AVIF, GIF, TIFF/);
          assert.equal(problem(await send(server, form(bytes)), 415, 'unsupported_image').detail, raw.detail);
          const json = await postJson(server, { image: bytes.toString('base64') }, {}, send);
          assert.equal(problem(json, 415, 'unsupported_image').detail, raw.detail);
        });
      }

      test('an empty body is no image, however it is packed', async () => {
        problem(await send(server, Buffer.alloc(0)), 400, 'no_image');
        problem(await send(server, undefined), 400, 'no_image');
        problem(await send(server, '', {}, { 'Content-Type': 'application/json' }), 400, 'no_image');
        problem(await send(server, new FormData()), 400, 'no_image');
        problem(await send(server, form(Buffer.alloc(0))), 400, 'no_image');
        problem(await postJson(server, { image: '' }, {}, send), 400, 'no_image');
      });
    });

    describe('an image that is not whole', () => {
      const encodings: Record<string, (image: ReturnType<typeof sharp>) => ReturnType<typeof sharp>> = {
        JPEG: (image) => image.jpeg(),
        PNG: (image) => image.png(),
        WebP: (image) => image.webp(),
        AVIF: (image) => image.avif({ effort: 0 }),
        GIF: (image) => image.gif(),
        TIFF: (image) => image.tiff({ compression: 'lzw' }),
      };
      for (const [name, encode] of Object.entries(encodings)) {
        test(`a ${name} cut short is 422 wherever it is cut, and whole it is answered`, async () => {
          const whole = await encode(sharp(clock).resize(200, 200)).toBuffer();
          answered(await send(server, whole));
          for (const part of [0.1, 0.5, 0.9]) {
            const cut = whole.subarray(0, Math.max(32, Math.floor(whole.length * part)));
            const { detail } = problem(await send(server, cut), 422, 'undecodable_image');
            assert.match(detail, new RegExp(`The ${name} image cannot be decoded`));
            // Nothing of the machine that it was decoded on.
            assert.doesNotMatch(detail, /\/|node_modules|\bat /);
          }
          await assertWell();
        });
      }
    });

    describe('too much', () => {
      test('too many bytes are 413, as one image, in a form and as base64', async () => {
        const [most, one] = [LIMITS.maxImageBytes, LIMITS.maxImageBytes + 1];
        const padded = (length: number) => Buffer.concat([street, Buffer.alloc(length - street.length)]);
        answered(await send(server, padded(most)));
        for (const answer of [
          await send(server, padded(one)),
          await send(server, form(padded(one))),
          await postJson(server, { image: padded(one).toString('base64') }, {}, send),
        ]) {
          assert.match(problem(answer, 413, 'body_too_large').detail, /more than 200000 bytes/);
        }
        const second = problem(await send(server, form(street, padded(one))), 413, 'body_too_large');
        assert.equal(second.index, 1);
        await assertWell();
      });

      test('too large a body is 413, though none of its images is', async () => {
        const images = Array.from({ length: 3 }, () => Buffer.concat([street, Buffer.alloc(150_000)]));
        const answer = await send(server, form(...images));
        assert.match(problem(answer, 413, 'body_too_large').detail, /more than 500000 bytes/);
      });

      test('too many pixels are 413, and both numbers are told', async () => {
        const { detail } = problem(await send(server, hollowPng(2000, 1001)), 413, 'image_too_large');
        assert.match(detail, /2000 x 1001 = 2002000.*2000000/);
        const batch = problem(
          await send(server, form(street, hollowPng(9999, 9999))),
          413,
          'image_too_large',
        );
        assert.equal(batch.index, 1);
      });

      test('too large a batch is 413, and the most is told', async () => {
        const images = [clock, clock, clock];
        assert.equal((await send(server, form(...images))).status, 200);
        assert.match(
          problem(await send(server, form(...images, clock)), 413, 'batch_too_large').detail,
          /\b3\b/,
        );
        const texts = Array.from({ length: 4 }, () => clock.toString('base64'));
        assert.match(
          problem(await postJson(server, { images: texts }, {}, send), 413, 'batch_too_large').detail,
          /\b3\b/,
        );
      });
    });

    describe('a batch with one bad image', () => {
      const cut = () => street.subarray(0, street.length >> 1);
      for (const [code, status, bad] of [
        ['unsupported_image', 415, () => text('no image')],
        ['undecodable_image', 422, cut],
        ['image_too_large', 413, () => hollowPng(5000, 5000)],
        ['no_image', 400, () => Buffer.alloc(0)],
      ] as const) {
        for (const index of [0, 1, 2]) {
          test(`fails as a whole with ${code} and index ${index}`, async () => {
            const images = [street, clock, street].map((good, at) => (at === index ? bad() : good));
            assert.equal(problem(await send(server, form(...images)), status, code).index, index);
            const json = await postJson(
              server,
              { images: images.map((image) => image.toString('base64')) },
              {},
              send,
            );
            assert.equal(problem(json, status, code).index, index);
          });
        }
      }

      test('names the first of two', async () => {
        assert.equal(
          problem(await send(server, form(street, cut(), cut())), 422, 'undecodable_image').index,
          1,
        );
        await assertWell();
      });

      test('alone, an image has no index', async () => {
        assert.equal(problem(await send(server, cut()), 422, 'undecodable_image').index, undefined);
        assert.equal(problem(await send(server, form(text('x'))), 415, 'unsupported_image').index, undefined);
      });
    });

    describe('a body that is packed wrongly', () => {
      const named = (name: string, value: string | Blob) => {
        const data = new FormData();
        data.append(name, value);
        return data;
      };
      const json = { 'Content-Type': 'application/json' };
      const cases: [string, () => Promise<Answer>, RegExp][] = [
        ['a file in another field', () => send(server, named('file', new Blob(['x']))), /'file'.*'image'/],
        ['text in the field', () => send(server, named('image', 'cat.jpg')), /send the image as a file/],
        ['an option in the form', () => send(server, named('model', 'x')), /query string/],
        ['JSON that is broken', () => send(server, '{"image": "', {}, json), /not JSON/],
        [
          'JSON of another shape',
          () => postJson(server, { photo: 'x' }, {}, send),
          /'photo'.*'image' or 'images'/,
        ],
        ['JSON that is no object', () => postJson(server, ['x'], {}, send), /must be a JSON object/],
        [
          'an image that is no text',
          () => postJson(server, { image: [1, 2] }, {}, send),
          /must be a JSON string/,
        ],
        ['an empty batch', () => postJson(server, { images: [] }, {}, send), /empty/],
        ['both forms at once', () => postJson(server, { image: 'x', images: ['x'] }, {}, send), /not both/],
        [
          'an option in the JSON',
          () => postJson(server, { image: 'x', model: 'y' }, {}, send),
          /query string/,
        ],
        ['text that is not base64', () => postJson(server, { image: 'street.jpg!' }, {}, send), /base64/],
        [
          'an address',
          () => postJson(server, { image: 'https://example.org/cat.jpg' }, {}, send),
          /send the image itself/,
        ],
        ['JSON under another name', () => send(server, '{"image": "x"}'), /send 'application\/json'/],
        [
          'a form without its boundary',
          () => send(server, 'x', {}, { 'Content-Type': 'multipart/form-data' }),
          /boundary/,
        ],
      ];
      for (const [name, send, wanted] of cases) {
        test(`${name} is 400, and what would be right is told`, async () => {
          assert.match(problem(await send(), 400, 'invalid_body').detail, wanted);
        });
      }

      test('a compressed body is 415', async () => {
        const answer = await send(server, street, {}, { 'Content-Encoding': 'gzip' });
        assert.match(problem(answer, 415, 'unsupported_encoding').detail, /'gzip'/);
        assert.equal(answer.headers.get('Accept-Encoding'), 'identity');
      });
    });
  });
}

/** Requests that no operation of the document is about: only what holds for every answer can be checked. */
async function stray(path: string, init: RequestInit = {}) {
  const response = await fetch(`${server.url}${path}`, init);
  assert.ok(response.headers.get('X-Request-Id'));
  const text = await response.text();
  return { response, problem: (text === '' ? {} : JSON.parse(text)) as Problem };
}

describe('a request for what there is not', () => {
  for (const path of [
    '/index.html',
    '/playground/nothing.js',
    '/v1',
    '/v1/detections',
    '/v1/detect/1',
    '/v2/detect',
    '/favicon.ico',
    '/v1/models/a/b',
  ]) {
    test(`${path} is 404`, async () => {
      for (const method of ['GET', 'POST', 'DELETE', 'OPTIONS']) {
        const { response, problem } = await stray(path, { method });
        assert.deepEqual([response.status, problem.code], [404, 'not_found']);
        assert.match(problem.detail, /openapi\.json/);
      }
    });
  }

  for (const { path, method } of allOperations()) {
    const concrete = path.replace('{model}', 'ssdlite_mobilenet_v2_coco');
    const allowed = method === 'GET' ? ['GET', 'HEAD'] : [method];
    for (const other of ['GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS']) {
      if (allowed.includes(other)) continue;
      test(`${other} ${path} is 405 with what is allowed`, async () => {
        const { response, problem } = await stray(concrete, { method: other });
        assert.equal(response.status, 405);
        assert.equal(response.headers.get('Allow'), allowed.join(', '));
        assert.match(response.headers.get('Content-Type') ?? '', /^application\/problem\+json/);
        if (other === 'HEAD') return;
        assert.equal(problem.code, 'method_not_allowed');
        assert.ok(problem.detail.includes(method), problem.detail);
      });
    }
  }

  test('a path that cannot be decoded is 404', async () => {
    const { response, problem } = await stray('/v1/models/%E0%A4%A');
    assert.deepEqual([response.status, problem.code], [404, 'not_found']);
  });
});

describe('Accept', () => {
  for (const accept of [
    'image/webp',
    'image/svg+xml',
    'text/html',
    'application/xml',
    'application/json;q=0',
  ]) {
    test(`${accept} is 406 before the image is looked at, and what there is is told`, async () => {
      const answer = await post(server, street, {}, { Accept: accept });
      assert.match(
        problem(answer, 406, 'not_acceptable').detail,
        /application\/json, image\/jpeg or image\/png/,
      );
    });
  }

  for (const accept of ['*/*', 'application/*', 'application/json', 'image/webp, application/json;q=0.1']) {
    test(`${accept} is answered`, async () => {
      result(await post(server, clock, {}, { Accept: accept }));
    });
  }

  test('is not asked of probes and metrics: who asks for them takes what comes', async () => {
    for (const path of ['/livez', '/readyz', '/healthz', '/metrics', '/openapi.json']) {
      const { status } = await fetch(`${server.url}${path}`, { headers: { Accept: 'image/png' } });
      assert.equal(status, 200, path);
    }
  });
});

test('nothing of this was a fault of the server, and no worker was lost', () => {
  assert.deepEqual(
    server.log.filter(({ level }) => level >= 40),
    [],
  );
});
