// In what a model runs: the rules, and what becomes of int8 that computes other numbers than it should.
import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, beforeEach, describe, test } from 'node:test';
import { byteProducts } from '../../../server/inference/cpu_features.ts';
import { Detector } from '../../../server/inference/detector.ts';
import { Int8CheckError } from '../../../server/inference/int8_check.ts';
import { openFastest } from '../../../server/inference/open.ts';
import { choosePrecision } from '../../../server/inference/precision.ts';
import { catalog } from '../../../server/zoo/catalog.ts';
import type { ModelRecord } from '../../../server/zoo/record.ts';
import { ModelStore } from '../../../server/zoo/store.ts';
import { ModelUnavailableError } from '../../../server/zoo/weights.ts';

const record = catalog[0] ?? assert.fail('the catalog is empty');
const VNNI = 'avx512_vnni';
const home = await mkdtemp(join(tmpdir(), 'thinlens-precision-'));
after(() => rm(home, { recursive: true, force: true }));

interface Data {
  agreement: { value: number };
  reference: Record<string, number[]>;
}

/** Puts a changed copy of the package's calibration into the store, as if `thinlens quantize` had made it. */
async function keep(change: (data: Data) => void): Promise<void> {
  const data = JSON.parse(await readFile(`weights/${record.name}.int8.json`, 'utf8')) as Data;
  change(data);
  await mkdir(join(home, 'quantized'), { recursive: true });
  await writeFile(join(home, 'quantized', `${record.name}.json`), JSON.stringify(data));
}

describe('the instruction for products of bytes', () => {
  const linux = (arch: string) => ({ platform: 'linux', arch });
  const table: readonly [
    what: string,
    cpuInfo: string,
    machine: { platform: string; arch: string },
    expected: string | undefined,
  ][] = [
    [
      'an AVX-512 server',
      'processor: 0\nflags\t\t: fpu avx2 avx512f avx512_vnni\n',
      linux('x64'),
      'avx512_vnni',
    ],
    ['a laptop without AVX-512', 'flags : fpu avx2 avx_vnni\n', linux('x64'), 'avx_vnni'],
    ['x86 before VNNI', 'flags : fpu avx2 avx512f avx512bw\n', linux('x64'), undefined],
    ['a flag that only begins so', 'flags : avx512_vnni_of_tomorrow\n', linux('x64'), undefined],
    ['x86 where Linux is not', '', { platform: 'win32', arch: 'x64' }, undefined],
    ['ARM with dot products', 'Features\t: fp asimd asimddp\n', linux('arm64'), 'asimddp'],
    ['ARM without', 'Features\t: fp asimd\n', linux('arm64'), undefined],
    ['a Mac', '', { platform: 'darwin', arch: 'arm64' }, 'asimddp'],
    ['another architecture', 'flags : avx512_vnni\n', linux('s390x'), undefined],
  ];
  for (const [what, cpuInfo, machine, expected] of table) {
    test(`of ${what}: ${expected ?? 'none'}`, () => assert.equal(byteProducts(cpuInfo, machine), expected));
  }
});

