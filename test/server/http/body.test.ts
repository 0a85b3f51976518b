import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { request as httpRequest } from 'node:http';
import { type TestContext, test } from 'node:test';
import { assertResponse } from '../../../server/http/contract.ts';
import { ClientGone, HttpProblem, type Problem } from '../../../server/http/problem.ts';
import { dial, digest, parseResponse, type Receipt, readAll, readResponse, serveImages } from './serve.ts';

const LIMITS = { maxImageBytes: 100_000, maxRequestBytes: 400_000, maxBatch: 3 };
const PHOTO = randomBytes(90_000);
const SMALL = randomBytes(1000);

interface Reply {
  status: number;
  headers: Headers;
  body: Receipt & Problem;
}

/** Posts to a fresh server, checks any problem against the document, and returns the reply. */
async function post(
  t: TestContext,
  body: NonNullable<RequestInit['body']> | undefined,
  headers: Record<string, string> = {},
  limits = LIMITS,
): Promise<Reply> {
  const { url } = await serveImages(t, limits);
  const stream = body instanceof ReadableStream ? { duplex: 'half' as const } : {};
  const response = await fetch(url, {
    method: 'POST',
    headers,
    ...(body !== undefined && { body }),
    ...stream,
  });
  const json = (await response.json()) as Reply['body'];
  if (!response.ok) {
    assertResponse('detect', response.status, response.headers.get('content-type')!, json);
    assert.equal(json.request_id, response.headers.get('x-request-id'));
    assert.equal(json.instance, '/v1/detect');
  }
  return { status: response.status, headers: response.headers, body: json };
}

function refused(reply: Reply, status: number, code: string, detail: RegExp, index?: number): void {
  assert.deepEqual(
    [reply.status, reply.body.code, reply.body.index],
    [status, code, index],
    reply.body.detail,
  );
  assert.match(reply.body.detail, detail);
}

const single = (bytes: Uint8Array): Receipt => ({ batch: false, images: [digest(bytes)] });

/** A body sent in chunks, without Content-Length. */
function chunked(...chunks: Uint8Array[]): ReadableStream<Uint8Array> {
  return new ReadableStream({
    pull(controller) {
      const chunk = chunks.shift();
      if (chunk) controller.enqueue(chunk);
      else controller.close();
    },
  });
}

function form(...files: Uint8Array[]): FormData {
  const data = new FormData();
  for (const [index, file] of files.entries())
    data.append('image', new Blob([new Uint8Array(file)]), `photo${index}.jpg`);
  return data;
}

/** A form written by hand: headers and content of each part. */
function rawForm(...parts: [string[], string | Uint8Array][]): Buffer {
  const pieces = parts.flatMap(([headers, content]) => [
    Buffer.from(`--XX\r\n${headers.map((header) => `${header}\r\n`).join('')}\r\n`),
    Buffer.from(content as string),
    Buffer.from('\r\n'),
  ]);
  return Buffer.concat([...pieces, Buffer.from('--XX--\r\n')]);
}
const FORM = { 'Content-Type': 'multipart/form-data; boundary=XX' };
const FILE = 'Content-Disposition: form-data; name="image"; filename="a.jpg"';
const JSON_TYPE = { 'Content-Type': 'application/json' };

// Raw bytes

for (const type of [
  'image/jpeg',
  'image/x-anything',
  'application/octet-stream',
  'application/x-www-form-urlencoded',
  'text/plain; charset=utf-8',
  'multipart/mixed; boundary=XX',
  'complete nonsense',
]) {
  test(`a body of type '${type}' is the bytes of an image`, async (t) => {
    const { status, body } = await post(t, PHOTO, { 'Content-Type': type });
    assert.equal(status, 200);
    assert.deepEqual(body, single(PHOTO));
  });
}

test('a body without Content-Type is the bytes of an image', async (t) => {
  const { body } = await post(t, chunked(PHOTO));
  assert.deepEqual(body, single(PHOTO));
});

