import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdir, mkdtemp, readdir, readFile, rm, truncate, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { after, beforeEach, describe, test } from 'node:test';
import { catalog } from '../../../server/zoo/catalog.ts';
import { ModelStore } from '../../../server/zoo/store.ts';
import { loadWeights, ModelUnavailableError } from '../../../server/zoo/weights.ts';

const record = catalog[0] ?? assert.fail('the catalog is empty');
const homes: string[] = [];
let store: ModelStore;
let path: string;

beforeEach(async () => {
  const home = await mkdtemp(join(tmpdir(), 'thinlens-store-'));
  homes.push(home);
  store = new ModelStore(home);
  path = store.pathOf(record);
});

after(() => Promise.all(homes.map((home) => rm(home, { recursive: true }))));

const files = async () => (await readdir(dirname(path))).sort();

describe('the store', () => {
  test('compiles once, then reads the same bytes', async () => {
    const first = await store.compiled(record);
    const second = await store.compiled(record);
    assert.deepEqual([first.cached, second.cached], [false, true]);
    assert.equal(first.sha256, second.sha256);
    assert.ok(Buffer.from(first.onnx).equals(second.onnx));
    assert.equal((await files()).length, 2);
  });

  const damages: [string, () => Promise<void>][] = [
    [
      'a flipped bit',
      async () => {
        const bytes = await readFile(path);
        bytes[1_000_000] = (bytes[1_000_000] as number) ^ 1;
        await writeFile(path, bytes);
      },
    ],
    ['a truncated file', () => truncate(path, 1000)],
    ['an empty file', () => truncate(path, 0)],
    ['a lost digest', () => rm(`${path}.sha256`)],
    ['a digest that is no digest', () => writeFile(`${path}.sha256`, 'hello')],
    ['a lost model', () => rm(path)],
  ];
  for (const [damage, inflict] of damages) {
    test(`rebuilds after ${damage}`, async () => {
      const { sha256 } = await store.compiled(record);
      await inflict();
      const rebuilt = await store.compiled(record);
      assert.deepEqual([rebuilt.cached, rebuilt.sha256], [false, sha256]);
      assert.equal((await store.compiled(record)).cached, true);
    });
  }

  test("another record never meets this one's file", () => {
    assert.notEqual(store.pathOf({ ...record, classColumns: 90 }), path);
    assert.notEqual(
      store.pathOf({ ...record, normalization: { ...record.normalization, offset: [0, 0, 0] } }),
      path,
    );
  });

  test('clears away what a dead process left half written, but not what a living one may be writing', async () => {
    await mkdir(dirname(path), { recursive: true });
    const [old, fresh] = [`${path}.1-old.tmp`, `${path}.2-fresh.tmp`];
    await writeFile(old, 'x');
    await writeFile(fresh, 'x');
    await utimes(old, new Date(0), new Date(0));
    await store.compiled(record);
    const names = await files();
    assert.equal(
      names.some((name) => name.includes('old')),
      false,
    );
    assert.equal(
      names.some((name) => name.includes('fresh')),
      true,
    );
  });

  test('two processes that start at once both get the whole model', async () => {
    const script = `
      const { ModelStore } = await import('./dist/server/zoo/store.js');
      const { catalog } = await import('./dist/server/zoo/catalog.js');
      console.log((await new ModelStore(process.argv[1]).compiled(catalog[0])).sha256);`;
    const run = () =>
      new Promise<string>((resolve, reject) => {
        const child = spawn(process.execPath, ['--input-type=module', '-e', script, store.home]);
        let output = '';
        child.stdout.on('data', (data) => (output += data));
        child.stderr.on('data', (data) => (output += data));
        child.on('exit', (code) => (code === 0 ? resolve(output.trim()) : reject(new Error(output))));
      });
    const [one, two] = await Promise.all([run(), run()]);
    const { cached, sha256 } = await store.compiled(record);
    assert.deepEqual([cached, one, two], [true, sha256, sha256]);
    assert.equal((await files()).length, 2);
  });

  test('a folder in the place of a model is an error that names it', async () => {
    await mkdir(path, { recursive: true });
    await assert.rejects(store.compiled(record), (error: NodeJS.ErrnoException) => {
      assert.deepEqual([error.code, error.message.startsWith(`${path} cannot be read: `)], ['EISDIR', true]);
      return true;
    });
  });

  test('discards what a record was compiled to, in every form, and nothing else', async () => {
    const other = { ...record, classColumns: 90 };
    const form = { name: 'form', make: async () => new Uint8Array([1]) };
    await store.formed(record, 'fp32', form);
    assert.equal((await files()).length, 4);
    await writeFile(store.pathOf(other), 'x');
    await store.discard(record);
    assert.deepEqual(await files(), [basename(store.pathOf(other))]);
  });

  test('a folder that the system will not have is an error that names it', { timeout: 20_000 }, async () => {
    await assert.rejects(new ModelStore('/proc/models').compiled(record), /\/proc\/models/);
  });

  test('a folder that cannot be made is an error that names it', async () => {
    const file = join(store.home, 'file');
    await writeFile(file, '');
    await assert.rejects(new ModelStore(file).compiled(record), (error: Error) =>
      error.message.includes(file),
    );
  });
});

describe('weights', () => {
  test('of a package that is not installed are unavailable, with the way to get them', async () => {
    const missing = { ...record, source: { ...record.source, package: 'no-such-package' } };
    await assert.rejects(loadWeights(missing, store.home), (error: Error) => {
      assert.ok(error instanceof ModelUnavailableError);
      assert.match(
        error.message,
        /no-such-package@1\.0\.6, which is not installed: install thinlens again \(in a checkout: npm ci\)/,
      );
      return true;
    });
  });

  test('of this package that are not in the installation are unavailable', async () => {
    const source = {
      kind: 'package',
      file: 'none.safetensors',
      bytes: 1,
      sha256: '',
      map: 'thinlens',
    } as const;
    await assert.rejects(loadWeights({ ...record, source }, store.home), (error: Error) => {
      assert.ok(error instanceof ModelUnavailableError);
      assert.match(error.message, /not in this installation: .*weights\/none\.safetensors is missing/);
      return true;
    });
  });

  test('that are not the pinned ones are refused', async () => {
    const other = { ...record, source: { ...record.source, sha256: '0'.repeat(64) } };
    await assert.rejects(loadWeights(other, store.home), /pinned is 0000/);
  });
});
