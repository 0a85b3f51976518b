// The container without an engine for containers: the Dockerfile's own steps, by a user without rights, in an empty folder; then its own
// command, environment and health check, from a tree that nobody can write to.
import assert from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import { execFileSync, spawn, spawnSync } from 'node:child_process';
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
import { freePort } from '../bench/support/free_port.ts';
import { until } from './server/harness.ts';
import { wholePage } from './whole_page.ts';

const dockerfile = readFileSync('Dockerfile', 'utf8').replaceAll('\\\n', ' ');
const [, building = '', running = ''] = dockerfile.split(/^FROM /m);
const instructions = (stage: string, name: string) =>
  [...stage.matchAll(new RegExp(`^${name} (.*)$`, 'gm'))].map(([, rest = '']) => rest);
const only = (stage: string, name: string) =>
  instructions(stage, name)[0] ?? assert.fail(`there is no ${name}`);

/** Whether .dockerignore keeps a path out of the build. Source: the rules of docs.docker.com/build/concepts/context, "Syntax". */
const keptOut = (() => {
  const lines = readFileSync('.dockerignore', 'utf8').split('\n');
  const rules = lines.filter((line) => line.trim() !== '' && !line.startsWith('#'));
  assert.ok(rules.length > 0 && !rules.some((rule) => rule.startsWith('!')), 'no exceptions are read here');
  const patterns = rules.map((rule) => {
    const [anywhere = '', rest = ''] = /^(\*\*\/)?\/?(.*?)\/?$/.exec(rule)?.slice(1) ?? [];
    const name = rest.replace(/[.+^${}()|[\]\\]/g, '\\$&').replaceAll('*', '[^/]*');
    return new RegExp(`^${anywhere && '(.*/)?'}${name}(/|$)`);
  });
  return (path: string) => patterns.some((pattern) => pattern.test(path));
})();

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
    if (keptOut(file) || !existsSync(file)) continue;
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

test('what a working copy has beside the sources stays out of the build', () => {
  for (const path of [
    '.git/config',
    'node_modules/express/package.json',
    'bench/node_modules/x/package.json',
    'dist/index.js',
    'runs/1.json',
    'screenshots/page.png',
    'training/__pycache__/x.pyc',
    'thinlens-0.1.0.tgz',
    'bench/x.tgz',
  ]) {
    assert.ok(keptOut(path), `${path} would be sent to the build`);
  }
});

test('the first process is one that passes signals on and reaps, and the image installs it', () => {
  const [program, args] = command('ENTRYPOINT');
  assert.deepEqual([program, args], ['tini', ['--']]);
  const [installed = ''] = instructions(running, 'RUN').flatMap(
    (step) => /apt-get install ([^&]*)/.exec(step)?.[1] ?? [],
  );
  assert.ok(installed.split(' ').includes(program), `it installs ${installed}`);
});

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
    const page = await wholePage(`http://127.0.0.1:${port}/`);
    for (const path of ['/playground/page.js', '/playground/style.css'])
      assert.ok(page.includes(path), page.join());
    const reference = await wholePage(`http://127.0.0.1:${port}/docs/`);
    for (const path of ['/docs/swagger-ui-bundle.js', '/docs/swagger-ui.css'])
      assert.ok(reference.includes(path), reference.join());
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

test('its health is asked where the server listens', () => {
  const [node, script] = command('HEALTHCHECK');
  // Says where it is asked, instead of asking there.
  const spy = 'data:text/javascript,globalThis.fetch=async(url)=>{console.log(url);return{ok:true}}';
  for (const [given, wanted] of [
    [{}, 'http://127.0.0.1:8080/readyz'],
    [{ THINLENS_HOST: '127.0.0.1', THINLENS_PORT: '9000' }, 'http://127.0.0.1:9000/readyz'],
    [{ THINLENS_HOST: '::1' }, 'http://[::1]:8080/readyz'],
    [{ THINLENS_HOST: '::' }, 'http://[::1]:8080/readyz'],
    [{ THINLENS_HOST: '10.1.2.3' }, 'http://10.1.2.3:8080/readyz'],
    // What Kubernetes sets for a service of this name, and the server passes over.
    [{ THINLENS_PORT: 'tcp://10.0.0.1:80' }, 'http://127.0.0.1:8080/readyz'],
  ] as const) {
    const { THINLENS_PORT: _, ...env } = served(0);
    const asked = execFileSync(node, ['--import', spy, ...script], {
      cwd: app,
      env: { ...env, THINLENS_PORT: '8080', ...given },
      encoding: 'utf8',
      ...as,
    });
    assert.equal(asked.trim(), wanted, JSON.stringify(given));
  }
});

