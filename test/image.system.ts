// The container without an engine for containers: the Dockerfile's own steps, by a user without rights, in an empty folder; then its own
// command, environment and health check, from a tree that nobody can write to.
import assert from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, before, test } from 'node:test';
import { freePort } from './free_port.ts';
import { until } from './server/harness.ts';

const dockerfile = readFileSync('Dockerfile', 'utf8').replaceAll('\\\n', ' ');
const [, building = '', running = ''] = dockerfile.split(/^FROM /m);
const instructions = (stage: string, name: string) =>
  [...stage.matchAll(new RegExp(`^${name} (.*)$`, 'gm'))].map(([, rest = '']) => rest);
const only = (stage: string, name: string) =>
  instructions(stage, name)[0] ?? assert.fail(`there is no ${name}`);

const folder = mkdtempSync(join(tmpdir(), 'thinlens-image-'));
chmodSync(folder, 0o755);
const [source, home, app] = ['src', 'home', 'app'].map((name) => join(folder, name)) as [
  string,
  string,
  string,
];
const isRoot = process.getuid?.() === 0;
/** As the Dockerfile's USER, where this process may become another. */
const user = only(running, 'USER');
const [uid, gid] = user.split(':').map(Number) as [number, number];
const as = isRoot ? { uid, gid } : {};

const registry = execFileSync('npm', ['config', 'get', 'registry', '--loglevel=silent'], {
  encoding: 'utf8',
}).trim();
const inherited = Object.entries(process.env).filter(([name]) => !/^(THINLENS_|ORT_|npm_)/.test(name));
const environment = {
  ...Object.fromEntries(inherited),
  HOME: home,
  npm_config_registry: registry,
  npm_config_loglevel: 'error',
};

after(() => {
  if (existsSync(app)) execFileSync('chmod', ['-R', 'u+w', app]);
  rmSync(folder, { recursive: true, force: true });
});

before(() => {
  const files = execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard'], {
    encoding: 'utf8',
  });
  for (const file of files.trim().split('\n')) {
    if (/^(docs|training|test\/fixtures)\//.test(file) || !existsSync(file)) continue;
    mkdirSync(dirname(join(source, file)), { recursive: true });
    if (statSync(file).isFile()) cpSync(file, join(source, file));
  }
  for (const path of [home, app]) mkdirSync(path);
  if (isRoot) execFileSync('chown', ['-R', user, folder]);
  for (const step of instructions(building, 'RUN')) {
    const stdio = ['ignore', 'ignore', 'inherit'] as const;
    execFileSync('sh', ['-c', step.replaceAll('/app', app)], {
      cwd: source,
      env: environment,
      stdio: [...stdio],
      ...as,
    });
  }
  rmSync(source, { recursive: true });
});

/** The Dockerfile's ENV, in the folder that stands for /app, and on a port of its own. */
function served(port: number): NodeJS.ProcessEnv {
  const pairs = only(running, 'ENV')
    .split(' ')
    .map((pair) => pair.replaceAll('/app', app).split('='));
  return {
    ...environment,
    ...Object.fromEntries(pairs),
    THINLENS_PORT: String(port),
    TMPDIR: join(app, 'no-such'),
  };
}

const command = (name: string): [string, string[]] => {
  const [program = '', ...args] = JSON.parse(/\[.*\]/.exec(only(running, name))?.[0] ?? '[]') as string[];
  return [program, args];
};

test('it serves photos from a tree that cannot be written, is healthy, and ends with 0', async () => {
  const port = await freePort();
  const env = served(port);
  assert.equal(env.THINLENS_HOST, '0.0.0.0');
  const [program, args] = command('CMD');
  const options = { cwd: app, env, ...as };
  const server: ChildProcess = spawn(program, args, { ...options, stdio: ['ignore', 'pipe', 'inherit'] });
  let log = '';
  server.stdout?.on('data', (chunk) => {
    log += chunk;
  });
  const exited = once(server, 'exit');
  try {
    const probe = () => {
      const [node, script] = command('HEALTHCHECK');
      const run = spawn(node, script, { ...options, stdio: 'ignore' });
      return once(run, 'exit').then(([code]) => code as number);
    };
    assert.equal(await probe(), 1);
    await until(async () => server.exitCode !== null || (await probe()) === 0, 'it is healthy');
    for (const [path, wanted] of [
      ['detect', '"label":"stop sign"'],
      ['segment', '"segments":['],
    ] as const) {
      const body = readFileSync('samples/street.jpg');
      const response = await fetch(`http://127.0.0.1:${port}/v1/${path}`, { method: 'POST', body });
      const text = await response.text();
      assert.equal(response.status, 200, text);
      assert.ok(text.includes(wanted), text);
    }
    const { models } = (await (await fetch(`http://127.0.0.1:${port}/v1/models`)).json()) as {
      models: { state: string }[];
    };
    assert.deepEqual(
      models.map(({ state }) => state),
      Array(6).fill('ready'),
    );
  } finally {
    server.kill('SIGTERM');
  }
  assert.deepEqual(await exited, [0, null], log);
});

test('both precisions open from the store as it was baked', async () => {
  for (const precision of ['fp32', 'int8']) {
    const before = readdirSync(join(app, 'models/compiled')).sort();
    const options = {
      cwd: app,
      env: served(0),
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'inherit'],
    } as const;
    const port = await freePort();
    const args = ['bin/thinlens.js', 'serve', '--precision', precision, '--port', String(port)];
    const server = spawn(process.execPath, args, {
      ...options,
      stdio: ['ignore', 'ignore', 'inherit'],
      ...as,
    });
    const exited = once(server, 'exit');
    try {
      const isReady = () =>
        fetch(`http://127.0.0.1:${port}/readyz`).then(
          ({ ok }) => ok,
          () => false,
        );
      await until(async () => server.exitCode !== null || (await isReady()), 'it is ready');
    } finally {
      server.kill('SIGTERM');
    }
    assert.deepEqual(await exited, [0, null], precision);
    assert.deepEqual(readdirSync(join(app, 'models/compiled')).sort(), before);
  }
});

test('what it does not need is not there', (context) => {
  const files = readdirSync(app, { recursive: true, encoding: 'utf8' });
  assert.deepEqual(
    files.filter((file) =>
      /(^|\/)(typescript|biome|tensorflow|dist\/test)(\/|$)|\.d\.ts$|\.map$|\.dylib$|\.dll$/.test(file),
    ),
    [],
  );
  const runtimes = files.filter((file) => file.endsWith('onnxruntime_binding.node'));
  assert.equal(runtimes.length, 1, runtimes.join());
  const written = execFileSync('find', [app, '-perm', '/222', '!', '-type', 'l'], { encoding: 'utf8' });
  assert.equal(written, '');
  const archive = join(folder, 'app.tar.gz');
  execFileSync('tar', ['czf', archive, '-C', folder, 'app']);
  const mebibytes = statSync(archive).size / 2 ** 20;
  context.diagnostic(`the tree as tar.gz: ${mebibytes.toFixed(1)} MiB`);
  assert.ok(mebibytes < 300);
});
