// A real HTTP server for the tests of what comes over the wire.
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type RequestListener, type Server } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import type { TestContext } from 'node:test';
import { type BodyLimits, readImages } from '../../../server/http/body.ts';
import { type DrainLimits, sendProblem } from '../../../server/http/send.ts';

/** What the test server says of the images that it got. */
export interface Receipt {
  batch: boolean;
  images: string[];
}

/** Short digest by which the tests recognise bytes. */
export function digest(bytes: Uint8Array): string {
  return `${bytes.length}:${createHash('sha256').update(bytes).digest('hex').slice(0, 16)}`;
}

/** A server on a free port, stopped with the test. */
export async function listen(
  t: TestContext,
  listener: RequestListener,
): Promise<{ server: Server; port: number }> {
  const server = createServer(listener);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return { server, port: (server.address() as AddressInfo).port };
}

/** What happened to one request, as the server saw it. */
export interface Seen {
  request: IncomingMessage;
  error?: unknown;
  /** Bytes that the server had taken off the connection when it had made up its mind. */
  bytesRead: number;
  /** Listeners of the request before and after. */
  listeners: [string, string];
}

/** A server that reads images and answers with a Receipt or a problem. `next()` is the next request's outcome. */
export async function serveImages(
  t: TestContext,
  limits: BodyLimits,
  drain?: DrainLimits,
): Promise<{ server: Server; port: number; url: string; next: () => Promise<Seen> }> {
  const outcomes: Seen[] = [];
  const waiting: ((seen: Seen) => void)[] = [];
  const { server, port } = await listen(t, async (request, response) => {
    response.setHeader('X-Request-Id', 'test-1');
    const seen: Seen = { request, bytesRead: 0, listeners: [countListeners(request), ''] };
    try {
      const { images, batch } = await readImages(request, limits);
      response.setHeader('Content-Type', 'application/json');
      response.end(JSON.stringify({ batch, images: images.map(digest) } satisfies Receipt));
    } catch (error) {
      seen.error = error;
    }
    seen.bytesRead = request.socket.bytesRead;
    seen.listeners[1] = countListeners(request);
    if (seen.error) sendProblem(request, response, seen.error, drain);
    const waiter = waiting.shift();
    if (waiter) waiter(seen);
    else outcomes.push(seen);
  });
  const next = () => {
    const seen = outcomes.shift();
    return seen ? Promise.resolve(seen) : new Promise<Seen>((resolve) => waiting.push(resolve));
  };
  return { server, port, url: `http://127.0.0.1:${port}/v1/detect`, next };
}

function countListeners(request: IncomingMessage): string {
  return ['data', 'end', 'close', 'error', 'aborted', 'readable', 'pause', 'resume']
    .map((name) => `${name} ${request.listenerCount(name)}`)
    .join(', ');
}

/** A connection on which a test writes what it likes. */
export async function dial(t: TestContext, port: number): Promise<Socket> {
  const socket = connect(port, '127.0.0.1');
  t.after(() => socket.destroy());
  await once(socket, 'connect');
  return socket;
}

/** All that comes on a connection until it ends. Rejects if the connection is reset. */
export async function readAll(socket: Socket): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of socket) chunks.push(chunk);
  return Buffer.concat(chunks).toString('latin1');
}

/** What comes on a connection until it has brought one whole response with Content-Length. */
export function readResponse(socket: Socket): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = '';
    const onData = (chunk: Buffer) => {
      text += chunk.toString('latin1');
      const length = /^content-length: (\d+)\r\n(?:.*\r\n)*?\r\n/im.exec(text);
      if (!length || text.length < length.index + length[0].length + Number(length[1])) return;
      socket.off('data', onData);
      resolve(text);
    };
    socket.on('data', onData).on('error', reject);
    socket.on('close', () => reject(new Error(`closed after '${text}'`)));
  });
}

/** Status and parsed JSON body of one whole HTTP/1.1 response with Content-Length. */
export function parseResponse(text: string): { status: number; head: string; body: unknown; rest: string } {
  const split = text.indexOf('\r\n\r\n');
  if (split < 0) throw new Error(`no response in '${text.slice(0, 200)}'`);
  const head = text.slice(0, split);
  const length = Number(/content-length: (\d+)/i.exec(head)?.[1]);
  const body = text.slice(split + 4, split + 4 + length);
  return {
    status: Number(head.split(' ')[1]),
    head: head.toLowerCase(),
    body: JSON.parse(body),
    rest: text.slice(split + 4 + length),
  };
}
