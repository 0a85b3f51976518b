// Writes the pages of docs/reference/ that are made from tables in the code, so that neither can say what the other doesn't.
//   node scripts/generate-docs.js            builds what is stale, then writes the pages
//   node scripts/generate-docs.js --check    compares the pages with dist/ as it is, and exits with 1 if one differs
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { buildIfStale } from './build.js';
import { backbonesPage } from './docs/backbones.js';
import { errorsPage } from './docs/errors.js';
import { metricsPage } from './docs/metrics.js';
import { settingsPage } from './docs/settings.js';

const root = new URL('../', import.meta.url);
const pages = {
  'docs/reference/backbones.md': backbonesPage,
  'docs/reference/errors.md': errorsPage,
  'docs/reference/metrics.md': metricsPage,
  'docs/reference/settings.md': settingsPage,
};

const check = process.argv.includes('--check');
// A check runs among the tests, and a build would pull dist/ from under them.
if (!check) await buildIfStale();

let stale = 0;
for (const [path, write] of Object.entries(pages)) {
  const url = new URL(path, root);
  const text = await write();
  if (!check) {
    writeFileSync(url, text);
  } else if (text !== read(url)) {
    console.error(`${path} is not what the code says: run node scripts/generate-docs.js`);
    stale++;
  }
}
process.exitCode = stale > 0 ? 1 : 0;

function read(url) {
  try {
    return readFileSync(fileURLToPath(url), 'utf8');
  } catch (error) {
    if (error.code !== 'ENOENT') throw error;
    return undefined;
  }
}