test('a body in a great many tiny chunks arrives whole', async (t) => {
  const bytes = PHOTO.subarray(0, 5000);
  const { body } = await post(t, chunked(...Array.from(bytes, (byte) => Uint8Array.of(byte))));
  assert.deepEqual(body, single(bytes));
});

test('an image of exactly the limit is taken, and one of a byte more is not', async (t) => {
  const limits = { ...LIMITS, maxImageBytes: SMALL.length };
  for (const body of [SMALL, chunked(SMALL)]) {
    assert.equal((await post(t, body, {}, limits)).status, 200);
  }
  for (const body of [Buffer.concat([SMALL, Buffer.of(0)]), chunked(SMALL, Uint8Array.of(0))]) {
    refused(await post(t, body, {}, limits), 413, 'body_too_large', /more than 1000 bytes/);
  }
});

test('an empty body has no image, whatever its type', async (t) => {
  refused(await post(t, undefined), 400, 'no_image', /body is empty/);
  refused(await post(t, undefined, { 'Content-Type': 'image/png' }), 400, 'no_image', /body is empty/);
  refused(await post(t, undefined, JSON_TYPE), 400, 'no_image', /body is empty/);
  refused(await post(t, chunked()), 400, 'no_image', /body is empty/);
});

test('JSON under another type is refused with advice', async (t) => {
  const reply = await post(t, '{"image": "aGk="}', { 'Content-Type': 'application/x-www-form-urlencoded' });
  refused(reply, 400, 'invalid_body', /looks like JSON.*x-www-form-urlencoded.*send 'application\/json'/);
});

test('a compressed body is refused, and identity is no compression', async (t) => {
  for (const encoding of ['gzip', 'br', 'identity, gzip']) {
    const reply = await post(t, PHOTO, { 'Content-Encoding': encoding });
    refused(reply, 415, 'unsupported_encoding', new RegExp(`'${encoding}'`));
    assert.equal(reply.headers.get('accept-encoding'), 'identity');
  }
  assert.equal((await post(t, PHOTO, { 'Content-Encoding': 'Identity' })).status, 200);
});

// JSON

const base64 = (bytes: Uint8Array) => Buffer.from(bytes).toString('base64');

test('JSON carries an image as base64, broken into lines or not, or as a data URI', async (t) => {
  const text = base64(SMALL);
  for (const image of [
    text,
    text.replace(/(.{76})/g, '$1\r\n'),
    ` ${text}\n`,
    `data:image/jpeg;base64,${text}`,
    `data:image/svg+xml;charset=utf-8;base64,${text}`,
    `DATA:IMAGE/PNG;BASE64,${text}`,
  ]) {
    const { body } = await post(t, JSON.stringify({ image }), JSON_TYPE);
    assert.deepEqual(body, single(SMALL), image.slice(0, 40));
  }
});

test('every length of image survives its padding', async (t) => {
  for (const bytes of [
    SMALL.subarray(0, 1),
    SMALL.subarray(0, 2),
    SMALL.subarray(0, 3),
    SMALL.subarray(0, 4),
  ]) {
    const { body } = await post(t, JSON.stringify({ image: base64(bytes) }), JSON_TYPE);
    assert.deepEqual(body, single(bytes));
  }
});

test('JSON images are a batch in the order sent, even a batch of one', async (t) => {
  const images = [SMALL, PHOTO];
  const { body } = await post(t, JSON.stringify({ images: images.map(base64) }), JSON_TYPE);
  assert.deepEqual(body, { batch: true, images: images.map(digest) });
  const one = await post(t, JSON.stringify({ images: [base64(SMALL)] }), JSON_TYPE);
  assert.deepEqual(one.body, { batch: true, images: [digest(SMALL)] });
});

test('JSON may begin with a byte order mark and name its charset', async (t) => {
  const text = `\ufeff${JSON.stringify({ image: base64(SMALL) })}`;
  const { body } = await post(t, text, { 'Content-Type': 'Application/JSON; charset=utf-8' });
  assert.deepEqual(body, single(SMALL));
});

