// What `thinlens doctor` says of the store and of the weights.
import assert from 'node:assert/strict';
import { copyFile, mkdir, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeEach, describe, test } from 'node:test';
import type { Outlook } from '../../../server/doctor/outlook.ts';
import { outlookOf } from '../../../server/doctor/outlook.ts';
import {
  checkCompiled,
  checkFolder,
  checkImported,
  checkQuantized,
  checkWeights,
  roomAt,
} from '../../../server/doctor/store.ts';
import { byteProducts } from '../../../server/inference/cpu_features.ts';
import type { ExecutionProvider } from '../../../server/inference/execution_providers.ts';
import { formFor } from '../../../server/inference/open.ts';
import type { PrecisionSetting } from '../../../server/inference/precision.ts';
import { catalog } from '../../../server/zoo/catalog.ts';
import { sha256Of } from '../../../server/zoo/files.ts';
import type { ModelRecord, PackageSource } from '../../../server/zoo/record.ts';
import { ModelStore } from '../../../server/zoo/store.ts';
import { found } from './found.ts';
import { emptyHomes, shipped } from './store_home.ts';
import { withoutRights } from './without_rights.ts';

const emptyHome = emptyHomes();
let home: string;
beforeEach(async () => {
  home = await emptyHome();
});

describe('the store', () => {
  const kept: Outlook = { missing: [], unreadable: [] };
  const missing: Outlook = { missing: [`${shipped.name} in fp32`], unreadable: [] };
  const look = async (path: string, outlook: Outlook | undefined = kept) =>
    checkFolder(path, await roomAt(path).catch((error: Error) => error), outlook);

  test('can be written, and is left as it was', async () => {
    found(await look(home), 'ok', /can be written/);
    assert.deepEqual(await readdir(home), []);
    found(await look(join(home, 'not', 'yet')), 'ok', /will be made/);
    assert.deepEqual(await readdir(home), []);
    await mkdir(join(home, 'compiled'));
    found(await look(home), 'ok', /can be written/);
    assert.deepEqual(await readdir(join(home, 'compiled')), []);
    await writeFile(join(home, 'file'), '');
    found(await look(join(home, 'file'), missing), 'problem', /file is not a folder/, /--home/);
    found(await look(join(home, 'file', 'below'), missing), 'problem', /cannot be written/, /--home/);
  });

  test('that the system would not let anybody make is a problem', async () => {
    found(
      await look('/proc/thinlens/models', missing),
      'problem',
      /^\/proc\/thinlens\/models cannot be written: .* in \/proc; not there/,
      /--home/,
    );
  });

  test('that cannot be written is one only where something is missing', async () => {
    await mkdir(join(home, 'compiled'));
    const room = await withoutRights(home, () => roomAt(home).catch((error: Error) => error));
    assert.ok(room instanceof Error, 'it could be written');
    found(checkFolder(home, room, kept), 'ok', /cannot be written: EACCES.*; it need not be/);
    found(
      checkFolder(home, room, missing),
      'problem',
      new RegExp(`EACCES.*; not there, compiled and whole: ${shipped.name} in fp32$`),
      /--home/,
    );
    found(checkFolder(home, room, undefined), 'warning', /could not be told/, /--home/);
  });

  test('has room for what is to be compiled', () => {
    const room = { isThere: true, freeBytes: 5e6 };
    found(checkFolder(home, room, missing), 'warning', /; 5 MB free/, /200 MB/);
    found(checkFolder(home, room, undefined), 'warning', /; 5 MB free/, /200 MB/);
    found(checkFolder(home, room, kept), 'ok', /; 5 MB free/);
  });

  const room = { isThere: true, freeBytes: 1e9 };

  test('compiled files are held against their hashes', async () => {
    found(await checkCompiled(home, room, kept), 'ok', /^0 compiled/);
    const compiled = join(home, 'compiled');
    await mkdir(compiled);
    const bytes = Buffer.from('a network');
    await writeFile(join(compiled, 'x-fp32-1.onnx'), bytes);
    await writeFile(join(compiled, 'x-fp32-1.onnx.sha256'), `${sha256Of(bytes)}\n`);
    found(await checkCompiled(home, room, kept), 'ok', /^1 compiled/);
    await writeFile(join(compiled, 'x-fp32-1.onnx'), 'another');
    await writeFile(join(compiled, 'y-fp32-1.onnx'), 'without a hash');
    const damaged = /x-fp32-1\.onnx, y-fp32-1\.onnx/;
    found(
      await checkCompiled(home, room, missing),
      'warning',
      damaged,
      /can be deleted.* are compiled again/,
    );
    // Where nothing can be written they stay as they are, which matters where they are looked for.
    const refused = new Error('EACCES');
    found(await checkCompiled(home, refused, missing), 'problem', damaged, /^They cannot be compiled again/);
    found(await checkCompiled(home, refused, kept), 'warning', damaged, /^They cannot be compiled again/);
  });

  test('a folder in the place of a compiled file is to be deleted', async () => {
    const path = new ModelStore(home).pathOf(shipped);
    await mkdir(path, { recursive: true });
    const outlook = await outlookOf([shipped], { home, precision: 'fp32', executionProvider: 'webgpu' });
    const sentence = new RegExp(`^${path} cannot be read: EISDIR`);
    assert.match(outlook.unreadable.join(), sentence);
    found(await checkCompiled(home, room, outlook), 'problem', sentence, /^Delete what lies there/);
    found(await checkCompiled(home, room, kept), 'warning', sentence, /^Delete what lies there/);
    await rm(join(home, 'compiled'), { recursive: true });
    await writeFile(join(home, 'compiled'), '');
    found(await checkCompiled(home, room, kept), 'problem', /ENOTDIR/, /that this user can read/);
  });

  test('what a start would miss of it depends on precision and provider', async () => {
    const of = async (precision: PrecisionSetting, executionProvider: ExecutionProvider = 'cpu') =>
      (await outlookOf([shipped], { home, precision, executionProvider })).missing;
    const [fp32, int8] = [`${shipped.name} in fp32`, `${shipped.name} in int8`];
    assert.deepEqual([await of('fp32'), await of('int8')], [[fp32], [int8]]);
    assert.deepEqual(await of('auto'), [byteProducts() ? `${shipped.name} in int8 and fp32` : fp32]);
    const store = new ModelStore(home);
    const form = formFor('fp32', 'cpu') ?? assert.fail();
    const { path } = await store.formed(shipped, 'fp32', form);
    assert.deepEqual([await of('fp32'), await of('fp32', 'webgpu'), await of('int8')], [[], [], [int8]]);
    // Without what it was made from, as in a container's image, the form is enough for the CPU.
    await rm(store.pathOf(shipped));
    assert.deepEqual([await of('fp32'), await of('fp32', 'webgpu')], [[], [fp32]]);
    await truncate(path, 1000);
    assert.deepEqual(await of('fp32'), [fp32]);
    // What cannot be compiled for want of weights has a check of its own.
    const source = { ...(shipped.source as PackageSource), file: 'gone.safetensors' };
    const gone: ModelRecord = { ...shipped, source };
    const wanted = { home, precision: 'fp32', executionProvider: 'cpu' } as const;
    assert.deepEqual((await outlookOf([gone], wanted)).missing, []);
  });

  test('imported records are read', async () => {
    found(checkImported(home), 'ok', /^0 imported/);
    await mkdir(join(home, 'imported'));
    await writeFile(join(home, 'imported', 'mine.json'), '{}');
    found(checkImported(home), 'problem', /mine\.json cannot be used/, /--remove/);
    found(checkImported(home, [shipped.name]), 'warning', /mine\.json cannot be used/, /--remove/);
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
    const npm = catalog.find((record) => record.source.kind === 'npm') ?? assert.fail();
    const damaged = { ...npm, source: { ...npm.source, sha256: '0'.repeat(64) } };
    found(
      await checkWeights(damaged, home),
      'problem',
      /pinned is 0{64}/,
      /Install thinlens again; .*npm ci/,
    );
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
