import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { extname } from 'node:path';
import type { RequestHandler } from 'express';
import { Router } from 'express';
import helmet from 'helmet';
import { HttpProblem } from '../problem.ts';

// What the build put together, seen from dist/server/http/routes/.
const FOLDER = new URL('../../playground/', import.meta.url);
const SERVED = /\.(html|css|js|svg|jpg)$/;
const PAGE = 'index.html';

interface PageFile {
  readonly bytes: Buffer;
  /** Of exactly these bytes. */
  readonly etag: string;
}

/** GET / and what it loads, GET /playground/{file}: the web page. */
export function pageRoutes(): Router {
  const files = readFiles();
  const router = Router({ caseSensitive: true, strict: true });
  // Nothing but the page's own files and this server's API; photos come from the browser's memory, masks out of answers.
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
  const serve = (nameOf: (file: string | undefined) => string | undefined): RequestHandler => {
    return (request, response, next) => {
      const name = nameOf(request.params.file as string | undefined);
      const file = name === undefined ? undefined : files.get(name);
      if (name === undefined || file === undefined) return next();
      if (request.method !== 'GET' && request.method !== 'HEAD') {
        const detail = `${request.path} takes GET, HEAD, not ${request.method}`;
        throw new HttpProblem('method_not_allowed', detail, { headers: { Allow: 'GET, HEAD' } });
      }
      // Asked again each time, which costs 304 and no bytes: a server that was updated never meets its old page.
      response.set({ ETag: file.etag, 'Cache-Control': 'no-cache' }).type(extname(name));
      policy(request, response, () => response.send(file.bytes));
    };
  };
  router.all(
    '/',
    serve(() => PAGE),
  );
  // The page has one address only.
  router.all(
    '/playground/:file',
    serve((file) => (file === PAGE ? undefined : file)),
  );
  return router;
}

/** The page's files by name. They are few and small, so they stay in memory. */
function readFiles(): ReadonlyMap<string, PageFile> {
  const names = readdirSync(FOLDER).filter((name) => SERVED.test(name));
  return new Map(
    names.map((name) => {
      const bytes = readFileSync(new URL(name, FOLDER));
      const digest = createHash('sha256').update(bytes).digest('base64url').slice(0, 22);
      return [name, { bytes, etag: `"${digest}"` }];
    }),
  );
}