const badJson: [string, string | Uint8Array, number, string, RegExp, { pointer?: string; index?: number }][] =
  [
    ['no JSON', '{"image": ', 400, 'invalid_body', /not JSON: .*end/, {}],
    ['no UTF-8', Buffer.from('7b22ff227d', 'hex'), 400, 'invalid_body', /UTF-8/, {}],
    [
      'an option',
      '{"image": "aGk=", "model": "x"}',
      400,
      'invalid_body',
      /query string/,
      { pointer: '/model' },
    ],
    ['a list', '["aGk="]', 400, 'invalid_body', /JSON object, got an array/, { pointer: '' }],
    ['an empty image', '{"image": ""}', 400, 'no_image', /'\/image' has no bytes/, { pointer: '/image' }],
    [
      'an empty data URI',
      '{"image": "data:image/png;base64,"}',
      400,
      'no_image',
      /no bytes/,
      { pointer: '/image' },
    ],
    [
      'an empty image of a batch',
      '{"images": ["aGk=", " "]}',
      400,
      'no_image',
      /'\/images\/1' has no bytes/,
      { pointer: '/images/1', index: 1 },
    ],
    ['a path', '{"image": "photo.jpg"}', 400, 'invalid_body', /'\.' at position 5/, { pointer: '/image' }],
    [
      'a URL',
      '{"image": "https://x/y.jpg"}',
      400,
      'invalid_body',
      /URL, which is not fetched/,
      { pointer: '/image' },
    ],
    [
      'URL-safe base64',
      '{"image": "ab-_"}',
      400,
      'invalid_body',
      /'-' at position 2: the URL-safe/,
      { pointer: '/image' },
    ],
    [
      'padding in the middle',
      '{"image": "aG==aGk="}',
      400,
      'invalid_body',
      /'=' at position 2/,
      { pointer: '/image' },
    ],
    ['too much padding', '{"image": "aGkx===="}', 400, 'invalid_body', /not base64/, { pointer: '/image' }],
    [
      'base64 that was cut short',
      '{"images": ["aGk=", "aGk"]}',
      400,
      'invalid_body',
      /3 characters are no multiple of 4/,
      { pointer: '/images/1', index: 1 },
    ],
    [
      'a data URI of another type',
      '{"image": "data:text/plain;base64,aGk="}',
      400,
      'invalid_body',
      /must begin 'data:image\/\.\.\.;base64,', got 'data:text\/plain;base64,'/,
      { pointer: '/image' },
    ],
    [
      'a data URI that is not base64',
      '{"image": "data:image/png,hi"}',
      400,
      'invalid_body',
      /must begin/,
      { pointer: '/image' },
    ],
    [
      'a data URI without data',
      '{"image": "data:image/png"}',
      400,
      'invalid_body',
      /must begin/,
      { pointer: '/image' },
    ],
    [
      'too large an image',
      JSON.stringify({ images: ['aGk=', base64(randomBytes(LIMITS.maxImageBytes + 1))] }),
      413,
      'body_too_large',
      /'\/images\/1' has more than 100000 bytes/,
      { pointer: '/images/1', index: 1 },
    ],
    ['too many images', '{"images": ["a", "a", "a", "a"]}', 413, 'batch_too_large', /4 images; .* is 3/, {}],
  ];
for (const [name, body, status, code, detail, { pointer, index }] of badJson) {
  test(`JSON with ${name} is refused`, async (t) => {
    const reply = await post(t, body as string, JSON_TYPE);
    refused(reply, status, code, detail, index);
    assert.equal(reply.body.errors?.[0]?.pointer, pointer);
  });
}

test('an image of exactly the limit passes as base64', async (t) => {
  const image = randomBytes(LIMITS.maxImageBytes);
  const { body } = await post(t, JSON.stringify({ image: base64(image) }), JSON_TYPE);
  assert.deepEqual(body, single(image));
});

// Forms

