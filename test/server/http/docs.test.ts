// The API reference as the server sends it: types, policy, caching, and that its files are those that it names.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { after, before, describe, test } from 'node:test';
import type { Problem } from '../../../openapi/types.ts';
import type { TestServer } from '../harness.ts';
import { scrape, startReady } from '../harness.ts';

let server: TestServer;
before(async () => {
  server = await startReady({ models: ['ssdlite_mobilenet_v2_coco'] });
});
after(() => server.stop());

const get = (path: string, init: RequestInit = {}) => fetch(`${server.url}${path}`, init);

/** Files that the page names, as paths of the server. */
async function references(): Promise<string[]> {
  const html = await (await get('/docs/')).text();
  const found = [...html.matchAll(/<(?:script|link)[^>]* (?:src|href)="([^"]+)"/g)];
  return found.map(([, reference = '']) => new URL(reference, `${server.url}/docs/`).pathname);
}

describe('/docs', () => {
  test('leads to /docs/, below whatever path a proxy serves it', async () => {
    const response = await get('/docs', { redirect: 'manual' });
    assert.deepEqual([response.status, response.headers.get('Location')], [301, 'docs/']);
  });

  for (const accept of ['text/html,application/xhtml+xml,*/*;q=0.8', 'application/json']) {
    test(`is a page to who accepts ${accept}`, async () => {
      const response = await get('/docs', { headers: { Accept: accept } });
      assert.deepEqual([response.status, new URL(response.url).pathname], [200, '/docs/']);
      assert.equal(response.headers.get('Content-Type'), 'text/html; charset=utf-8');
      assert.match(await response.text(), /^<!doctype html>/);
    });
  }

  test('names files of this server only, each of its type', async () => {
    const types = await Promise.all(
      (await references()).map(async (path) => {
        const response = await get(path);
        assert.equal(response.status, 200, path);
        assert.ok((await response.arrayBuffer()).byteLength > 100, path);
        return [path, response.headers.get('Content-Type')];
      }),
    );
    assert.deepEqual(Object.fromEntries(types), {
      '/docs/swagger-ui.css': 'text/css; charset=utf-8',
      '/docs/favicon-32x32.png': 'image/png',
      '/docs/swagger-ui-bundle.js': 'text/javascript; charset=utf-8',
      '/docs/reference.js': 'text/javascript; charset=utf-8',
    });
  });

  test("sends the package's files as they are", async () => {
    for (const name of ['swagger-ui.css', 'swagger-ui-bundle.js']) {
      const sent = Buffer.from(await (await get(`/docs/${name}`)).arrayBuffer());
      assert.ok(sent.equals(await readFile(`node_modules/swagger-ui-dist/${name}`)), name);
    }
  });

  test('has a policy that allows no script and no style but its files', async () => {
    for (const path of ['/docs/', ...(await references())]) {
      const policy = (await get(path)).headers.get('Content-Security-Policy') ?? '';
      assert.match(policy, /default-src 'none';script-src 'self';style-src 'self';/, path);
      assert.doesNotMatch(policy, /unsafe|https?:|\*/, path);
    }
    const html = await (await get('/docs/')).text();
    assert.doesNotMatch(html, /<style|\sstyle=|\son[a-z]+=|<script(?![^>]* src=)/);
  });

  test('is not sent again to a browser that has it', async () => {
    for (const path of ['/docs/', ...(await references())]) {
      const first = await get(path);
      const etag = first.headers.get('ETag') ?? assert.fail(`${path} has no ETag`);
      assert.equal(first.headers.get('Cache-Control'), 'no-cache');
      // As browsers ask; of itself fetch would add that nothing kept will do.
      const ask = (kept: string) =>
        get(path, { headers: { 'If-None-Match': kept, 'Cache-Control': 'max-age=0' } });
      const again = await ask(etag);
      assert.deepEqual([again.status, await again.text()], [304, '']);
      assert.equal((await ask('"another"')).status, 200);
    }
  });

  for (const path of [
    '/docs/index.html',
    '/docs/package.json',
    '/docs/swagger-ui.js',
    '/docs/__proto__',
    '/docs/..%2fpackage.json',
    '/docs/swagger-ui.css/',
    '/DOCS/',
  ]) {
    test(`${path} is not there`, async () => {
      const response = await get(path);
      assert.equal(response.status, 404);
      assert.equal(((await response.json()) as Problem).code, 'not_found');
    });
  }

  for (const path of ['/docs', '/docs/', '/docs/swagger-ui.css']) {
    test(`${path} takes GET and HEAD`, async () => {
      const refused = await get(path, { method: 'POST', body: 'x' });
      assert.deepEqual([refused.status, refused.headers.get('Allow')], [405, 'GET, HEAD']);
      assert.equal(((await refused.json()) as Problem).code, 'method_not_allowed');
      const head = await get(path, { method: 'HEAD' });
      assert.deepEqual([head.status, await head.text()], [200, '']);
    });
  }

  test('counts under its route', async () => {
    await get('/docs/swagger-ui.css');
    const routes = [...(await scrape(server)).keys()].filter((name) =>
      /request_duration_seconds_count.*docs/.test(name),
    );
    assert.ok(routes.some((name) => name.includes('route="/docs/:file"')));
    assert.ok(routes.every((name) => /route="\/docs(\/|\/:file)?"/.test(name)));
  });
});
