// Runs the compiled tests with Node's own runner. `unit` is everything that needs Node and npm packages only;
// `system` is what needs Debian's programs (promtool) or the shared evaluation photos beside the checkout.
// A list of files is passed instead of a folder because Node 20 and 22 read a folder argument differently.
//   node scripts/test.js unit [part of a file name ...]
import { spawn } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { buildIfStale } from './build.js';

const root = fileURLToPath(new URL('..', import.meta.url));
const [suite = 'unit', ...filters] = process.argv.slice(2);
if (suite !== 'unit' && suite !== 'system') {
  console.error(`unknown suite '${suite}': unit or system`);
  process.exit(2);
}
await buildIfStale();

const suffix = suite === 'unit' ? '.test.js' : '.system.js';
const files = readdirSync(join(root, 'dist', 'test'), { recursive: true, withFileTypes: true })
  .filter((entry) => entry.isFile() && entry.name.endsWith(suffix))
  .map((entry) => relative(root, join(entry.parentPath ?? entry.path, entry.name)))
  .filter((file) => filters.length === 0 || filters.some((part) => file.includes(part)))
  .sort();
if (files.length === 0) {
  console.error(`no ${suite} test matches ${filters.join(' ')}`);
  process.exit(1);
}
const child = spawn(
  process.execPath,
  ['--enable-source-maps', '--test', '--test-reporter=spec', '--test-concurrency=2', ...files],
  // Tests use ONNX Runtime by itself too; see server/inference/no_telemetry.ts.
  { cwd: root, stdio: 'inherit', env: { ...process.env, ORT_DISABLE_TELEMETRY: '1' } },
);
child.on('exit', (code, signal) => process.exit(signal ? 1 : code));