test('a form with one file is one image, with several a batch in their order', async (t) => {
  assert.deepEqual((await post(t, form(PHOTO))).body, single(PHOTO));
  const files = [PHOTO, SMALL, PHOTO.subarray(7)];
  assert.deepEqual((await post(t, form(...files))).body, { batch: true, images: files.map(digest) });
});

test('a form arrives whole however it is cut into chunks', async (t) => {
  // Bytes that look like the delimiter are what parsers trip over.
  const tricky = Buffer.concat([
    Buffer.from('\r\n--X\r\n--XY\r\n\r\n-'),
    SMALL.subarray(0, 50),
    Buffer.from('\r\n--'),
  ]);
  const whole = rawForm([[FILE], tricky], [[FILE], SMALL.subarray(0, 40)]);
  for (let size = 1; size < whole.length; size += size < 12 ? 1 : 29) {
    const chunks = Array.from({ length: Math.ceil(whole.length / size) }, (_, index) =>
      whole.subarray(index * size, (index + 1) * size),
    );
    const { body } = await post(t, chunked(...chunks), FORM);
    assert.deepEqual(body.images, [digest(tricky), digest(SMALL.subarray(0, 40))], `chunks of ${size}`);
  }
});

test('a form that ends too early is refused, wherever it ends', async (t) => {
  const whole = rawForm([[FILE, 'Content-Type: image/jpeg'], 'first'], [[FILE], 'second']);
  const closing = whole.length - '\r\n'.length; // The last line break may be missing.
  const { url } = await serveImages(t, LIMITS);
  for (let length = 1; length <= closing; length++) {
    const response = await fetch(url, {
      method: 'POST',
      headers: FORM,
      body: new Uint8Array(whole.subarray(0, length)),
    });
    const { code, detail } = (await response.json()) as Problem;
    if (length === closing) assert.equal(response.status, 200);
    else assert.deepEqual([response.status, code], [400, 'invalid_body'], `${length} bytes: ${detail}`);
  }
});

test('what stands before and after the parts is no image', async (t) => {
  const body = Buffer.concat([Buffer.from('preamble\r\n'), rawForm([[FILE], SMALL]), randomBytes(3000)]);
  assert.deepEqual((await post(t, body, FORM)).body, single(SMALL));
  assert.deepEqual(
    (await post(t, chunked(body.subarray(0, 1100), body.subarray(1100)), FORM)).body,
    single(SMALL),
  );
});

const goodParts: [string, string[]][] = [
  ['an unquoted name', ['Content-Disposition: form-data; name=image; filename=a.jpg']],
  ['upper case', ['CONTENT-DISPOSITION: FORM-DATA; NAME="image"; FILENAME="A.JPG"']],
  [
    'a file name that looks like a parameter',
    ['Content-Disposition: form-data; filename="x; name=\\"y\\".jpg"; name="image"'],
  ],
  [
    'a file name in UTF-8',
    ['Content-Disposition: form-data; name="image"; filename*=UTF-8\'\'%e2%82%ac.jpg'],
  ],
  [
    'no file name but an image type',
    ['Content-Disposition: form-data; name="image"', 'Content-Type: image/webp'],
  ],
  [
    'no file name but bytes',
    ['Content-Disposition: form-data; name="image"', 'Content-Type: application/octet-stream'],
  ],
  ['an encoding that is none', [FILE, 'Content-Transfer-Encoding: binary']],
];
for (const [name, headers] of goodParts) {
  test(`a part with ${name} is an image`, async (t) => {
    assert.deepEqual((await post(t, rawForm([headers, SMALL]), FORM)).body, single(SMALL));
  });
}

