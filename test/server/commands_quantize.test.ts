// `thinlens quantize`: what it prints and keeps, and what it refuses.
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { cp, mkdir, mkdtemp, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import sharp from 'sharp';
import { referencePicture, sampleOutputs, signalToNoise } from '../../server/inference/reference_picture.ts';
import { ImageSession } from '../../server/inference/session.ts';
import { catalog } from '../../server/zoo/catalog.ts';
import { compile } from '../../server/zoo/compile.ts';
import { servedSize } from '../../server/zoo/network.ts';
import { parseQuantization, quantizationPath, readQuantization } from '../../server/zoo/quantization.ts';
import { loadWeights } from '../../server/zoo/weights.ts';
import { assertRefused, home, thinlens } from './child.ts';

const DETECTOR = 'ssdlite_shufflenet_v2_coco';
const SEGMENTER = 'deeplabv3_shufflenet_v2_voc';
const named = (name: string) => catalog.find((record) => record.name === name) ?? assert.fail(name);

let folder: string;
/** Ten: those of samples/, and the same mirrored. */
let photos: string;

interface Report {
  readonly model: string;
  readonly images: { readonly calibrated_on: number; readonly held_out: number };
  readonly metric: string;
  readonly estimators: readonly {
    readonly estimator: string;
    readonly agreement: number;
    readonly signal_to_noise_db: number;
  }[];
  readonly fp32: { readonly bytes: number; readonly cpu_ms: number };
  readonly int8: { readonly bytes: number; readonly cpu_ms: number };
  readonly speed_ratio: number;
  readonly kept: string;
}

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'thinlens-quantize-'));
  photos = join(folder, 'photos');
  await mkdir(photos);
  for (const file of (await readdir('samples')).filter((name) => name.endsWith('.jpg'))) {
    await cp(join('samples', file), join(photos, file));
    await sharp(join('samples', file))
      .flop()
      .toFile(join(photos, `mirrored-${file}`));
  }
  assert.equal((await readdir(photos)).length, 10);
  // Neither is a photo.
  await writeFile(join(photos, '.hidden.jpg'), '');
  await writeFile(join(photos, 'README.md'), '');
});

after(() => rm(folder, { recursive: true, force: true }));

