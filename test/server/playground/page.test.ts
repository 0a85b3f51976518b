// The page's files as the server sends them: types, policy, caching, and that nothing is loaded from elsewhere.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { after, before, describe, test } from 'node:test';
import type { Problem } from '../../../openapi/types.ts';
import type { TestServer } from '../harness.ts';
import { scrape, startReady } from '../harness.ts';

let server: TestServer;
before(async () => {
  server = await startReady({ models: [] });
});
after(() => server.stop());

const get = (path: string, init: RequestInit = {}) => fetch(`${server.url}${path}`, init);
const text = async (path: string) => (await get(path)).text();

/** Directives of a Content-Security-Policy by their name. */
function policyOf(response: Response): Record<string, string> {
  const policy = response.headers.get('Content-Security-Policy') ?? assert.fail('there is no policy');
  return Object.fromEntries(
    policy.split(';').map((directive) => {
      const [name = '', ...sources] = directive.trim().split(' ');
      return [name, sources.join(' ')];
    }),
  );
}

/** Everything that a file of the page refers to, as paths of the server. */
async function referencesOf(path: string): Promise<string[]> {
  const source = await text(path);
  const pattern = path.endsWith('.js')
    ? /(?:from|import)\s*\(?['"]([^'"]+)['"]/g
    : path.endsWith('.css')
      ? /(?:url\(|@import\s*)['"]?([^'")]+)/g
      : /\s(?:href|src|srcset|action|poster)="([^"]+)"/g;
  return [...source.matchAll(pattern)].map(([, reference = '']) => {
    const url = new URL(reference, `${server.url}${path}`);
    assert.equal(url.origin, server.url, `${path} refers to ${reference}`);
    return url.pathname;
  });
}

describe('the page', () => {
  for (const accept of [
    'text/html,application/xhtml+xml,*/*;q=0.8',
    '*/*',
    'text/html',
    'application/json',
  ]) {
    test(`comes to who accepts ${accept}`, async () => {
      const response = await get('/', { headers: { Accept: accept } });
      assert.equal(response.status, 200);
      assert.equal(response.headers.get('Content-Type'), 'text/html; charset=utf-8');
      assert.match(await response.text(), /^<!doctype html>/);
    });
  }

  test('may load from its own server only, photos from memory and masks from answers, and run no inline code', async () => {
    const response = await get('/');
    assert.deepEqual(policyOf(response), {
      'default-src': "'none'",
      'script-src': "'self'",
      'style-src': "'self'",
      'img-src': "'self' blob: data:",
      'connect-src': "'self'",
      'base-uri': "'none'",
      'form-action': "'none'",
      'frame-ancestors': "'self'",
    });
    assert.equal(response.headers.get('X-Content-Type-Options'), 'nosniff');
    assert.doesNotMatch(
      await response.text(),
      /<style|\sstyle=|\son\w+=|javascript:|<script(?![^>]*\ssrc=)/i,
    );
  });

  test('leaves the policy of everything else as it was', async () => {
    const { 'default-src': fallback, 'img-src': images } = policyOf(await get('/livez'));
    assert.deepEqual([fallback, images], ["'self'", "'self' data:"]);
  });

  test('loads files of the right types, all from this server, none missing', async () => {
    const types: Readonly<Record<string, string>> = {
      js: 'text/javascript; charset=utf-8',
      css: 'text/css; charset=utf-8',
      svg: 'image/svg+xml',
      jpg: 'image/jpeg',
    };
    const seen = new Set<string>();
    const open = ['/'];
    for (let path = open.pop(); path !== undefined; path = open.pop()) {
      if (seen.has(path)) continue;
      seen.add(path);
      // The API reference has tests of its own.
      if (path === '/docs/') continue;
      if (/\/$|\.(js|css)$/.test(path)) open.push(...(await referencesOf(path)));
    }
    const files = [...seen].filter((path) => path.startsWith('/playground/'));
    assert.ok(
      files.includes('/playground/page.js') && files.includes('/playground/class_colors.js'),
      String(files),
    );
    for (const path of seen) {
      const response = await get(path);
      assert.equal(response.status, 200, path);
      const ending = /\.(js|css|svg)$/.exec(path)?.[1];
      if (path.startsWith('/playground/')) {
        assert.equal(response.headers.get('Content-Type'), types[ending ?? ''], path);
        assert.equal(policyOf(response)['script-src'], "'self'", path);
      }
    }
    // No address of another place in any of them, but for the namespace that SVG must have.
    for (const path of ['/', ...files]) {
      const source = (await text(path)).replaceAll('http://www.w3.org/2000/svg', '');
      assert.doesNotMatch(source, /https?:\/\/(?!\$)|\bwss?:\/\/|['"(]\/\/\w/, path);
    }
  });

  test('has the samples, byte for byte', async () => {
    const named = [...(await text('/playground/photos.js')).matchAll(/'([\w-]+\.jpg)'/g)].map(
      ([, name]) => name,
    );
    assert.ok(named.length >= 3);
    for (const name of named) {
      const response = await get(`/playground/${name}`);
      assert.equal(response.headers.get('Content-Type'), 'image/jpeg');
      assert.deepEqual(Buffer.from(await response.arrayBuffer()), await readFile(`samples/${name}`));
    }
  });

  test('is asked for again each time, and sent again only if it changed', async () => {
    for (const path of ['/', '/playground/page.js', '/playground/cat.jpg']) {
      const first = await get(path);
      assert.equal(first.headers.get('Cache-Control'), 'no-cache');
      const etag = first.headers.get('ETag') ?? assert.fail('there is no ETag');
      // As browsers ask; by itself Node's fetch forbids an answer without a body (Cache-Control: no-cache).
      const asked = (tag: string) => ({ headers: { 'If-None-Match': tag, 'Cache-Control': 'max-age=0' } });
      const again = await get(path, asked(etag));
      assert.equal(again.status, 304);
      assert.equal(await again.text(), '');
      assert.equal((await get(path, asked('"another"'))).status, 200);
    }
  });

  test('answers HEAD with the headers of GET', async () => {
    for (const path of ['/', '/playground/style.css']) {
      const [head, full] = [await get(path, { method: 'HEAD' }), await get(path)];
      for (const name of ['Content-Type', 'Content-Length', 'ETag', 'Content-Security-Policy']) {
        assert.ok(head.headers.get(name), name);
        assert.equal(head.headers.get(name), full.headers.get(name));
      }
      assert.equal(head.status, 200);
      assert.equal(await head.text(), '');
    }
  });

  for (const method of ['POST', 'DELETE', 'OPTIONS']) {
    test(`answers ${method} with a problem that names the methods`, async () => {
      const response = await get('/', { method });
      assert.deepEqual([response.status, response.headers.get('Allow')], [405, 'GET, HEAD']);
      assert.equal(((await response.json()) as Problem).code, 'method_not_allowed');
    });
  }

  for (const path of [
    '/playground',
    '/playground/',
    '/playground/index.html',
    '/playground/tsconfig.json',
    '/playground/..%2f..%2fpackage.json',
    '/playground/a/page.js',
    '/index.html',
    '/favicon.ico',
  ]) {
    test(`has nothing at ${path}`, async () => {
      const response = await get(path);
      assert.equal(response.status, 404);
      assert.equal(response.headers.get('Content-Type'), 'application/problem+json; charset=utf-8');
      assert.equal(((await response.json()) as Problem).code, 'not_found');
    });
  }

  test('is measured under its paths, and no text of a request becomes a label', async () => {
    await get('/playground/page.js');
    await get('/playground/nothing-here');
    const routes = new Set(
      [...(await scrape(server)).keys()]
        .filter((name) => name.startsWith('thinlens_request_duration_seconds_count'))
        .map((name) => /route="([^"]*)"/.exec(name)?.[1]),
    );
    assert.ok(routes.has('/') && routes.has('/playground/:file'), [...routes].join(' '));
    assert.ok(![...routes].some((route) => route?.includes('nothing-here')));
  });
});