const badParts: [string, [string[], string][], number, string, RegExp, number?][] = [
  ['no parts', [], 400, 'no_image', /no file in the field 'image'/],
  [
    'a file in another field',
    [[['Content-Disposition: form-data; name="photo"; filename="a"'], 'x']],
    400,
    'invalid_body',
    /file in the field 'photo': the field must be called 'image'/,
  ],
  [
    "PHP's name for a list",
    [[['Content-Disposition: form-data; name="image[]"; filename="a"'], 'x']],
    400,
    'invalid_body',
    /'image\[\]': the field must be called 'image'/,
  ],
  [
    'an option among the files',
    [
      [[FILE], 'x'],
      [['Content-Disposition: form-data; name="score_threshold"'], '0.5'],
    ],
    400,
    'invalid_body',
    /'score_threshold'.*query string \(\?score_threshold=\.\.\.\)/,
  ],
  [
    'another text field',
    [[['Content-Disposition: form-data; name="comment"'], 'hi']],
    400,
    'invalid_body',
    /text field 'comment'.*query string$/,
  ],
  [
    'base64 in a text field',
    [[['Content-Disposition: form-data; name="image"'], 'aGk=']],
    400,
    'invalid_body',
    /field 'image' is text: send the image as a file.*or base64 as JSON/,
  ],
  [
    'a part without a name',
    [[['Content-Disposition: form-data; filename="a"'], 'x']],
    400,
    'invalid_body',
    /part 0.*no header/,
  ],
  [
    'a part of unknown disposition among good ones',
    [
      [[FILE], 'x'],
      [['Content-Type: image/jpeg'], 'y'],
      [[FILE], 'z'],
    ],
    400,
    'invalid_body',
    /part 1 of the form has no header/,
  ],
  [
    'a broken header before the one that matters',
    [[['no colon here', FILE], 'x']],
    400,
    'invalid_body',
    /part 0 of the form has no header/,
  ],
  [
    'too many headers before the one that matters',
    [[[...Array.from({ length: 20 }, (_, index) => `X-${index}: 1`), FILE], 'x']],
    400,
    'invalid_body',
    /part 0 of the form has no header/,
  ],
  [
    'too long a header before the one that matters',
    [[[`X-Long: ${'y'.repeat(9000)}`, FILE], 'x']],
    400,
    'invalid_body',
    /part 0 of the form has no header/,
  ],
  [
    'an empty file',
    [
      [[FILE], 'x'],
      [[FILE], ''],
      [[FILE], 'z'],
    ],
    400,
    'no_image',
    /image 1 of the form has no bytes/,
    1,
  ],
  [
    'an empty file at its end',
    [
      [[FILE], 'x'],
      [[FILE], ''],
    ],
    400,
    'no_image',
    /image 1 of the form has no bytes/,
    1,
  ],
  ['nothing but an empty file', [[[FILE], '']], 400, 'no_image', /image 0 of the form has no bytes/, 0],
  [
    'a file in base64',
    [[[FILE, 'Content-Transfer-Encoding: base64'], 'aGk=']],
    400,
    'invalid_body',
    /Content-Transfer-Encoding 'base64'/,
    0,
  ],
  [
    'a file that is too large',
    [
      [[FILE], 'x'],
      [[FILE], 'y'.repeat(LIMITS.maxImageBytes + 1)],
    ],
    413,
    'body_too_large',
    /image 1 of the form has more than 100000 bytes/,
    1,
  ],
  ['too many files', [0, 1, 2, 3].map(() => [[FILE], 'x']), 413, 'batch_too_large', /more than 3 images/],
];
for (const [name, parts, status, code, detail, index] of badParts) {
  test(`a form with ${name} is refused`, async (t) => {
    const body = rawForm(...parts);
    refused(await post(t, body, FORM), status, code, detail, index);
    refused(
      await post(
        t,
        chunked(...Array.from(body.subarray(0, 900), (byte) => Uint8Array.of(byte)), body.subarray(900)),
        FORM,
      ),
      status,
      code,
      detail,
      index,
    );
  });
}

test('a form without a usable boundary is refused with advice', async (t) => {
  const body = rawForm([[FILE], SMALL]);
  for (const type of [
    'multipart/form-data',
    'multipart/form-data; boundary=',
    `multipart/form-data; boundary=${'b'.repeat(300)}`,
  ]) {
    refused(
      await post(t, body, { 'Content-Type': type }),
      400,
      'invalid_body',
      /boundary.*leave Content-Type to the HTTP client/,
    );
  }
});

