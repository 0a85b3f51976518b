// `thinlens doctor`: each check well, and each with what it is there to find.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { beforeEach, describe, test } from 'node:test';
import semver from 'semver';
import { doctorCommand, examine } from '../../../server/commands/doctor.ts';
import type { Finding } from '../../../server/doctor/finding.ts';
import {
  checkCpus,
  checkMemory,
  checkNode,
  checkPlatform,
  memoryNeeded,
  satisfies,
} from '../../../server/doctor/machine.ts';
import { triedProviders } from '../../../server/doctor/providers.ts';
import { checkOnnxRuntime, checkPort, checkSharp } from '../../../server/doctor/surroundings.ts';
import { listSupportedBackends } from '../../../server/inference/onnx_runtime.ts';
import { formFor } from '../../../server/inference/open.ts';
import { catalog } from '../../../server/zoo/catalog.ts';
import { ModelStore } from '../../../server/zoo/store.ts';
import { found } from './found.ts';
import { emptyHomes, shipped } from './store_home.ts';
import { withoutRights } from './without_rights.ts';

const ENGINES = JSON.parse(await readFile('package.json', 'utf8')).engines.node as string;
const MEBI = 2 ** 20;
const emptyHome = emptyHomes();
let home: string;
beforeEach(async () => {
  home = await emptyHome();
});

