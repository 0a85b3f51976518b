import { readFileSync } from 'node:fs';

/** What this program says of itself in package.json, which lies two folders above dist/server/package.js. */
export const { version, engines } = JSON.parse(
  readFileSync(new URL('../../package.json', import.meta.url), 'utf8'),
) as {
  readonly version: string;
  /** `node`: the versions of Node.js that it runs on. */
  readonly engines: { readonly node: string };
};
