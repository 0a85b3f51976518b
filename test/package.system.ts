// The package as somebody gets it: made, installed by npm in an empty folder, imported, run and type-checked there.
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { after, before, test } from 'node:test';
import { freePort } from '../bench/support/free_port.ts';
import { until } from './server/harness.ts';
import { wholePage } from './whole_page.ts';

const root = process.cwd();
const folder = mkdtempSync(join(tmpdir(), 'thinlens-consumer-'));
after(() => rmSync(folder, { recursive: true, force: true }));

const inherited = Object.entries(process.env).filter(([name]) => !/^(THINLENS_|npm_)/.test(name));
const environment = { ...Object.fromEntries(inherited), THINLENS_HOME: join(folder, 'home') };
const run = (command: string, args: readonly string[], cwd = folder): string =>
  execFileSync(command, args, {
    cwd,
    env: environment,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
  });

/** Names of the packages below a folder, however deep. */
function packagesBelow(path: string): string[] {
  return readdirSync(path, { recursive: true, encoding: 'utf8' }).flatMap((file) => {
    const [, name] =
      /(?:^|\/)node_modules\/((?:@[^/]+\/)?[^/@.][^/]*)\/package\.json$/.exec(`node_modules/${file}`) ?? [];
    return name ? [name] : [];
  });
}

before(() => {
  const version: string = JSON.parse(readFileSync('package.json', 'utf8')).version;
  run(process.execPath, [resolve('scripts/pack.js')]);
  // npm installs into the folder that has one, and looks for it upwards.
  writeFileSync(join(folder, 'package.json'), '{ "type": "module" }');
  const flags = ['--ignore-scripts', '--prefer-offline', '--no-audit', '--no-fund', '--loglevel=error'];
  run('npm', ['install', ...flags, `./thinlens-${version}.tgz`]);
});

test('no TensorFlow.js, express 4 or canvas comes with it', () => {
  const names = packagesBelow(join(folder, 'node_modules'));
  assert.ok(names.includes('thinlens') && names.includes('onnxruntime-node'), names.join());
  assert.deepEqual(
    names.filter((name) => /tensorflow|canvas|pureimage|scarf|empty-npm-package/.test(name)),
    [],
  );
  const { version } = JSON.parse(readFileSync(join(folder, 'node_modules/express/package.json'), 'utf8'));
  assert.match(version, /^5\./);
  assert.equal(names.filter((name) => name === 'express').length, 1);
});

test("the guide's example runs", () => {
  const guide = readFileSync('docs/guides/library.md', 'utf8');
  const example = /```js\n(.*?)```/s.exec(guide)?.[1] ?? assert.fail('there is none');
  writeFileSync(join(folder, 'example.js'), example);
  const output = run(process.execPath, ['example.js']);
  // 400.5 M, as the README says of this network.
  assert.match(output, /madds: 400485836,/);
  assert.match(output, /peakMemoryBytes: \d+ /);
  assert.match(output, /classId: \d+/);
});

test('the command finds what is in a photo, with the default model', () => {
  const photo = join(root, 'samples/street.jpg');
  const { model, images } = JSON.parse(run('npx', ['--no-install', 'thinlens', 'detect', photo, '--json']));
  assert.equal(model, 'ssdlite_mobilenet_v2_coco');
  assert.deepEqual(
    images[0].detections.map(({ label }: { label: string }) => label),
    ['stop sign', 'clock'],
  );
});

test('every model that it lists is there', () => {
  const { models } = JSON.parse(run('npx', ['--no-install', 'thinlens', 'models', '--json']));
  assert.equal(models.length, 6);
  for (const { name, state } of models) assert.notEqual(state, 'unavailable', name);
});

test('its server has both pages', async () => {
  const port = await freePort();
  const args = ['serve', '--port', String(port), '--models', 'ssdlite_mobilenet_v2_coco'];
  const server = spawn(process.execPath, ['node_modules/thinlens/bin/thinlens.js', ...args], {
    cwd: folder,
    env: environment,
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  const exited = once(server, 'exit');
  const url = `http://127.0.0.1:${port}`;
  try {
    const lives = () =>
      fetch(`${url}/livez`).then(
        ({ ok }) => ok,
        () => false,
      );
    await until(async () => server.exitCode !== null || (await lives()), 'it lives');
    const page = await wholePage(`${url}/`);
    for (const path of ['/playground/page.js', '/playground/style.css'])
      assert.ok(page.includes(path), page.join());
    const reference = await wholePage(`${url}/docs/`);
    for (const path of ['/docs/swagger-ui-bundle.js', '/docs/swagger-ui.css'])
      assert.ok(reference.includes(path), reference.join());
  } finally {
    server.kill('SIGTERM');
  }
  assert.deepEqual(await exited, [0, null]);
});

test('types resolve', () => {
  writeFileSync(
    join(folder, 'consumer.ts'),
    `import { buildModel, cost, type Graph } from 'thinlens';
const graph: Graph = buildModel({ backbone: 'mobilenet_v2', head: 'deeplabv3' }).graph;
export const madds: number = cost(graph).madds;
`,
  );
  const compiler = join(root, 'node_modules/typescript/bin/tsc');
  const options = ['--noEmit', '--strict', '--module', 'nodenext', '--target', 'es2023'];
  run(process.execPath, [compiler, ...options, 'consumer.ts']);
  writeFileSync(join(folder, 'wrong.ts'), "import { cost } from 'thinlens';\ncost('mobilenet_v2');\n");
  assert.throws(() => run(process.execPath, [compiler, ...options, 'wrong.ts']));
});

test('nothing that only development needs is in it', () => {
  const own = join(folder, 'node_modules/thinlens');
  assert.deepEqual(readdirSync(own).sort(), [
    'LICENSE',
    'NOTICE',
    'README.md',
    'bin',
    'dist',
    'node_modules',
    'openapi',
    'package.json',
    'samples',
    'weights',
  ]);
  assert.equal(existsSync(join(own, 'dist/test')), false);
  const { private: isPrivate, scripts } = JSON.parse(readFileSync(join(own, 'package.json'), 'utf8'));
  assert.deepEqual([isPrivate, scripts], [undefined, undefined]);
});