test('a form of another boundary than its Content-Type says is refused', async (t) => {
  const reply = await post(t, rawForm([[FILE], SMALL]), {
    'Content-Type': 'multipart/form-data; boundary=YY',
  });
  refused(reply, 400, 'invalid_body', /closing boundary/);
});

test('a form with more bytes than the limit is refused, also behind its end', async (t) => {
  const body = rawForm([[FILE], SMALL]);
  const padding = Buffer.alloc(LIMITS.maxRequestBytes);
  for (const stream of [Buffer.concat([body, padding]), chunked(body, padding)]) {
    refused(await post(t, stream, FORM), 413, 'body_too_large', /body has more than 400000 bytes/);
  }
});

// The wire. Without what they prove, some of these tests would wait for ever.

const WIRE = { timeout: 60_000 };

test('a body that is announced as too large is refused before any of it is read', WIRE, async (t) => {
  for (const [type, maxBytes] of [
    ['image/jpeg', LIMITS.maxImageBytes],
    ['application/json', LIMITS.maxRequestBytes],
    ['multipart/form-data; boundary=XX', LIMITS.maxRequestBytes],
  ] as const) {
    const { port, next } = await serveImages(t, LIMITS);
    const socket = await dial(t, port);
    // Nothing of the body is ever sent: an answer can only come from its headers.
    const head = `POST /v1/detect HTTP/1.1\r\nHost: x\r\nContent-Type: ${type}\r\nContent-Length: ${maxBytes + 1}\r\n\r\n`;
    socket.write(head);
    const { status, body } = parseResponse(await readResponse(socket));
    assert.deepEqual([status, (body as Problem).code], [413, 'body_too_large'], type);
    assert.equal((await next()).bytesRead, head.length);
  }
});

test('of an endless body no more is read than the limit allows', WIRE, async (t) => {
  const { port, next } = await serveImages(t, LIMITS, { bytes: 100_000, time: 5000 });
  const socket = await dial(t, port);
  socket.on('error', () => {}); // It is cut off in the end.
  socket.write('POST /v1/detect HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n');
  const chunk = Buffer.concat([Buffer.from('4000\r\n'), Buffer.alloc(0x4000), Buffer.from('\r\n')]);
  const send = () => {
    while (!socket.destroyed && socket.write(chunk));
  };
  socket.on('drain', send);
  send();
  const { error, bytesRead } = await next();
  assert.equal((error as HttpProblem).code, 'body_too_large');
  // What is on its way within the process when the limit is passed: the parser's buffer and the stream's.
  assert.ok(bytesRead < LIMITS.maxImageBytes + 300_000, `${bytesRead} bytes`);
  if (!socket.closed) await new Promise((resolve) => socket.on('close', resolve));
});

test(
  'a client that goes away in the middle is noticed at once and leaves nothing behind',
  WIRE,
  async (t) => {
    for (const type of ['image/jpeg', 'application/json', 'multipart/form-data; boundary=XX']) {
      const { server, port, next } = await serveImages(t, LIMITS);
      const socket = await dial(t, port);
      const arrived = once(server, 'request');
      const head = `POST /v1/detect HTTP/1.1\r\nHost: x\r\nContent-Type: ${type}\r\nContent-Length: 90000\r\n\r\n`;
      socket.write(`${head}--XX\r\n${FILE}\r\n\r\nhalf`);
      await arrived;
      socket.destroy();
      const outcome = await next();
      assert.ok(outcome.error instanceof ClientGone, `${type}: ${outcome.error}`);
      assert.equal(outcome.listeners[1], outcome.listeners[0]);
    }
  },
);

