// `thinlens eval segmentation`: the figures of datasets made here, and what it refuses.
import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { decode } from 'fast-png';
import sharp from 'sharp';
import { encodeGreyPng, encodePalettePng } from '../../heads/deeplabv3/png.ts';
import { VOC_COLORS } from '../../heads/deeplabv3/voc_colors.ts';
import { assertRefused, thinlens } from './child.ts';

const MODEL = 'deeplabv3_mobilenet_v2_voc';
const STEMS = ['cat', 'coffee'];
const [CAT, TABLE, PERSON, VOID] = [8, 11, 15, 255];

describe('thinlens eval segmentation', () => {
  type Figures = {
    model: string;
    precision: string;
    images: number;
    mIoU: number;
    pixel_accuracy: number;
    per_class: { class_id: number; label: string; IoU: number; ground_truth: number }[];
  };
  let folder: string;
  let photos: string;
  /** The model's own class maps, by stem. */
  const maps = new Map<string, { width: number; height: number; labels: Uint8Array }>();

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'thinlens-masks-'));
    photos = join(folder, 'photos');
    await mkdir(photos);
    const samples = STEMS.map((stem) => `samples/${stem}.jpg`);
    const { exit, stderr } = await thinlens(['segment', ...samples, '--out', folder]);
    assert.deepEqual(exit, [0, null], stderr);
    for (const stem of STEMS) {
      const { width, height, data } = decode(await readFile(join(folder, `${stem}.png`)));
      maps.set(stem, { width, height, labels: Uint8Array.from(data) });
      await writeFile(join(photos, `${stem}.JPG`), await readFile(`samples/${stem}.jpg`));
    }
    // A photo without a mask, and what is no photo.
    await writeFile(join(photos, 'clock.jpg'), await readFile('samples/clock.jpg'));
    await writeFile(join(photos, 'cat.txt'), 'a cat');
  });

  after(() => rm(folder, { recursive: true, force: true }));

  /** Writes masks: the model's maps, changed. */
  async function masks(
    name: string,
    change: (label: number, at: number) => number = (label) => label,
    encode = (map: Uint8Array, size: { width: number; height: number }) =>
      encodePalettePng(map, size, VOC_COLORS),
  ): Promise<string> {
    const to = join(folder, name);
    await mkdir(to, { recursive: true });
    for (const [stem, { labels, ...size }] of maps)
      await writeFile(join(to, `${stem}.png`), encode(labels.map(change), size));
    return to;
  }

  const evaluate = (masked: string, ...more: string[]) => [
    ...['eval', 'segmentation', '--images', photos, '--masks', masked, ...more],
  ];

  async function figures(masked: string): Promise<Figures> {
    const { exit, stdout, stderr } = await thinlens(evaluate(masked, '--json'));
    assert.deepEqual([exit, stderr], [[0, null], '']);
    return JSON.parse(stdout) as Figures;
  }

  /** What is wrong, and what is not to be counted: both where columns of 97 pixels say so. */
  const wrong = (label: number, at: number) => (at % 97 < 20 ? PERSON : at % 97 < 40 ? VOID : label);

  test('the model finds what it found itself', async () => {
    const { per_class, ...rest } = await figures(await masks('own'));
    assert.deepEqual(rest, { model: MODEL, precision: 'fp32', images: 2, mIoU: 1, pixel_accuracy: 1 });
    const counted = new Map<number, number>();
    for (const { labels } of maps.values())
      for (const label of labels) counted.set(label, (counted.get(label) ?? 0) + 1);
    assert.deepEqual(
      per_class.map(({ class_id, IoU, ground_truth }) => [class_id, IoU, ground_truth]),
      [...counted].sort(([a], [b]) => a - b).map(([id, pixels]) => [id, 1, pixels]),
    );
    assert.deepEqual(
      per_class.filter(({ class_id }) => [0, CAT, TABLE].includes(class_id)).map(({ label }) => label),
      ['background', 'cat', 'diningtable'],
    );
  });

  test('counts what is wrong and leaves out what is void, whether masks are grey or have a palette', async () => {
    const report = await figures(await masks('palette', wrong));
    assert.deepEqual(await figures(await masks('grey', wrong, encodeGreyPng)), report);
    // Pixels in both and in either, class by class.
    const pairs = [...maps.values()].flatMap(({ labels }) =>
      [...labels].map((label, at) => [wrong(label, at), label] as const).filter(([truth]) => truth !== VOID),
    );
    const ious = [...new Set(pairs.map(([truth]) => truth))].map((id) => {
      const both = pairs.filter(([truth, found]) => truth === id && found === id).length;
      const either = pairs.filter(([truth, found]) => truth === id || found === id).length;
      return [id, both / either] as const;
    });
    assert.deepEqual(new Map(report.per_class.map(({ class_id, IoU }) => [class_id, IoU])), new Map(ious));
    const mean = ious.reduce((sum, [, iou]) => sum + iou, 0) / ious.length;
    assert.ok(Math.abs(report.mIoU - mean) < 1e-12 && mean < 0.9);
    const right = pairs.filter(([truth, found]) => truth === found).length;
    assert.equal(report.pixel_accuracy, right / pairs.length);
  });

  test('is a table for people', async () => {
    const { stdout } = await thinlens(evaluate(await masks('own'), '--flip'));
    assert.match(stdout, /^deeplabv3_mobilenet_v2_voc \(fp32\) on 2 images of .*own, mirrored too\n/);
    assert.match(stdout, /\nmIoU {12}0\.\d{4}\npixel accuracy {2}0\.\d{4}\n/);
    assert.match(stdout, /class.*IoU.*pixels of it/);
    assert.match(stdout, /cat .* 0\.\d{4} .* \d+ /);
    const { stdout: nothing } = await thinlens(evaluate(await masks('void', () => VOID)));
    assert.match(nothing, /\nmIoU {12}none\npixel accuracy {2}none\n$/);
  });

  test('refuses masks that do not fit, naming them', async () => {
    const odd = await masks('odd', undefined, (map, { width, height }) =>
      encodeGreyPng(map, { width: height, height: width }),
    );
    await assertRefused(
      evaluate(odd),
      /odd\/cat\.png is 300 x 451 pixels, and its photo .*photos\/cat\.JPG, upright, 451 x 300/,
    );
    await assertRefused(
      evaluate(await masks('beyond', (label, at) => (at === 5 ? 21 : label))),
      /beyond\/cat\.png: label 21 of the truth is not one of the 21 classes, 0 to 20/,
    );
    const colour = await masks('colour');
    await sharp('samples/cat.jpg').png().toFile(join(colour, 'coffee.png'));
    await assertRefused(evaluate(colour), /colour\/coffee\.png: This PNG is 8-bit colour\. A mask is/);
  });

  test('refuses folders whose files are not pairs, and photos that are broken', async () => {
    const own = await masks('pairs');
    await assertRefused(['eval', 'segmentation', '--images', photos], /'--masks <dir>' not specified/);
    await assertRefused(evaluate(photos), /photos holds no masks: they are PNG files of class ids/);
    await assertRefused(evaluate(join(folder, 'nowhere')), /nowhere cannot be read: .*no such file/);
    await writeFile(join(own, 'dog.png'), encodeGreyPng(Uint8Array.of(0), { width: 1, height: 1 }));
    await assertRefused(evaluate(own), /dog\.png has no photo: there is no .*photos\/dog\{\.jpg,\.jpeg,/);
    await writeFile(join(photos, 'dog.jpg'), (await readFile('samples/cat.jpg')).subarray(0, 3000));
    await assertRefused(evaluate(own), /photos\/dog\.jpg: The JPEG image cannot be decoded/);
    await writeFile(join(photos, 'dog.webp'), '');
    await assertRefused(
      evaluate(own),
      /dog\.png could belong to any of dog\.jpg, dog\.webp in .*: leave one/,
    );
  });
});