describe('the machine', () => {
  test('a version of Node is right where semver says so', () => {
    for (const version of [
      '18.19.0',
      '20.19.9',
      '20.20.0',
      '20.21.1',
      '21.7.0',
      '22.12.9',
      '22.13.0',
      '22.99.0',
      '23.5.0',
      '24.0.0',
      '25.1.2',
    ]) {
      assert.equal(satisfies(`v${version}`, ENGINES), semver.satisfies(version, ENGINES), version);
    }
    found(checkNode('v20.20.0', ENGINES), 'ok', /v20\.20\.0/);
    found(
      checkNode('v18.0.0', ENGINES),
      'problem',
      /v18\.0\.0 is none of/,
      /Install Node\.js \^20\.20\.0 or/,
    );
  });

  test('the platform, and what its CPU is good at', () => {
    const linux = { platform: 'linux', arch: 'x64' };
    found(checkPlatform(linux, 'avx512_vnni'), 'ok', /linux x64.*avx512_vnni/);
    found(checkPlatform(linux, undefined), 'warning', /fp32/, /--precision/);
    found(checkPlatform({ ...linux, platform: 'win32' }, 'avx_vnni'), 'warning', /win32 x64/, /Linux/);
  });

  test('the CPUs, and what they are used for', () => {
    found(
      checkCpus(2, 64, { workers: 2, threads: 1 }),
      'ok',
      /2 of the machine's 64 CPUs.*2 workers of 1 thread/,
    );
  });

  test('memory for the models', () => {
    const all = memoryNeeded(catalog, 2);
    // A server of all six with two workers was seen to take 870 MiB.
    assert.ok(Math.abs(all / MEBI / 870 - 1) < 0.2, `${all / MEBI} MiB`);
    assert.ok(memoryNeeded(catalog, 1) < all && memoryNeeded(catalog.slice(0, 1), 2) < all);
    const machine = { total: 4096 * MEBI, limit: 0, available: 2048 * MEBI };
    found(
      checkMemory(machine, catalog, 2),
      'ok',
      /^4096 MiB \(the machine's\), 2048 MiB of it free; 6 models/,
    );
    found(checkMemory({ ...machine, available: 300 * MEBI }, catalog, 2), 'warning', /300 MiB/, /--workers/);
    found(
      checkMemory({ ...machine, limit: 512 * MEBI }, catalog, 2),
      'problem',
      /^512 MiB \(the control/,
      /--models/,
    );
    // What Node says where there is no limit.
    found(checkMemory({ ...machine, limit: 2 ** 63 }, catalog, 2), 'ok', /machine's/);
  });
});

describe('what it runs on', () => {
  const broken = () => Promise.reject(new Error('cannot open shared object file'));

  test('ONNX Runtime loads, and has the execution provider', async () => {
    found(await checkOnnxRuntime('cpu'), 'ok', /opens networks with cpu/);
    found(
      await checkOnnxRuntime('coreml'),
      'problem',
      /no execution provider 'coreml'/,
      /--execution-provider/,
    );
    found(
      await checkOnnxRuntime('cpu', broken),
      'problem',
      /shared object/,
      /Install thinlens again; .*npm ci/,
    );
  });

  test('what the build lists is not claimed before a network was opened with it', async () => {
    const names = ['cpu', 'webgpu', 'cuda'].map((name) => ({ name }));
    const load = async () => ({
      listSupportedBackends: () => names.map((each) => ({ ...each, bundled: true })),
    });
    const tried = async () => [{ name: 'cpu' }, { name: 'webgpu', fault: 'no adapter' }];
    found(
      await checkOnnxRuntime('cpu', load, tried),
      'ok',
      /^it loads, and opens networks with cpu; not with webgpu, cuda here$/,
    );
    found(
      await checkOnnxRuntime('webgpu', load, tried),
      'problem',
      /^no adapter$/,
      /--execution-provider at cpu/,
    );
    found(await checkOnnxRuntime('cuda', load, tried), 'problem', /'cuda' did not come back/, /at cpu/);
    found(
      await checkOnnxRuntime('cpu', load, async () => []),
      'problem',
      /did not come back/,
      /Install thinlens/,
    );
  });

  test('a process opens a network with each of them, and none that is not in the build', async () => {
    const tried = await triedProviders();
    assert.deepEqual(
      tried.map(({ name }) => name),
      listSupportedBackends().map(({ name }) => name),
    );
    for (const { name, fault } of tried) {
      if (name === 'cpu') assert.equal(fault, undefined);
      // Install scripts do not run here (.npmrc), and cuda's libraries come with one.
      if (name === 'cuda') assert.match(fault ?? '', /'cuda' cannot be used: .*it needs an NVIDIA GPU/);
    }
  });

  test('one that ends the process, or never comes back from it, is not taken for one that opens', async () => {
    const script = join(home, 'ends.mjs');
    await writeFile(script, "process.send({ name: 'cpu' }, () => process.abort());");
    assert.deepEqual(await triedProviders(script), [{ name: 'cpu' }]);
    await writeFile(script, 'setInterval(() => {}, 1000);');
    assert.deepEqual(await triedProviders(script, 1000), []);
  });

  test('sharp works', async () => {
    found(await checkSharp(), 'ok', /libvips \d/);
    found(await checkSharp(broken), 'problem', /shared object/, /Install thinlens again; .*npm ci/);
  });

  test('the port is free, and free afterwards', async () => {
    const host = '127.0.0.1';
    const taken = createServer().listen(0, host);
    await once(taken, 'listening');
    const { port } = taken.address() as AddressInfo;
    found(
      await checkPort({ host, port }),
      'problem',
      new RegExp(`127\\.0\\.0\\.1:${port} .*EADDRINUSE`),
      /--port/,
    );
    taken.close();
    await once(taken, 'close');
    found(await checkPort({ host, port }), 'ok', new RegExp(`:${port} is free`));
    found(await checkPort({ host, port }), 'ok', /is free/);
    found(await checkPort({ host, port: 0 }), 'ok', /any free port/);
    found(await checkPort({ host: '192.0.2.1', port: 0 }), 'problem', /EADDRNOTAVAIL/, /--host/);
  });
});

describe('thinlens doctor', () => {
  test('checks everything, every model among it', async () => {
    // The last one is Kubernetes' own, and no setting.
    const environment = { THINLENS_HOME: home, THINLENS_PORT: 'tcp://10.0.0.1:80' };
    const findings = await examine({ port: '0', workers: '1' }, environment);
    const weights = catalog.map(({ name }) => `weights of ${name}`);
    assert.deepEqual(
      findings.map(({ check }) => check),
      [
        ...['node', 'platform', 'settings', 'cpus', 'memory', 'onnxruntime', 'sharp'],
        ...['store', 'compiled', 'imported', 'quantized', ...weights, 'port'],
      ],
    );
    const settings = findings.find(({ check }) => check === 'settings');
    assert.deepEqual([settings?.state, settings?.detail], ['ok', '--port, --workers, THINLENS_HOME']);
  });

  test('looks at the models that the server is told to load, and at no others', async () => {
    const [wanted, other] = ['ssdlite_mobilenet_v2_coco', 'ssdlite_shufflenet_v2_coco'] as const;
    await mkdir(join(home, 'quantized'));
    await writeFile(join(home, 'quantized', `${other}.json`), '{}');
    await mkdir(join(home, 'imported'));
    await writeFile(join(home, 'imported', 'broken.json'), '{}');
    const statesOf = async (flags: Record<string, string>) => {
      const findings = await examine({ port: '0', ...flags }, { THINLENS_HOME: home });
      return new Map(findings.map(({ check, state }) => [check, state]));
    };
    const told = await statesOf({ models: wanted });
    assert.deepEqual(
      [...told.keys()].filter((check) => check.startsWith('weights')),
      [`weights of ${wanted}`],
    );
    assert.deepEqual([told.get('quantized'), told.get('imported')], ['ok', 'warning']);
    const everything = await statesOf({});
    assert.deepEqual([everything.get('quantized'), everything.get('imported')], ['problem', 'problem']);
  });

  test('a store that cannot be written is well where it holds what is opened', async () => {
    await new ModelStore(home).formed(shipped, 'fp32', formFor('fp32', 'cpu') ?? assert.fail());
    const flags = { port: '0', models: shipped.name, precision: 'fp32' };
    const findings = await withoutRights(home, () => examine(flags, { THINLENS_HOME: home }));
    const of = (check: string) => findings.find((finding) => finding.check === check) ?? assert.fail(check);
    found(of('store'), 'ok', /cannot be written: EACCES.*; it need not be/);
    found(of('compiled'), 'ok', /^2 compiled files/);
  });

  test('a wrong setting is a problem, and the rest is checked with those that are right', async () => {
    const environment = { THINLENS_HOME: home, THINLENS_PORT: '0', THINLENS_MAX_BATCH: 'many' };
    const findings = await examine({}, environment);
    const of = (check: string) => findings.find((finding) => finding.check === check) ?? assert.fail(check);
    found(
      of('settings'),
      'problem',
      /^THINLENS_MAX_BATCH is 'many', but must be: whole number, 1 to 1024/,
      /thinlens serve --help/,
    );
    found(of('store'), 'ok', new RegExp(home));
    found(of('port'), 'ok', /any free port/);
  });

  test('prints one JSON object or a table, and ends with 1 only where there is a problem', async (t) => {
    const run = async (...args: string[]) => {
      const log = t.mock.method(console, 'log', () => {});
      const before = process.exitCode;
      try {
        process.exitCode = 0;
        await doctorCommand().parseAsync(['--home', home, '--port', '0', ...args], { from: 'user' });
        return { exit: process.exitCode, text: log.mock.calls.map((call) => call.arguments[0]).join('\n') };
      } finally {
        process.exitCode = before;
        log.mock.restore();
      }
    };
    const bad = await run('--json', '--max-batch', '0');
    const report = JSON.parse(bad.text) as { ok: boolean; checks: Finding[] };
    assert.deepEqual([bad.exit, report.ok], [1, false]);
    const wrong = report.checks.filter(({ state }) => state === 'problem');
    assert.match(JSON.stringify(wrong), /--max-batch is '0'/);
    const good = await run('--models', catalog[0]?.name ?? '', '--workers', '1');
    assert.match(good.text, /check.*state.*what was found/);
    assert.match(good.text, /0 problems, \d+ warnings?, \d+ ok$/);
    assert.equal(good.exit, 0);
  });
});