describe('thinlens quantize', () => {
  test('measures each estimator, keeps the best in the store, and says what that brings', async () => {
    const { exit, stdout, stderr } = await thinlens(['quantize', DETECTOR, '--images', photos, '--json']);
    assert.deepEqual([exit, stderr], [[0, null], '']);
    const report = JSON.parse(stdout) as Report;
    assert.deepEqual(report.images, { calibrated_on: 8, held_out: 2 });
    assert.deepEqual([report.model, report.metric], [DETECTOR, 'AP']);
    const names = report.estimators.map(({ estimator }) => estimator);
    assert.deepEqual(names.toSorted(), ['least-squares', 'min-max', 'percentile-99.9', 'percentile-99.99']);
    const agreements = report.estimators.map(({ agreement }) => agreement);
    assert.deepEqual(
      agreements,
      agreements.toSorted((a, b) => b - a),
    );
    for (const { signal_to_noise_db } of report.estimators) assert.ok(signal_to_noise_db > 10);
    assert.ok(report.int8.bytes < report.fp32.bytes / 3);
    assert.ok(report.speed_ratio > 0 && report.int8.cpu_ms > 0 && report.fp32.cpu_ms > 0);

    const record = named(DETECTOR);
    assert.equal(report.kept, quantizationPath(home, DETECTOR));
    const found = await readQuantization(record, home);
    assert.equal(found?.origin, 'store');
    const { estimator, images, agreement, reference, calibrated } = found.quantization;
    assert.equal(estimator.replace(' ', '-'), names[0]);
    assert.equal(images, 8);
    assert.deepEqual(agreement, { metric: 'AP', value: Number(agreements[0]?.toFixed(4)), images: 2 });
    // Whoever compiles it from the file finds what the file says that it gives.
    const size = servedSize(record);
    const onnx = compile(record, await loadWeights(record, home), calibrated);
    assert.equal(onnx.length, report.int8.bytes);
    const session = await ImageSession.open(onnx, { threads: 1 });
    const outputs = await session.run(referencePicture(size), size);
    assert.ok(signalToNoise(sampleOutputs(outputs), reference) > 60);
    await session.close();
  });

  test('writes a file instead, with one estimator, and shows a table', async () => {
    const out = join(folder, 'made', 'mine.json');
    const { exit, stdout, stderr } = await thinlens([
      ...['quantize', SEGMENTER, '--images', photos, '--estimator', 'percentile-99.99', '--out', out],
    ]);
    assert.deepEqual([exit, stderr], [[0, null], '']);
    assert.match(stdout, /calibrated on 8 photos; int8 measured against fp32's own results on 2 others/);
    assert.match(stdout, /│ percentile-99\.99 │ +0\.\d{4} │ +\d+\.\d dB │/);
    assert.doesNotMatch(stdout, /min-max/);
    assert.match(stdout, /fp32 \d+\.\d MB, \d+\.\d ms; int8 \d+\.\d MB, .* times as fast/);
    assert.ok(stdout.includes(`written to ${out}`));
    const { estimator, agreement } = parseQuantization(await readFile(out, 'utf8'), named(SEGMENTER));
    assert.deepEqual([estimator, agreement.metric, agreement.images], ['percentile 99.99', 'mIoU', 2]);
    assert.equal(existsSync(quantizationPath(home, SEGMENTER)), false);
  });
});

test('thinlens quantize says where it was kept, and that servers can use it', async () => {
  const args = ['--images', photos, '--estimator', 'min-max'];
  const { exit, stdout } = await thinlens(['quantize', DETECTOR, ...args]);
  assert.deepEqual(exit, [0, null]);
  assert.ok(
    stdout.includes(
      `kept in ${quantizationPath(home, DETECTOR)}: servers that start from now on can run ${DETECTOR} in int8`,
    ),
    stdout,
  );
  const found = await readQuantization(named(DETECTOR), home);
  assert.deepEqual([found?.origin, found?.quantization.estimator], ['store', 'min-max']);
});

describe('thinlens quantize refuses', () => {
  const refused = (args: readonly string[], wanted: RegExp) => assertRefused(['quantize', ...args], wanted);

  test('a model that there is none of', () =>
    refused(['nothing', '--images', photos], /there is no model 'nothing': the models are ssdlite_/));

  test('a model that is not served', async () => {
    const classifier = ['test/fixtures/squeezenet1_1.weights.safetensors', '--name', 'classes'];
    const { exit } = await thinlens([
      'import',
      ...classifier,
      '--backbone',
      'squeezenet_1_1',
      '--resolution',
      '64',
    ]);
    assert.deepEqual(exit, [0, null]);
    await refused(
      ['classes', '--images', photos],
      /classes is for classification, and only models for detection and segmentation are quantised: ssdlite_/,
    );
  });

  test('a folder that is not there, is none, or holds no photos, or too few', async () => {
    const empty = join(folder, 'empty');
    await mkdir(empty);
    await refused([DETECTOR, '--images', join(folder, 'none')], /none cannot be read: ENOENT/);
    await refused([DETECTOR, '--images', 'package.json'], /package\.json cannot be read: ENOTDIR/);
    await refused([DETECTOR, '--images', empty], /empty holds no photos: their names end in \.jpg, /);
    await refused(
      [DETECTOR, '--images', 'samples'],
      /samples holds 5 photos, and calibration needs 10 at least/,
    );
  });

  test('a limit or an estimator that there is not', async () => {
    await refused(
      [DETECTOR, '--images', photos, '--limit', '9'],
      /--limit must be a whole number from 10 to 100000, got '9'/,
    );
    await refused([DETECTOR, '--images', photos, '--estimator', 'x'], /Allowed choices are best, min-max/);
  });

  test('a photo that is broken, by name, and keeps nothing', async () => {
    const broken = join(folder, 'broken');
    await cp(photos, broken, { recursive: true });
    await truncate(join(broken, 'coffee.jpg'), 5000);
    const out = join(folder, 'never.json');
    await refused(
      [DETECTOR, '--images', broken, '--out', out],
      /broken\/coffee\.jpg: The JPEG image cannot be decoded/,
    );
    assert.equal(existsSync(out), false);
  });

  test('a place that cannot be written, before the work', async () => {
    const file = join(folder, 'a-file');
    await writeFile(file, '');
    await refused(
      [DETECTOR, '--images', photos, '--out', join(file, 'x.json')],
      /x\.json cannot be written: /,
    );
    await refused([DETECTOR, '--images', photos, '--out', folder], /is a folder, and must be a file/);
  });

  test('photos in which nothing is found', async () => {
    const blank = join(folder, 'blank');
    await mkdir(blank);
    const image = sharp({ create: { width: 64, height: 64, channels: 3, background: 'grey' } });
    for (let at = 0; at < 10; at++)
      await image
        .clone()
        .png()
        .toFile(join(blank, `${at}.png`));
    await refused(
      [DETECTOR, '--images', blank, '--estimator', 'min-max'],
      /nothing was found in the photos that were held out/,
    );
  });
});
