// What browsers load from this server besides answers: the web page and the API reference.
import { createHash } from 'node:crypto';
import type { Request, RequestHandler, Response } from 'express';
import helmet from 'helmet';
import { HttpProblem } from './problem.ts';

/** A file in memory. */
export interface LocalFile {
  readonly bytes: Buffer;
  /** Of exactly these bytes. */
  readonly etag: string;
}

export function localFile(bytes: Buffer): LocalFile {
  const digest = createHash('sha256').update(bytes).digest('base64url').slice(0, 22);
  return { bytes, etag: `"${digest}"` };
}

/** This server's own files and API, and nothing else; pictures also out of the browser's memory, of answers and of style sheets. */
const policy = helmet.contentSecurityPolicy({
  useDefaults: false,
  directives: {
    defaultSrc: ["'none'"],
    scriptSrc: ["'self'"],
    styleSrc: ["'self'"],
    imgSrc: ["'self'", 'blob:', 'data:'],
    connectSrc: ["'self'"],
    baseUri: ["'none'"],
    formAction: ["'none'"],
    frameAncestors: ["'self'"],
  },
});

/**
 * Answers with a file.
 * @param type as Express takes it: a media type, or the ending of a file's name
 */
export function sendLocalFile(
  request: Request,
  response: Response,
  { bytes, etag }: LocalFile,
  type: string,
): void {
  // Asked again each time, which costs 304 and no bytes: a server that was updated never meets its old page.
  response.set({ ETag: etag, 'Cache-Control': 'no-cache' }).type(type);
  policy(request, response, () => response.send(bytes));
}

/** @throws HttpProblem for any other method than GET and HEAD */
export const onlyGet: RequestHandler = (request, _response, next) => {
  if (request.method === 'GET' || request.method === 'HEAD') return next();
  const detail = `${request.path} takes GET, HEAD, not ${request.method}`;
  throw new HttpProblem('method_not_allowed', detail, { headers: { Allow: 'GET, HEAD' } });
};
