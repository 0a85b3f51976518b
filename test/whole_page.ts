import assert from 'node:assert/strict';

/**
 * Gets a page and everything that it loads, the modules that its scripts import included.
 * @returns the paths of all of it
 */
export async function wholePage(url: string): Promise<string[]> {
  const found = new Set<string>();
  const waiting = [new URL(url)];
  for (let next = waiting.pop(); next; next = waiting.pop()) {
    if (found.has(next.pathname)) continue;
    found.add(next.pathname);
    const response = await fetch(next);
    const text = await response.text();
    assert.equal(response.status, 200, `${next}: ${text}`);
    assert.notEqual(text, '', next.href);
    const type = response.headers.get('Content-Type') ?? '';
    const loaded = /html/.test(type)
      ? /<(?:script|link|img)\b[^>]*?\b(?:src|href)="([^"]+)"/g
      : /\bfrom\s*["'](\.[^"']+)["']/g;
    if (!/html|playground.*\.js/.test(`${type} ${next.pathname}`)) continue;
    for (const [, path = ''] of text.matchAll(loaded)) {
      const asset = new URL(path, next);
      if (asset.origin === next.origin) waiting.push(asset);
    }
  }
  return [...found];
}
