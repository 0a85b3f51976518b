// `thinlens doctor`: each check well, and each with what it is there to find.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { copyFile, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, beforeEach, describe, test } from 'node:test';
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
import {
  checkCompiled,
  checkFolder,
  checkImported,
  checkQuantized,
  checkWeights,
} from '../../../server/doctor/store.ts';
import { checkOnnxRuntime, checkPort, checkSharp } from '../../../server/doctor/surroundings.ts';
import { catalog } from '../../../server/zoo/catalog.ts';
import { sha256Of } from '../../../server/zoo/files.ts';
import type { ModelRecord, PackageSource } from '../../../server/zoo/record.ts';

const ENGINES = JSON.parse(await readFile('package.json', 'utf8')).engines.node as string;
const MEBI = 2 ** 20;
const shipped =
  catalog.find(({ source }) => source.kind === 'package') ?? assert.fail('no weights come with it');
let folder: string;
let home: string;
let homes = 0;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'thinlens-doctor-'));
});
after(() => rm(folder, { recursive: true, force: true }));
beforeEach(async () => {
  homes += 1;
  home = join(folder, `home-${homes}`);
  await mkdir(home);
});

/** The finding is of this state, with what to do where that is not ok. */
function found(finding: Finding, state: Finding['state'], detail: RegExp, remedy?: RegExp): void {
  assert.equal(finding.state, state, JSON.stringify(finding));
  assert.match(finding.detail, detail);
  if (remedy) assert.match(finding.remedy ?? '', remedy);
  assert.equal(finding.remedy === undefined, state === 'ok');
  if (finding.remedy) assert.match(finding.remedy, /^[A-Z].*\.$/);
}

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

  test('no more threads than CPUs', () => {
    found(
      checkCpus(2, 64, { workers: 2, threads: 1 }),
      'ok',
      /2 of the machine's 64 CPUs.*2 workers of 1 thread/,
    );
    found(checkCpus(2, 2, { workers: 2, threads: 2 }), 'problem', /2 workers of 2 threads/, /--workers/);
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

describe('the store', () => {
  test('can be written, and is left as it was', async () => {
    found(await checkFolder(home), 'ok', /can be written/);
    assert.deepEqual(await readdir(home), []);
    found(await checkFolder(join(home, 'not', 'yet')), 'ok', /will be made/);
    assert.deepEqual(await readdir(home), []);
    await writeFile(join(home, 'file'), '');
    found(await checkFolder(join(home, 'file')), 'problem', /is not a folder/, /--home/);
    found(await checkFolder(join(home, 'file', 'below')), 'problem', /cannot be written/, /--home/);
  });

  test('compiled files are held against their hashes', async () => {
    found(await checkCompiled(home), 'ok', /^0 compiled/);
    const compiled = join(home, 'compiled');
    await mkdir(compiled);
    const bytes = Buffer.from('a network');
    await writeFile(join(compiled, 'x-fp32-1.onnx'), bytes);
    await writeFile(join(compiled, 'x-fp32-1.onnx.sha256'), `${sha256Of(bytes)}\n`);
    found(await checkCompiled(home), 'ok', /^1 compiled/);
    await writeFile(join(compiled, 'x-fp32-1.onnx'), 'another');
    await writeFile(join(compiled, 'y-fp32-1.onnx'), 'without a hash');
    found(await checkCompiled(home), 'warning', /x-fp32-1\.onnx, y-fp32-1\.onnx/, /compiled again/);
  });

  test('imported records are read', async () => {
    found(checkImported(home), 'ok', /^0 imported/);
    await mkdir(join(home, 'imported'));
    await writeFile(join(home, 'imported', 'mine.json'), '{}');
    found(checkImported(home), 'problem', /mine\.json cannot be used/, /--remove/);
  });

  test('quantised files are read', async () => {
    found(await checkQuantized(catalog, home), 'ok', /6 of 6/);
    const quantized = join(home, 'quantized');
    await mkdir(quantized);
    await writeFile(join(quantized, 'stranger.json'), '{}');
    found(await checkQuantized(catalog, home), 'warning', /stranger\.json is of no model/, /delete/);
    await writeFile(join(quantized, `${shipped.name}.json`), '{}');
    found(await checkQuantized(catalog, home), 'problem', /cannot be used/, /fp32/);
  });

  test('weights are there, and those that are pinned', async () => {
    found(await checkWeights(shipped, home), 'ok', new RegExp(shipped.source.sha256.slice(0, 16)));
    const source = shipped.source as PackageSource;
    const other: ModelRecord = { ...shipped, source: { ...source, sha256: '0'.repeat(64) } };
    found(await checkWeights(other, home), 'problem', /pinned is 0{64}/, /Install thinlens again/);
    const gone: ModelRecord = { ...shipped, source: { ...source, file: 'gone.safetensors' } };
    found(await checkWeights(gone, home), 'problem', /gone\.safetensors is missing/, /Install/);
    // An imported one: the same bytes, then fewer.
    await mkdir(join(home, 'imported'));
    const path = join(home, 'imported', source.file);
    await copyFile(join('weights', source.file), path);
    const imported: ModelRecord = {
      ...shipped,
      name: 'mine',
      source: { ...source, kind: 'imported', origin: 'mine.safetensors', leftOut: [] },
    };
    found(await checkWeights(imported, home), 'ok', /as pinned/);
    await writeFile(path, (await readFile(path)).subarray(0, 1000));
    found(await checkWeights(imported, home), 'problem', /SHA-256/, /--remove mine/);
  });
});

describe('what it runs on', () => {
  const broken = () => Promise.reject(new Error('cannot open shared object file'));

  test('ONNX Runtime loads, and has the execution provider', async () => {
    found(await checkOnnxRuntime('cpu'), 'ok', /cpu/);
    found(
      await checkOnnxRuntime('coreml'),
      'problem',
      /no execution provider 'coreml'/,
      /--execution-provider/,
    );
    found(await checkOnnxRuntime('cpu', broken), 'problem', /shared object/, /npm ci/);
  });

  test('sharp works', async () => {
    found(await checkSharp(), 'ok', /libvips \d/);
    found(await checkSharp(broken), 'problem', /shared object/, /npm ci/);
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
    const findings = await examine({ port: '0', workers: '1' }, { THINLENS_HOME: home });
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

  test('a wrong setting is a problem, and the rest is checked with those that are right', async () => {
    const environment = { THINLENS_HOME: home, THINLENS_PORT: '0', THINLENS_MAX_BATCH: 'many' };
    const findings = await examine({}, environment);
    const of = (check: string) => findings.find((finding) => finding.check === check) ?? assert.fail(check);
    found(
      of('settings'),
      'problem',
      /^THINLENS_MAX_BATCH is 'many', but must be: whole number, 1 to 1024/,
      /settings\.md/,
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
    assert.match(good.text, /0 problems, \d+ warnings, \d+ ok$/);
    assert.equal(good.exit, 0);
  });
});
