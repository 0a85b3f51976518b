import assert from 'node:assert/strict';
import type { AddressInfo, Socket } from 'node:net';
import { createServer } from 'node:net';
import { test } from 'node:test';
import { AnswerReader, Connection } from '../../bench/support/connection.ts';

const answer = (status: string, body: string, ...headers: string[]) =>
  Buffer.from(
    [`HTTP/1.1 ${status}`, `Content-Length: ${Buffer.byteLength(body)}`, ...headers, '', body].join('\r\n'),
  );

test('an answer is whole when its last byte is there, however it is cut', () => {
  const bytes = answer('200 OK', '{"label":"café\r\n\r\n"}', 'Content-Type: application/json');
  for (let cut = 1; cut < bytes.length; cut++) {
    const reader = new AnswerReader();
    assert.equal(reader.read(bytes.subarray(0, cut)), undefined);
    assert.equal(reader.read(bytes.subarray(cut)), '200');
  }
  const reader = new AnswerReader();
  for (const byte of bytes.subarray(0, -1)) assert.equal(reader.read(Buffer.from([byte])), undefined);
  assert.equal(reader.read(bytes.subarray(-1)), '200');
});

test('an answer without a length is told', () => {
  const chunked = 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n';
  assert.equal(new AnswerReader().read(Buffer.from(chunked)), 'an answer without Content-Length');
});

/** A server that gives each request the next of `replies`; nothing where it should close the connection instead. */
async function serving(replies: (Buffer | undefined)[], use: (connection: Connection) => Promise<void>) {
  const sockets: Socket[] = [];
  const server = createServer((socket) => {
    sockets.push(socket);
    socket.on('data', () => {
      const reply = replies.shift();
      if (reply) socket.write(reply);
      else socket.destroy();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const connection = new Connection('127.0.0.1', (server.address() as AddressInfo).port);
  try {
    await use(connection);
  } finally {
    connection.close();
    for (const socket of sockets) socket.destroy();
    server.close();
  }
}

const REQUEST = [Buffer.from('GET / HTTP/1.1\r\n\r\n')];

test('one connection serves all requests, other statuses included', async () => {
  await serving(
    [answer('200 OK', 'a'), answer('503 Full', 'b'), answer('200 OK', '')],
    async (connection) => {
      const outcomes = [];
      for (let i = 0; i < 3; i++) outcomes.push(await connection.send(REQUEST));
      assert.deepEqual(outcomes, ['200', '503', '200']);
      assert.equal(connection.opened, 1);
    },
  );
});

test('a connection that the server closes is told, and another one opened', async () => {
  const closing = answer('200 OK', 'c', 'Connection: close');
  await serving([undefined, answer('200 OK', 'a'), closing, answer('200 OK', 'd')], async (connection) => {
    const outcomes = [];
    for (let i = 0; i < 4; i++) outcomes.push(await connection.send(REQUEST));
    assert.equal(outcomes[0], 'connection closed');
    assert.deepEqual(outcomes.slice(1), ['200', '200', '200']);
    assert.equal(connection.opened, 3);
  });
});

test('nobody listening is an outcome, not an exception', async () => {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  assert.equal(await new Connection('127.0.0.1', port).send(REQUEST), 'ECONNREFUSED');
});