test('no listener stays on the request, whether its images were read or refused', async (t) => {
  const { url, next } = await serveImages(t, LIMITS);
  for (const body of [
    PHOTO,
    Buffer.alloc(LIMITS.maxImageBytes + 1),
    chunked(new Uint8Array(150_000)),
    chunked(PHOTO),
  ]) {
    const response = await fetch(url, {
      method: 'POST',
      body,
      ...(body instanceof ReadableStream && { duplex: 'half' as const }),
    });
    await response.arrayBuffer();
    const { listeners } = await next();
    assert.equal(listeners[1], listeners[0]);
  }
});

test('a body that does not arrive in time is refused', WIRE, async (t) => {
  const { port } = await serveImages(t, { ...LIMITS, timeoutMs: 50 }, { bytes: 100_000, time: 50 });
  const socket = await dial(t, port);
  socket.write('POST /v1/detect HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nhalf');
  const { status, body } = parseResponse(await readAll(socket));
  assert.deepEqual([status, (body as Problem).code], [408, 'request_timeout']);
  assertResponse('detect', status, 'application/problem+json', body);
});

test('a body that arrives in time is not refused later, however slow its answer', async (t) => {
  const { url } = await serveImages(t, { ...LIMITS, timeoutMs: 2000 });
  const response = await fetch(url, { method: 'POST', body: new Uint8Array(SMALL) });
  assert.equal(response.status, 200);
  // A timer that was left running would keep this process from ending.
});

test('two requests on one connection do not mix, also after a refusal', async (t) => {
  const { port } = await serveImages(t, LIMITS);
  const socket = await dial(t, port);
  const empty = rawForm([[FILE], '']);
  const head = (type: string, length: number) =>
    `POST /v1/detect HTTP/1.1\r\nHost: x\r\nContent-Type: ${type}\r\nContent-Length: ${length}\r\n`;
  socket.write(Buffer.concat([Buffer.from(`${head(FORM['Content-Type'], empty.length)}\r\n`), empty]));
  socket.write(
    Buffer.concat([Buffer.from(`${head('image/png', SMALL.length)}Connection: close\r\n\r\n`), SMALL]),
  );
  const first = parseResponse(await readAll(socket));
  assert.equal((first.body as Problem).code, 'no_image');
  const second = parseResponse(first.rest);
  assert.deepEqual(second.body, single(SMALL));
});

test("Node's own client gets its answer too", async (t) => {
  const { port } = await serveImages(t, LIMITS);
  const request = httpRequest({
    port,
    host: '127.0.0.1',
    path: '/v1/detect',
    method: 'POST',
    headers: { Expect: '100-continue' },
  });
  request.flushHeaders();
  await once(request, 'continue');
  request.end(SMALL);
  const [response] = await once(request, 'response');
  const chunks: Buffer[] = [];
  for await (const chunk of response) chunks.push(chunk);
  assert.deepEqual(JSON.parse(Buffer.concat(chunks).toString()), single(SMALL));
});

test('only HttpProblem and ClientGone are thrown for what a client does', async (t) => {
  // Seeded noise in place of a form: it must be refused, never crash or hang.
  let seed = 12345;
  const random = (below: number) => {
    seed = (seed * 1103515245 + 12345) % 2147483648;
    return Math.floor((seed / 2147483648) * below);
  };
  const { url, next } = await serveImages(t, LIMITS);
  const tokens = [
    '--XX',
    '--XX--',
    '\r\n',
    '\r\n\r\n',
    FILE,
    'Content-Type: image/png',
    ': ',
    '-',
    'x',
    '\n',
    '"',
    '\0',
    ' ',
  ];
  for (let round = 0; round < 300; round++) {
    const noise = Array.from({ length: random(14) }, () => tokens[random(tokens.length)]).join('');
    const chunks = Array.from(noise.match(/[\s\S]{1,7}/g) ?? [], (text) => Buffer.from(text));
    const response = await fetch(url, {
      method: 'POST',
      headers: FORM,
      body: chunked(...chunks),
      duplex: 'half',
    });
    await response.arrayBuffer();
    const { error } = await next();
    assert.ok(error === undefined || error instanceof HttpProblem, `${JSON.stringify(noise)}: ${error}`);
  }
});
