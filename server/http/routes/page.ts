import { readdirSync, readFileSync } from 'node:fs';
import { extname } from 'node:path';
import type { RequestHandler } from 'express';
import { Router } from 'express';
import type { LocalFile } from '../local_files.ts';
import { localFile, onlyGet, sendLocalFile } from '../local_files.ts';

// What the build put together, seen from dist/server/http/routes/.
const FOLDER = new URL('../../playground/', import.meta.url);
const SERVED = /\.(html|css|js|svg|jpg)$/;
const PAGE = 'index.html';

/** GET / and what it loads, GET /playground/{file}: the web page. */
export function pageRoutes(): Router {
  const files = readFiles();
  const router = Router({ caseSensitive: true, strict: true });
  const serve = (nameOf: (file: string | undefined) => string | undefined): RequestHandler => {
    return (request, response, next) => {
      const name = nameOf(request.params.file as string | undefined);
      const file = name === undefined ? undefined : files.get(name);
      if (name === undefined || file === undefined) return next();
      onlyGet(request, response, () => sendLocalFile(request, response, file, extname(name)));
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
function readFiles(): ReadonlyMap<string, LocalFile> {
  const names = readdirSync(FOLDER).filter((name) => SERVED.test(name));
  return new Map(names.map((name) => [name, localFile(readFileSync(new URL(name, FOLDER)))]));
}
