import type { Response } from 'express';

/**
 * Sends what may be many megabytes without putting it together first.
 * @param patience milliseconds without a byte taken after which the client is given up: what it does not read is held here
 */
export function sendParts(response: Response, parts: readonly Uint8Array[], patience: number): void {
  response.set('Content-Length', String(parts.reduce((sum, { length }) => sum + length, 0)));
  response.setTimeout(patience, () => response.destroy());
  response.cork();
  for (const part of parts) response.write(part);
  response.end();
  response.uncork();
}
