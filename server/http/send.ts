// Answers that come before the request has been read to its end.
import type { IncomingMessage, ServerResponse } from 'node:http';
import { ClientGone, HttpProblem, type Problem, toProblem } from './problem.ts';

/** How much of a refused body is let pass, so that its sender gets to read the answer. */
export interface DrainLimits {
  readonly bytes: number;
  /** In milliseconds. */
  readonly time: number;
}

const DRAIN: DrainLimits = { bytes: 64 * 1024 * 1024, time: 10_000 };

/**
 * Answers a request with the problem of `error`, also in the middle of its body. The response must carry its
 * X-Request-Id already.
 * @returns the problem as it was sent, or undefined where nothing could be: the client is gone, or a response had begun
 *   (its connection is cut, so that half an answer does not pass for a whole one)
 */
export function sendProblem(
  request: IncomingMessage,
  response: ServerResponse,
  error: unknown,
  drain?: DrainLimits,
): Problem | undefined {
  if (error instanceof ClientGone || response.headersSent || response.destroyed) {
    response.destroy();
    return undefined;
  }
  const requestId = String(response.getHeader('X-Request-Id') ?? '');
  const problem = toProblem(error, { instance: requestPath(request), requestId });
  response.statusCode = problem.status;
  response.setHeader('Content-Type', 'application/problem+json; charset=utf-8');
  response.setHeader('Cache-Control', 'no-store');
  if (problem.status === 503) response.setHeader('Retry-After', '1');
  for (const [name, value] of Object.entries(error instanceof HttpProblem ? error.headers : {})) {
    response.setHeader(name, value);
  }
  endEarly(request, response, JSON.stringify(problem), drain);
  return problem;
}

/**
 * Ends a response whose request may still be arriving. A server that answers and closes while its client is sending
 * makes the client's system throw the answer away (TCP reset), so what still comes is read and dropped first, up to
 * `drain`. A body that is known to fit in that leaves the connection usable; any other closes it.
 * @param body sent with its Content-Length; status and other headers are those of `response`
 */
export function endEarly(
  request: IncomingMessage,
  response: ServerResponse,
  body: string,
  drain: DrainLimits = DRAIN,
): void {
  response.setHeader('Content-Length', Buffer.byteLength(body));
  if (request.complete) {
    response.end(body);
    request.resume();
    return;
  }
  const chunked = request.headers['transfer-encoding'] !== undefined;
  const declared = chunked ? Number.POSITIVE_INFINITY : Number(request.headers['content-length'] ?? 0);
  const keepAlive = response.shouldKeepAlive && response.getHeader('Connection') !== 'close';
  const reusable = keepAlive && declared <= drain.bytes;
  if (reusable) {
    response.end(body);
  } else {
    // Not ended yet: with `Connection: close`, end() would close the socket at once.
    response.setHeader('Connection', 'close');
    response.write(body);
  }

  // The socket and not the request tells that the client is gone: a request whose response has ended is not told.
  const { socket } = request;
  let dropped = 0;
  const stop = () => {
    clearTimeout(timer);
    request.off('data', onData).off('end', stop).off('error', stop);
    socket.off('close', stop);
    if (!reusable) response.end();
    else if (!request.complete) socket.destroy();
  };
  const onData = (chunk: Buffer) => {
    dropped += chunk.length;
    if (dropped > drain.bytes) stop();
  };
  const timer = setTimeout(stop, drain.time);
  request.on('data', onData).on('end', stop).on('error', stop);
  socket.on('close', stop);
  request.resume();
}

/** Path of the request as a valid URI reference, without its query. */
function requestPath(request: IncomingMessage): string {
  const { originalUrl, url = '/' } = request as { originalUrl?: string; url?: string };
  return (originalUrl ?? url)
    .replace(/\?.*$/s, '')
    .replace(/%(?![0-9a-f]{2})/gi, '%25')
    .replace(/[^\x21-\x7e]|["<>\\^`{|}]/gu, encodeURIComponent);
}