test('its commands run in it', () => {
  const start = (...args: string[]) => {
    const options = { cwd: app, env: served(8080), encoding: 'utf8', ...as } as const;
    return spawnSync(process.execPath, ['bin/thinlens.js', ...args, '--json'], options);
  };
  const run = (...args: string[]) => {
    const { status, stdout, stderr } = start(...args);
    assert.equal(status, 0, `${args.join(' ')}: ${stderr}`);
    return JSON.parse(stdout);
  };
  const { images } = run('detect', 'samples/street.jpg');
  assert.deepEqual(
    images[0].detections.map(({ label }: { label: string }) => label),
    ['stop sign', 'clock'],
  );
  const bench = run('bench', '--model', 'ssdlite_mobilenet_v2_coco', '--rounds', '1');
  assert.deepEqual(
    bench.photos,
    readdirSync('samples').filter((name) => name.endsWith('.jpg')),
  );
  const { checks } = JSON.parse(start('doctor').stdout) as { checks: { check: string; state: string }[] };
  const states = new Map(checks.map(({ check, state }) => [check, state]));
  for (const check of ['onnxruntime', 'sharp', 'compiled', 'quantized'])
    assert.equal(states.get(check), 'ok', check);
});

test('whose each package is stays with it', () => {
  const packages = readdirSync(join(app, 'node_modules'), { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('package.json'))
    .map((file) => join('node_modules', dirname(file)));
  assert.ok(packages.includes('node_modules/sharp') && packages.length > 100, packages.join());
  const texts = packages.flatMap((path) => {
    const named = (pattern: RegExp) => readdirSync(path).filter((name) => pattern.test(name));
    const licences = named(/^(licen[cs]e|notice|copying|third)/i);
    // ONNX Runtime's packages and libvips' have it in their README alone.
    return (licences.length > 0 ? licences : named(/^readme/i)).map((name) => join(path, name));
  });
  assert.ok(texts.some((path) => /onnxruntime-node.README/.test(path)) && texts.length > 100, texts.join());
  assert.deepEqual(
    texts.filter((path) => !existsSync(join(app, path))),
    [],
  );
});

test('what it does not need is not there', (context) => {
  const files = readdirSync(app, { recursive: true, encoding: 'utf8' });
  const unused: readonly RegExp[] = [
    // Of development, and of packages that this project replaces.
    /(^|\/)(typescript|@biomejs|@tensorflow[^/]*|@types|@scarf|playwright-core|dist\/(test|bench))(\/|$)/,
    // Of other platforms.
    /\.(dylib|dll|lib)$|musl|(^|\/)(win32|darwin)(\/|$)/,
    // Of compilers, installers and browsers.
    /\.(h|hpp|cc|gyp|map|ts|[cm]ts|tsbuildinfo)$|\/tsconfig[^/]*\.json$/,
    /node_modules\/(adm-zip|global-agent|globalthis|sharp\/(src|install)|onnxruntime-node\/script|protobufjs\/dist)(\/|$)/,
    /swagger-ui-dist\/.*(es-bundle|standalone|oauth2|index\.|initializer|log\.)/,
  ];
  // Of readers, where a licence lies beside it.
  const isLicensed = (path: string) =>
    readdirSync(join(app, dirname(path))).some((name) => /^(licen[cs]e|notice)/i.test(name));
  assert.deepEqual(
    files.filter(
      (file) =>
        /node_modules\/.*\/(readme|changelog|history)(\.md|\.markdown|\.txt)?$/i.test(file) &&
        isLicensed(file),
    ),
    [],
  );
  for (const pattern of unused) {
    assert.deepEqual(
      files.filter((file) => pattern.test(file)),
      [],
      String(pattern),
    );
  }
  const runtimes = files.filter((file) => file.endsWith('onnxruntime_binding.node'));
  assert.equal(runtimes.length, 1, runtimes.join());
  const written = execFileSync('find', [app, '-perm', '/222', '!', '-type', 'l'], { encoding: 'utf8' });
  assert.equal(written, '');
  const archive = join(folder, 'app.tar.gz');
  execFileSync('tar', ['czf', archive, '-C', folder, 'app']);
  const mebibytes = statSync(archive).size / 2 ** 20;
  context.diagnostic(`the tree as tar.gz: ${mebibytes.toFixed(1)} MiB`);
  assert.ok(mebibytes < 160, `${mebibytes} MiB`);
});
