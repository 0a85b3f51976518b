// Compiles the TypeScript sources into dist/, but only when something is newer than the last build.
// `start`, `test` and the `thinlens` command call this themselves: install scripts are off in this project
// (.npmrc), and npm's pre/post scripts are off with them.
import { spawnSync } from 'node:child_process';
import {
  cpSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { writeValidators } from './validators.js';

const root = fileURLToPath(new URL('..', import.meta.url));
const sources = [
  'index.ts',
  'models',
  'heads',
  'server',
  'openapi',
  'test',
  'bench',
  'samples',
  'scripts/build.js',
  'scripts/validators.js',
  'tsconfig.json',
  'package-lock.json',
];
/** The web page: its own TypeScript project, since browsers have other globals than Node, and files that are copied as they are. */
const page = join('server', 'playground');
const pageFiles = /\.(html|css|svg)$/;
const pageSamples = ['cat.jpg', 'coffee.jpg', 'street.jpg'];
const stamp = join(root, 'dist', '.stamp');

/** Newest modification time (ms) of a file, or of any file or folder under a folder; folders count, so that a deleted file shows. */
function newest(path) {
  const info = statSync(path, { throwIfNoEntry: false });
  if (!info) return 0;
  if (!info.isDirectory()) return info.mtimeMs;
  return readdirSync(path, { withFileTypes: true })
    .filter((entry) => entry.name !== 'node_modules' && entry.name !== 'fixtures')
    .reduce((latest, entry) => Math.max(latest, newest(join(path, entry.name))), info.mtimeMs);
}

/** Builds dist/ if it is stale. A compile error is printed, and the process exits with 1. */
export async function buildIfStale() {
  const built = statSync(stamp, { throwIfNoEntry: false })?.mtimeMs ?? 0;
  const started = new Date();
  if (sources.every((source) => newest(join(root, source)) < built)) return;
  let compiler;
  try {
    compiler = createRequire(import.meta.url).resolve('typescript/bin/tsc');
  } catch {
    if (built > 0) return; // A production install without development packages runs what was built.
    console.error('thinlens is not built and TypeScript is not installed: run `npm ci` first.');
    process.exit(1);
  }
  console.error('building thinlens (sources are newer than dist/) ...');
  // Built beside and renamed into place: an interrupted build leaves the old one, two at once do not mix, and a file that was
  // renamed or deleted does not live on in dist/, where tests are found by listing.
  sweep();
  const target = join(root, `dist.${process.pid}.tmp`);
  for (const project of [root, join(root, page)]) {
    const result = spawnSync(process.execPath, [compiler, '-p', project, '--outDir', target], {
      stdio: ['ignore', 2, 2],
    });
    if (result.status !== 0) {
      rmSync(target, { recursive: true, force: true });
      process.exit(result.status ?? 1);
    }
  }
  for (const name of readdirSync(join(root, page)).filter((file) => pageFiles.test(file))) {
    cpSync(join(root, page, name), join(target, page, name));
  }
  for (const name of pageSamples) cpSync(join(root, 'samples', name), join(target, page, name));
  await writeValidators(target);
  // Parsing YAML takes a quarter of a second, which each start of the server would wait for.
  const { parse } = await import('yaml');
  const api = parse(readFileSync(join(root, 'openapi', 'openapi.yaml'), 'utf8'));
  writeFileSync(join(target, 'openapi', 'openapi.json'), JSON.stringify(api));
  writeFileSync(join(target, '.stamp'), '');
  // The stamp carries the time the build began: an edit made while tsc ran is newer than it.
  utimesSync(join(target, '.stamp'), started, started);
  replace(target, join(root, 'dist'));
}

/** Removes what builds left that were killed. */
function sweep() {
  for (const name of readdirSync(root)) {
    const pid = Number(/^dist\.(\d+)\.tmp(\.old)?$/.exec(name)?.[1]);
    if (pid > 0 && !isRunning(pid)) rmSync(join(root, name), { recursive: true, force: true });
  }
}

function isRunning(pid) {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return error.code !== 'ESRCH';
  }
}

/** Puts the folder `made` where `place` is. */
function replace(made, place) {
  const old = `${made}.old`;
  try {
    renameSync(place, old);
  } catch (error) {
    if (error.code !== 'ENOENT') throw error;
  }
  try {
    renameSync(made, place);
  } catch (error) {
    // Another build was put there in the meantime, from the same sources: it is as good as ours.
    if (error.code !== 'ENOTEMPTY' && error.code !== 'EEXIST') throw error;
  }
  for (const folder of [made, old]) rmSync(folder, { recursive: true, force: true });
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await buildIfStale();
