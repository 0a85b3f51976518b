// Removes from an installation what only other platforms, compilers, installers, browsers and readers use. Licences stay.
//   node scripts/image/prune.js FOLDER
import { existsSync, readdirSync, readFileSync, rmdirSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { USED_PARTS } from '../used_parts.js';

const root = process.argv[2];
const modules = join(root, 'node_modules');
const remove = (path) => rmSync(path, { recursive: true, force: true });
const { platform, arch } = process;

// onnxruntime-node carries its library for every platform, and headers of those that its GPU providers would be fetched to.
const runtimes = join(modules, 'onnxruntime-node', 'bin');
for (const version of readdirSync(runtimes)) {
  for (const system of readdirSync(join(runtimes, version))) {
    for (const cpu of readdirSync(join(runtimes, version, system))) {
      const folder = join(runtimes, version, system, cpu);
      if (system !== platform || cpu !== arch) remove(folder);
      else
        for (const file of readdirSync(folder))
          if (/cuda|tensorrt|webgpu|dawn/i.test(file)) remove(join(folder, file));
    }
  }
}

// Debian's C library is glibc: sharp's builds for musl are another platform's.
const images = join(modules, '@img');
for (const name of readdirSync(images)) if (name.includes('musl')) remove(join(images, name));

for (const [name, parts] of Object.entries(USED_PARTS)) {
  for (const part of readdirSync(join(modules, name))) {
    if (part !== 'package.json' && !parts.includes(part)) remove(join(modules, name, part));
  }
}
// What compiles sharp, what fetches ONNX Runtime's GPU libraries, and protobufjs for browsers.
for (const part of ['sharp/src', 'sharp/install', 'onnxruntime-node/script', 'protobufjs/dist'])
  remove(join(modules, part));

/** Whether thinlens runs without a dependency: one of install scripts, of types, or of code that is not used. */
const isUnused = (by, name) =>
  name.startsWith('@types/') ||
  Object.hasOwn(USED_PARTS, by) ||
  (by === 'onnxruntime-node' && ['adm-zip', 'global-agent'].includes(name));
/** The folders of packages that something loads. */
const needed = new Set();
function follow(folder) {
  if (needed.has(folder)) return;
  needed.add(folder);
  const manifest = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
  const { dependencies, optionalDependencies, peerDependencies } = manifest;
  for (const name of Object.keys({ ...dependencies, ...optionalDependencies, ...peerDependencies })) {
    if (isUnused(manifest.name, name)) continue;
    // As Node.js looks for it: upwards.
    for (let from = folder; from.startsWith(root); from = dirname(from)) {
      const found = join(from, 'node_modules', name);
      if (!existsSync(join(found, 'package.json'))) continue;
      follow(found);
      break;
    }
  }
}
follow(root);
function prunePackages(folder) {
  for (const name of readdirSync(folder)) {
    const path = join(folder, name);
    if (name.startsWith('@')) prunePackages(path);
    else if (!needed.has(path)) remove(path);
    else if (existsSync(join(path, 'node_modules'))) prunePackages(join(path, 'node_modules'));
  }
}
prunePackages(modules);

const FOLDERS = new Set([
  'test',
  'tests',
  '__tests__',
  'docs',
  'example',
  'examples',
  'benchmark',
  'benchmarks',
  '.github',
]);
const FILES =
  /\.(d\.[cm]?ts|[cm]?ts|map|markdown|md|h|hpp|cc|gyp|tsbuildinfo|ya?ml)$|^(tsconfig.*\.json|(readme|changelog|changes|history)(\.txt)?)$|^\./i;
const LICENCES = /^(licen[cs]e|notice|copying|third|authors)/i;
function clean(folder) {
  const entries = readdirSync(folder, { withFileTypes: true });
  // Some packages say in their README alone under what licence they, and what they bundle, may be used.
  const isPackage = entries.some(({ name }) => name === 'package.json');
  const isLicensed = entries.some(({ name }) => LICENCES.test(name));
  const keeps = (name) => LICENCES.test(name) || (isPackage && !isLicensed && /^readme/i.test(name));
  for (const entry of entries) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) {
      // A package may be called so; what lies inside one may not be code.
      const holdsPackage = existsSync(join(path, 'package.json'));
      if ((FOLDERS.has(entry.name) || entry.name.startsWith('.')) && !holdsPackage) remove(path);
      else clean(path);
    } else if (FILES.test(entry.name) && !keeps(entry.name)) remove(path);
  }
  if (readdirSync(folder).length === 0) rmdirSync(folder);
}
clean(modules);
clean(join(root, 'dist'));
