import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { type TestContext, test } from 'node:test';
import { assertResponse } from '../../../server/http/contract.ts';
import { ClientGone, HttpProblem, type Problem } from '../../../server/http/problem.ts';
import { type DrainLimits, sendProblem } from '../../../server/http/send.ts';
import { dial, listen, parseResponse, readAll, readResponse } from './serve.ts';

const MIB = 1024 * 1024;
// Without what they prove, some of these tests would wait for ever.
const WIRE = { timeout: 60_000 };

/** A server that refuses every request at once, without a look at its body. */
async function refuseAll(t: TestContext, error: unknown, drain?: DrainLimits): Promise<number> {
  const { port } = await listen(t, (request, response) => {
    response.setHeader('X-Request-Id', 'test-1');
    sendProblem(request, response, error, drain);
  });
  return port;
}

const TOO_LARGE = new HttpProblem('body_too_large', 'too much');

async function write(socket: Socket, bytes: Uint8Array | string): Promise<void> {
  if (!socket.write(bytes)) await once(socket, 'drain');
}

/** Sends `count` chunks of 64 KiB, and only then begins to read. */
async function sendThenRead(socket: Socket, head: string, count: number): Promise<string> {
  await write(socket, head);
  const piece = Buffer.alloc(64 * 1024);
  const isChunked = head.includes('chunked');
  for (let index = 0; index < count; index++) {
    await write(
      socket,
      isChunked ? Buffer.concat([Buffer.from('10000\r\n'), piece, Buffer.from('\r\n')]) : piece,
    );
  }
  if (isChunked) await write(socket, '0\r\n\r\n');
  return readAll(socket);
}

const head = (...lines: string[]) => ['POST /v1/detect HTTP/1.1', 'Host: x', ...lines, '', ''].join('\r\n');

// 16 MiB is far more than the socket buffers of either side hold.
const COUNT = 256;
const LENGTH = COUNT * 64 * 1024;

for (const [name, drain, lines] of [
  ['announced', { bytes: 64 * MIB, time: 60_000 }, [`Content-Length: ${LENGTH}`, 'Connection: close']],
  ['chunked', { bytes: 64 * MIB, time: 60_000 }, ['Transfer-Encoding: chunked']],
] as const) {
  test(`a client that reads only when all is sent (${name}) gets its answer and a clean end`, async (t) => {
    const port = await refuseAll(t, TOO_LARGE, drain);
    const text = await sendThenRead(await dial(t, port), head(...lines), COUNT);
    const { status, head: headers, body, rest } = parseResponse(text);
    assert.equal(status, 413);
    assert.match(headers, /\r\nconnection: close/);
    assert.equal(rest, '');
    assertResponse('detect', status, 'application/problem+json', body);
  });
}

test('a body that is known to be short leaves the connection usable', async (t) => {
  const port = await refuseAll(t, TOO_LARGE, { bytes: LENGTH, time: 60_000 });
  const socket = await dial(t, port);
  await write(socket, head(`Content-Length: ${LENGTH}`));
  for (let index = 0; index < COUNT; index++) await write(socket, Buffer.alloc(64 * 1024));
  const first = parseResponse(
    await readAll(socket.end('GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n')),
  );
  assert.doesNotMatch(first.head, /connection: close/);
  assert.equal(parseResponse(first.rest).status, 413);
});

test('the answer is there before the body is', async (t) => {
  const port = await refuseAll(t, TOO_LARGE);
  for (const line of ['Content-Length: 1000000000', 'Content-Length: 1000', 'Transfer-Encoding: chunked']) {
    const socket = await dial(t, port);
    socket.write(head(line));
    assert.equal(parseResponse(await readResponse(socket)).status, 413, line);
  }
});

test('a client that never stops sending is answered and then cut off', WIRE, async (t) => {
  let onCut: (bytesRead: number) => void = () => {};
  const cut = new Promise<number>((resolve) => {
    onCut = resolve;
  });
  const { port } = await listen(t, (request, response) => {
    const { socket } = request;
    socket.on('close', () => onCut(socket.bytesRead));
    sendProblem(request, response, TOO_LARGE, { bytes: MIB, time: 600_000 });
  });
  const socket = await dial(t, port);
  let received = '';
  socket.on('data', (chunk) => {
    received += chunk;
  });
  const closed = new Promise<void>((resolve) => socket.on('error', () => {}).on('close', () => resolve()));
  socket.write(head('Transfer-Encoding: chunked'));
  const chunk = Buffer.concat([Buffer.from('10000\r\n'), Buffer.alloc(0x10000), Buffer.from('\r\n')]);
  const send = () => {
    while (socket.writable && socket.write(chunk));
  };
  socket.on('drain', send);
  send();
  await closed;
  assert.equal(parseResponse(received).status, 413);
  const bytesRead = await cut;
  assert.ok(bytesRead > MIB && bytesRead < LENGTH, `${bytesRead} bytes`);
});

