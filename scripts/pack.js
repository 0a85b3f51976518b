// Makes the package that is published, thinlens-VERSION.tgz, in the current folder:
//   npm run pack
// npm's own `pack` would not build (install scripts are off in this project, and `prepack` with them). Two packages have dependencies that
// this project replaces, and npm heeds that in a checkout alone: so of these only the files that are used are bundled, under a
// package.json without dependencies or scripts.
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { buildIfStale } from './build.js';
import { USED_PARTS } from './used_parts.js';

const root = fileURLToPath(new URL('..', import.meta.url));
const readJson = (path) => JSON.parse(readFileSync(path, 'utf8'));
const writeJson = (path, value) => writeFileSync(path, `${JSON.stringify(value, null, 2)}\n`);

await buildIfStale();
const stage = mkdtempSync(join(tmpdir(), 'thinlens-pack-'));
try {
  const {
    devDependencies: _dev,
    scripts: _scripts,
    overrides: _overrides,
    ...manifest
  } = readJson(join(root, 'package.json'));
  writeJson(join(stage, 'package.json'), manifest);
  for (const file of ['bin', 'LICENSE', 'NOTICE', 'README.md', 'openapi/openapi.yaml']) {
    cpSync(join(root, file), join(stage, file), { recursive: true });
  }
  for (const part of readdirSync(join(root, 'dist'))) {
    if (['test', 'bench', '.stamp'].includes(part)) continue;
    cpSync(join(root, 'dist', part), join(stage, 'dist', part), { recursive: true });
  }
  mkdirSync(join(stage, 'weights'));
  for (const file of readdirSync(join(root, 'weights'))) {
    if (/\.(safetensors|int8\.json)$/.test(file))
      cpSync(join(root, 'weights', file), join(stage, 'weights', file));
  }
  cpSync(join(root, 'samples'), join(stage, 'samples'), { recursive: true });
  for (const name of manifest.bundleDependencies) bundle(name);
  const packed = spawnSync('npm', ['pack', stage, '--ignore-scripts', '--loglevel=error'], {
    stdio: 'inherit',
  });
  process.exitCode = packed.status ?? 1;
} finally {
  rmSync(stage, { recursive: true, force: true });
}

/** Puts what is used of a package beside its licence and as much of its package.json as says what and whose it is. */
function bundle(name) {
  const from = join(root, 'node_modules', name);
  const to = join(stage, 'node_modules', name);
  const { version, license, author, repository } = readJson(join(from, 'package.json'));
  const description = `Of ${name} ${version} only what thinlens uses, as published; bundled with it, and this file changed.`;
  mkdirSync(to, { recursive: true });
  for (const part of USED_PARTS[name]) cpSync(join(from, part), join(to, part), { recursive: true });
  writeJson(join(to, 'package.json'), { name, version, description, license, author, repository });
}