describe('the precision of a model', () => {
  beforeEach(() => rm(join(home, 'quantized'), { recursive: true, force: true }));

  const accurate = (value: number, int8: number): ModelRecord => ({
    ...record,
    accuracy: { metric: 'AP', value, int8, dataset: 'some photos' },
  });

  test('is int8 where the CPU has the instruction and the accuracy holds', async () => {
    assert.deepEqual(await choosePrecision(accurate(0.32, 0.311), home, 'auto', { products: VNNI }), {
      precision: 'int8',
    });
  });

  test('is fp32 where the CPU lacks the instruction', async () => {
    const { precision, fallback } = await choosePrecision(record, home, 'auto', { products: undefined });
    assert.deepEqual([precision, fallback?.reason], ['fp32', 'cpu']);
    assert.match(fallback?.detail ?? '', /VNNI.*--precision int8/);
  });

  test('is fp32 where the networks do not run on the CPU', async () => {
    const gpu = { products: VNNI, executionProvider: 'cuda' } as const;
    const { precision, fallback } = await choosePrecision(record, home, 'auto', gpu);
    assert.deepEqual([precision, fallback?.reason], ['fp32', 'provider']);
  });

  test('is fp32 where int8 loses more than a point of AP', async () => {
    const { precision, fallback } = await choosePrecision(accurate(0.32, 0.309), home, 'auto', {
      products: VNNI,
    });
    assert.deepEqual([precision, fallback?.reason], ['fp32', 'accuracy']);
    assert.match(fallback?.detail ?? '', /AP 32\.0 to 30\.9/);
  });

  test('is fp32 where int8 loses more than one and a half of mIoU, and int8 where it loses less', async () => {
    const losing = (points: number): ModelRecord => ({
      ...record,
      accuracy: { metric: 'mIoU', value: 0.5, int8: 0.5 - points / 100, dataset: 'some photos' },
    });
    assert.equal(
      (await choosePrecision(losing(1.6), home, 'auto', { products: VNNI })).fallback?.reason,
      'accuracy',
    );
    assert.equal((await choosePrecision(losing(1.4), home, 'auto', { products: VNNI })).precision, 'int8');
  });

  test('follows the agreement of a calibration of its own, not what was measured of another', async () => {
    await keep((data) => Object.assign(data.agreement, { value: 0.5 }));
    const { precision, fallback } = await choosePrecision(accurate(0.32, 0.32), home, 'auto', {
      products: VNNI,
    });
    assert.deepEqual([precision, fallback?.reason], ['fp32', 'accuracy']);
    assert.match(fallback?.detail ?? '', /AP 50\.0.*more photos/);
    await keep((data) => Object.assign(data.agreement, { value: 0.95 }));
    assert.equal(
      (await choosePrecision(accurate(0.32, 0.1), home, 'auto', { products: VNNI })).precision,
      'int8',
    );
  });

  test('is fp32 where the model was never quantised, or its data is damaged', async () => {
    const other: ModelRecord = { ...record, name: 'another_model' };
    const { fallback } = await choosePrecision(other, home, 'auto', { products: VNNI });
    assert.equal(fallback?.reason, 'not_quantized');
    assert.match(fallback?.detail ?? '', /thinlens quantize another_model/);
    await keep((data) => Reflect.deleteProperty(data, 'reference'));
    const damaged = await choosePrecision(record, home, 'auto', { products: VNNI });
    assert.deepEqual([damaged.precision, damaged.fallback?.reason], ['fp32', 'not_quantized']);
    assert.match(damaged.fallback?.detail ?? '', /reference/);
  });

  test('is what a setting pins it to, on whatever CPU', async () => {
    for (const precision of ['fp32', 'int8'] as const) {
      assert.deepEqual(await choosePrecision(record, home, precision, { products: undefined }), {
        precision,
      });
    }
  });
});

describe('opening a model', () => {
  const store = new ModelStore(home);
  const open = (precision: 'auto' | 'int8') =>
    openFastest(Detector.open, record, store, { threads: 1, precision }, VNNI);
  beforeEach(() => rm(join(home, 'quantized'), { recursive: true, force: true }));

  test('in int8, where it computes what it should; fp32 stays to be asked for', async () => {
    const { runner, precision, precisions, fallback } = await open('auto');
    assert.deepEqual([precision, precisions, fallback], ['int8', ['int8', 'fp32'], undefined]);
    assert.equal(runner.precision, 'int8');
    await runner.close();
  });

  test('in fp32, where int8 computes other numbers than it should', async () => {
    await keep(({ reference }) => {
      for (const values of Object.values(reference)) values.reverse();
    });
    const { runner, precision, precisions, fallback } = await open('auto');
    assert.deepEqual([precision, precisions, fallback?.reason], ['fp32', ['fp32'], 'check']);
    assert.match(fallback?.detail ?? '', /signal to noise is -?\d+\.\d dB, and 16 dB is the least/);
    assert.equal(runner.precision, 'fp32');
    await runner.close();
    await assert.rejects(open('int8'), Int8CheckError);
  });

  test('pinned to int8 fails where it was never quantised', async () => {
    const other = { ...record, name: 'another_model' };
    await assert.rejects(
      openFastest(Detector.open, other, store, { threads: 1, precision: 'int8' }),
      (error: Error) =>
        error instanceof ModelUnavailableError &&
        /thinlens quantize another_model --images/.test(error.message),
    );
  });
});