for (const line of ['Content-Length: 1000', 'Transfer-Encoding: chunked']) {
  test(
    `a client that stops sending without an end (${line}) is answered and then cut off`,
    WIRE,
    async (t) => {
      const port = await refuseAll(t, TOO_LARGE, { bytes: MIB, time: 50 });
      const socket = await dial(t, port);
      socket.write(head(line));
      assert.equal(parseResponse(await readAll(socket)).status, 413);
    },
  );
}

test('requests without a body keep their connection', async (t) => {
  const port = await refuseAll(t, new HttpProblem('not_found', 'nothing here'));
  const socket = await dial(t, port);
  socket.write('GET /a HTTP/1.1\r\nHost: x\r\n\r\nGET /b HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n');
  const first = parseResponse(await readAll(socket));
  assert.doesNotMatch(first.head, /connection: close/);
  assert.equal((first.body as Problem).instance, '/a');
  assert.equal((parseResponse(first.rest).body as Problem).instance, '/b');
});

test('the problem carries its headers, and 503 always Retry-After', async (t) => {
  for (const [error, name, value] of [
    [new HttpProblem('overloaded', 'full'), 'retry-after', '1'],
    [new HttpProblem('shutting_down', 'bye', { headers: { 'Retry-After': '20' } }), 'retry-after', '20'],
    [{ code: 'model_unavailable', message: 'no weights' }, 'retry-after', '1'],
    [new HttpProblem('method_not_allowed', 'POST it', { headers: { Allow: 'POST' } }), 'allow', 'POST'],
    [new Error('secret'), 'retry-after', null],
  ] as const) {
    const port = await refuseAll(t, error);
    const response = await fetch(`http://127.0.0.1:${port}/v1/detect`, { method: 'POST', body: 'x' });
    assert.equal(response.headers.get(name), value);
    assert.equal(response.headers.get('cache-control'), 'no-store');
    assert.equal(response.headers.get('x-request-id'), 'test-1');
    const problem = (await response.json()) as Problem;
    assert.equal(problem.request_id, 'test-1');
    assert.equal(problem.status, response.status);
    assert.doesNotMatch(JSON.stringify(problem), /secret/);
  }
});

test('instance is the path alone, and a valid URI reference whatever the path', async (t) => {
  const port = await refuseAll(t, new HttpProblem('unknown_model', 'no such model'));
  for (const [path, want] of [
    ['/v1/models/x?token=hunter2', '/v1/models/x'],
    ['/v1/models/a%20b', '/v1/models/a%20b'],
    ['/v1/models/100%', '/v1/models/100%25'],
    ['/v1/models/<"|>', '/v1/models/%3C%22%7C%3E'],
  ]) {
    const socket = await dial(t, port);
    socket.write(`GET ${path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`);
    const { body } = parseResponse(await readAll(socket));
    assert.equal((body as Problem).instance, want);
    assertResponse('getModel', 404, 'application/problem+json', body);
  }
});

test('a response that has begun is cut, not completed by a problem', async (t) => {
  const sent: unknown[] = [];
  const { port } = await listen(t, (request, response) => {
    response.writeHead(200, { 'Content-Length': 1000 });
    response.write('half', () => sent.push(sendProblem(request, response, new Error('late'))));
  });
  const socket = await dial(t, port);
  socket.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
  const text = await readAll(socket);
  assert.match(text, /^HTTP\/1\.1 200 OK/);
  assert.ok(text.endsWith('\r\n\r\nhalf'));
  assert.deepEqual(sent, [undefined]);
});

test('a client that is gone is not answered', async (t) => {
  const sent: unknown[] = [];
  const { port } = await listen(t, (request, response) => {
    sent.push(sendProblem(request, response, new ClientGone('the client went away')));
  });
  const socket = await dial(t, port);
  socket.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
  assert.equal(await readAll(socket), '');
  assert.deepEqual(sent, [undefined]);
});
