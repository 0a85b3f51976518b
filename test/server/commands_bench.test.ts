// `thinlens bench`: what it counts, and its figures for times that are known.
import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { Summary } from '../../server/commands/bench_summary.ts';
import { median, nearestRank, summarize } from '../../server/commands/bench_summary.ts';
import { usableCpus } from '../../server/inference/cpus.ts';
import { readSettings } from '../../server/settings.ts';
import { assertRefused, thinlens } from './child.ts';

const DETECTOR = 'ssdlite_mobilenet_v2_coco';
const SEGMENTER = 'deeplabv3_shufflenet_v2_voc';
const STAGES = ['decode', 'preprocess', 'inference', 'postprocess'];
let folder: string;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'thinlens-bench-'));
  for (const name of ['street.jpg', 'cat.jpg']) await symlink(resolve('samples', name), join(folder, name));
});
after(() => rm(folder, { recursive: true, force: true }));

interface Report {
  readonly date: string;
  readonly thinlens: string;
  readonly threads: number;
  readonly rounds: number;
  readonly photos: readonly string[];
  readonly models: readonly {
    readonly model: string;
    readonly precision: string;
    readonly madds: number;
    readonly gmadds_per_second: number;
    readonly stages: Readonly<Record<string, Summary>>;
  }[];
  readonly skipped: readonly unknown[];
}

test('the summary of known times', () => {
  const hundred = Array.from({ length: 100 }, (_, index) => 100 - index);
  assert.deepEqual(summarize(hundred), { median_ms: 50.5, p95_ms: 95 });
  assert.deepEqual(summarize([3, 1, 2]), { median_ms: 2, p95_ms: 3 });
  assert.deepEqual(summarize([7]), { median_ms: 7, p95_ms: 7 });
  assert.deepEqual([median([1, 10, 100, 1000]), nearestRank([4, 3, 2, 1], 0.5)], [55, 2]);
});

describe('thinlens bench', () => {
  test('--json has each model in each precision, its stages and its work', async () => {
    const { exit, stdout, stderr } = await thinlens([
      ...['bench', '--json', '--rounds', '1', '--images', folder, '--threads', '1'],
      ...['--precision', 'fp32', '--model', DETECTOR, SEGMENTER],
    ]);
    assert.deepEqual([exit, stderr], [[0, null], '']);
    const { threads, rounds, photos, models, skipped, ...setup } = JSON.parse(stdout) as Report;
    const manifest = JSON.parse(await readFile('package.json', 'utf8')) as { version: string };
    assert.equal(setup.thinlens, manifest.version);
    assert.match(setup.date, /^\d{4}-\d{2}-\d{2}$/);
    assert.ok(Math.abs(Date.now() - Date.parse(setup.date)) < 48 * 3600_000, setup.date);
    assert.deepEqual([threads, rounds, photos, skipped], [1, 1, ['cat.jpg', 'street.jpg'], []]);
    assert.deepEqual(
      models.map(({ model, precision }) => [model, precision]),
      [
        [DETECTOR, 'fp32'],
        [SEGMENTER, 'fp32'],
      ],
    );
    for (const { stages, gmadds_per_second, madds } of models) {
      assert.deepEqual(Object.keys(stages), [...STAGES, 'total']);
      const of = (name: string) => stages[name] ?? assert.fail(name);
      for (const { median_ms, p95_ms } of Object.values(stages)) assert.ok(median_ms <= p95_ms);
      for (const name of ['decode', 'inference', 'postprocess']) assert.ok(of(name).median_ms > 0, name);
      // Of two photos the median is the mean, so the stages add up to less than the whole.
      const sum = STAGES.reduce((all, name) => all + of(name).median_ms, 0);
      assert.ok(sum <= of('total').median_ms + 0.01 && sum > 0);
      // Of two times the 95th percentile is the longer, and the median their mean; neither photo has twice the mean's work.
      const { median_ms, p95_ms } = of('inference');
      const rate = (ms: number) => madds / ms / 1e6;
      assert.ok(gmadds_per_second >= 0.99 * rate(p95_ms));
      assert.ok(gmadds_per_second <= 2.01 * rate(2 * median_ms - p95_ms));
    }
    assert.equal(models[0]?.madds, 749_503_856);
    assert.ok((models[1]?.madds ?? 0) > 5e8 && (models[1]?.madds ?? 0) < 1.4e9);
  });

  test('is a table for people, of every precision that the model has', async () => {
    const { exit, stdout } = await thinlens(
      ['bench', '--rounds', '1', '--images', folder, '--model', DETECTOR],
      { THINLENS_PRECISION: 'auto' },
    );
    assert.deepEqual(exit, [0, null]);
    assert.match(stdout, /^thinlens \d+\.\d+\.\d+, \d{4}-\d{2}-\d{2}; .*2 photos, 1 rounds/);
    assert.match(
      stdout,
      /model.*precision.*decode.*preprocess.*inference.*postprocess.*total.*MAdds.*GMAdds\/s/,
    );
    for (const precision of ['fp32', 'int8'])
      assert.match(stdout, new RegExp(`${DETECTOR} .*${precision}.* 749\\.5 M.* \\d+\\.\\d `));
  });

  test('takes precision and threads from the environment as serve does', async () => {
    const { stdout, stderr } = await thinlens(
      ['bench', '--json', '--rounds', '1', '--images', folder, '--model', DETECTOR],
      { THINLENS_PRECISION: 'int8', THINLENS_PROFILE: 'latency' },
    );
    const { models, threads } = JSON.parse(stdout) as Report;
    assert.deepEqual(
      models.map(({ precision }) => precision),
      ['int8'],
      stderr,
    );
    assert.equal(threads, readSettings({ profile: 'latency' }, {}).threads);
  });

  test('refuses what cannot be', async () => {
    await assertRefused(['bench', '--model', 'yolo'], /there is no model 'yolo': the models are ssdlite_/);
    await assertRefused(['bench', '--images', 'heads'], /heads holds no photos/);
    await assertRefused(
      ['bench', '--rounds', '0'],
      /--rounds must be a whole number from 1 to 1000, got '0'/,
    );
    const cpus = usableCpus();
    await assertRefused(
      ['bench', '--threads', String(cpus + 1)],
      new RegExp(`--threads ${cpus + 1} is more than the ${cpus} CPUs? that this process may use`),
    );
    await assertRefused(['bench', '--precision', 'fp16'], /Allowed choices are fp32, int8/);
  });
});
