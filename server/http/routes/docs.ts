import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { extname } from 'node:path';
import type { RequestHandler } from 'express';
import { Router } from 'express';
import type { LocalFile } from '../local_files.ts';
import { localFile, onlyGet, sendLocalFile } from '../local_files.ts';

const require = createRequire(import.meta.url);

/** References are relative: a proxy may serve all of this under a path of its own. */
const PAGE = `<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8" />
    <meta name="viewport" content="width=device-width, initial-scale=1" />
    <title>thinlens: API reference</title>
    <link rel="stylesheet" href="swagger-ui.css" />
    <link rel="icon" type="image/png" href="favicon-32x32.png" />
  </head>
  <body>
    <main id="reference"></main>
    <noscript>This page needs JavaScript; the same is at <a href="../openapi.json">openapi.json</a>.</noscript>
    <script src="swagger-ui-bundle.js"></script>
    <script type="module" src="reference.js"></script>
  </body>
</html>
`;

/**
 * Requests go to where the page itself came from, the proxy's path included. Operations are listed and closed, models left out: each operation shows those that it uses. Nothing is asked of other servers.
 * Swagger UI fills forms in with the first example of each parameter; whoever tries the API with a photo would look for persons
 * in its corner. Forms begin with the defaults instead, where there need not be a value.
 */
const SCRIPT = `const reference = document.querySelector('#reference');
try {
  const response = await fetch('../openapi.json');
  if (!response.ok) throw new Error('openapi.json was answered with ' + response.status);
  const spec = await response.json();
  spec.servers = [{ url: new URL('..', location).href.replace(/\\/$/, '') }];
  const operations = Object.values(spec.paths).flatMap((path) => Object.values(path));
  const parameters = operations.flatMap((operation) => operation.parameters ?? []);
  for (const parameter of [...parameters, ...Object.values(spec.components.parameters)]) {
    if (!parameter.required) delete parameter.examples;
  }
  SwaggerUIBundle({
    spec,
    domNode: reference,
    deepLinking: true,
    displayRequestDuration: true,
    defaultModelsExpandDepth: -1,
    validatorUrl: null,
  });
} catch (error) {
  reference.textContent = 'The API reference cannot be shown: ' + error.message + '. Loading the page again may help.';
}
`;

const made = (text: string) => async () => Buffer.from(text);
const ofPackage = (name: string) => () => readFile(require.resolve(`swagger-ui-dist/${name}`));

/** All that the page loads besides /openapi.json. */
const FILES: Readonly<Record<string, { readonly type: string; readonly read: () => Promise<Buffer> }>> = {
  '': { type: '.html', read: made(PAGE) },
  'reference.js': { type: '.js', read: made(SCRIPT) },
  ...Object.fromEntries(
    ['swagger-ui-bundle.js', 'swagger-ui.css', 'favicon-32x32.png'].map((name) => [
      name,
      { type: extname(name), read: ofPackage(name) },
    ]),
  ),
};

/**
 * GET /docs/: the API's reference, Swagger UI on /openapi.json. All of it comes from this server, under a policy that allows
 * no script or style but the files listed here.
 */
export function docsRoutes(): Router {
  const router = Router({ caseSensitive: true, strict: true });
  // Read when first asked for: most servers are never asked.
  const kept = new Map<string, Promise<LocalFile>>();
  const fileNamed = (name: string, read: () => Promise<Buffer>): Promise<LocalFile> => {
    const known = kept.get(name);
    if (known) return known;
    const file = read().then(localFile);
    kept.set(name, file);
    // What failed once, for want of open files say, may succeed another time.
    file.catch(() => kept.delete(name));
    return file;
  };
  router.all('/docs', onlyGet, (_request, response) => response.redirect(301, 'docs/'));
  const serve: RequestHandler = async (request, response, next) => {
    const name = String(request.params.file ?? '');
    const file = Object.hasOwn(FILES, name) ? FILES[name] : undefined;
    if (!file) return next();
    onlyGet(request, response, () => {});
    sendLocalFile(request, response, await fileNamed(name, file.read), file.type);
  };
  router.all('/docs/', serve);
  router.all('/docs/:file', serve);
  return router;
}
