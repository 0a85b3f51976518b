// Takes the body of a request off the wire, and stops at the first thing that is wrong with it.
import type { IncomingMessage } from 'node:http';
import { ClientGone, HttpProblem } from './problem.ts';

/** How much of a body is received, and for how long. */
export interface ReceiveLimits {
  readonly maxBytes: number;
  /** What is said of a body that has more. */
  readonly tooLarge: string;
  /** Time for the whole body, in milliseconds; without it there is no limit here. */
  readonly timeoutMs?: number | undefined;
  /** Told of every chunk before it is kept; what it throws refuses the request. */
  readonly hold?: ((bytes: number) => void) | undefined;
}

/**
 * Hands the body of a request to `take`, chunk by chunk, waiting for each to be taken. When it rejects, the request is
 * paused and carries no listener of this function any more; what the client still sends is left to `endEarly`.
 * @param take receives one chunk; what it throws refuses the request
 * @throws HttpProblem `body_too_large`, by Content-Length before anything is read or else as soon as too much has
 *   come; `request_timeout`
 * @throws ClientGone as soon as the connection is lost
 */
export function receive(
  request: IncomingMessage,
  limits: ReceiveLimits,
  take: (chunk: Buffer) => void | Promise<void>,
): Promise<void> {
  return new Promise((resolve, reject) => {
    if (request.readableEnded) throw new Error('the body of this request has been read already');
    const tooLarge = () => new HttpProblem('body_too_large', limits.tooLarge);
    if (Number(request.headers['content-length'] ?? 0) > limits.maxBytes) throw tooLarge();
    if (request.destroyed) throw new ClientGone('the client went away');

    let received = 0;
    let settled = false;
    const finish = (settle: () => void) => {
      settled = true;
      clearTimeout(timer);
      request.off('data', onData).off('end', onEnd).off('close', onClose).off('error', onClose);
      settle();
    };
    const refuse = (error: unknown) => {
      request.pause();
      finish(() => reject(error));
    };
    const onTaken = () => {
      if (!settled) request.resume();
    };
    const onData = (chunk: Buffer) => {
      received += chunk.length;
      if (received > limits.maxBytes) return refuse(tooLarge());
      try {
        limits.hold?.(chunk.length);
        const taken = take(chunk);
        if (!taken) return;
        request.pause();
        taken.then(onTaken, refuse);
      } catch (error) {
        refuse(error);
      }
    };
    const onEnd = () => finish(resolve);
    const onClose = () => finish(() => reject(new ClientGone('the client went away')));
    const onTimeout = () => {
      const seconds = (limits.timeoutMs ?? 0) / 1000;
      refuse(new HttpProblem('request_timeout', `the body did not arrive within ${seconds} s`));
    };
    const timer = limits.timeoutMs === undefined ? undefined : setTimeout(onTimeout, limits.timeoutMs);
    request.on('data', onData).on('end', onEnd).on('close', onClose).on('error', onClose);
    request.resume();
  });
}
