// `thinlens segment`: what it prints and writes, and what it refuses.
import assert from 'node:assert/strict';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { decode } from 'fast-png';
import sharp from 'sharp';
import type { Rle } from '../../heads/deeplabv3/rle.ts';
import { decodeRle } from '../../heads/deeplabv3/rle.ts';
import type { SegmentResponse } from '../../openapi/types.ts';
import type { PlanOptions } from '../../server/commands/plan_files.ts';
import { planFiles } from '../../server/commands/plan_files.ts';
import type { SegmentFilesOptions } from '../../server/commands/segment_files.ts';
import { segmentFiles } from '../../server/commands/segment_files.ts';
import { classColor } from '../../server/playground/class_colors.ts';
import { assertRefused, thinlens } from './child.ts';
import { startReady } from './harness.ts';

const MODEL = 'deeplabv3_mobilenet_v2_voc';
const FILES = ['samples/cat.jpg', 'samples/coffee.jpg'];
const [CAT, TABLE, PERSON] = [8, 11, 15];
let folder: string;
/** Of FILES, by `segment`. */
let out: string;
let images: Image[];

type Image = { file: string; written: Record<string, string> } & SegmentResponse;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'thinlens-segment-'));
  out = join(folder, 'made', 'here');
  const { exit, stdout, stderr } = await thinlens([
    ...['segment', '--json', '--format', 'rle', '--overlay', '--confidence', '--out', out],
    ...FILES,
  ]);
  assert.deepEqual([exit, stderr], [[0, null], '']);
  const report = JSON.parse(stdout) as { model: string; images: Image[] };
  assert.equal(report.model, MODEL);
  images = report.images;
});

after(() => rm(folder, { recursive: true, force: true }));

async function segment(...args: string[]): Promise<Image> {
  const { exit, stdout, stderr } = await thinlens(['segment', '--json', '--force', ...args]);
  assert.deepEqual([exit, stderr], [[0, null], '']);
  return (JSON.parse(stdout) as { images: Image[] }).images[0] as Image;
}

const firstMask = (image: Image | undefined) => image?.segments[0]?.mask ?? assert.fail('no class was found');

const read = async (path: string) => decode(await readFile(path), { checkCrc: true });

describe('thinlens segment', () => {
  test('says what the server answers', async () => {
    const server = await startReady({ models: [MODEL] });
    for (const { file, written, timing: _timing, ...image } of images) {
      const answer = await fetch(`${server.url}/v1/segment?format=rle&confidence=true`, {
        method: 'POST',
        body: new Uint8Array(await readFile(file)),
      });
      assert.equal(answer.status, 200);
      const { timing: _served, confidence_map, ...served } = (await answer.json()) as SegmentResponse;
      assert.deepEqual(image, served);
      const picture = await readFile(written.confidence as string);
      assert.equal(picture.toString('base64'), confidence_map?.png);
    }
    await server.stop();
  });

  test('writes a palette PNG of the classes whose masks the JSON has', async () => {
    for (const { image, segments, written } of images) {
      const { width, height, channels, depth, palette, data } = await read(written.classes as string);
      assert.deepEqual([width, height, channels, depth], [image.width, image.height, 1, 8]);
      // VOC's own table: cat, diningtable, person.
      assert.deepEqual(
        [CAT, TABLE, PERSON].map((id) => palette?.[id]),
        [
          [64, 0, 0],
          [192, 128, 0],
          [192, 128, 128],
        ],
      );
      const map = new Uint8Array(width * height);
      for (const { class_id, pixels, mask } of segments) {
        const inside = decodeRle(mask.rle as Rle);
        assert.equal(
          inside.reduce((sum, value) => sum + value, 0),
          pixels,
        );
        inside.forEach((value, at) => {
          if (value === 1) map[at] = class_id;
        });
      }
      assert.deepEqual(data, map);
    }
    assert.deepEqual(
      images.map(({ segments }) => segments[0]?.label),
      ['cat', 'diningtable'],
    );
  });

  test('writes how sure the network is, and the photo with its classes', async () => {
    for (const { file, image, segments, written } of images) {
      const classes = await read(written.classes as string);
      const sure = await read(written.confidence as string);
      assert.deepEqual([sure.width, sure.height, sure.channels], [image.width, image.height, 1]);
      for (const { class_id, pixels, confidence } of segments) {
        let sum = 0;
        classes.data.forEach((id, at) => {
          if (id === class_id) sum += sure.data[at] as number;
        });
        assert.ok(Math.abs(sum / pixels / 255 - (confidence ?? 0)) < 1e-4);
      }
      const overlay = sharp(written.overlay as string);
      const { format, width, height } = await overlay.metadata();
      assert.deepEqual([format, width, height], ['jpeg', image.width, image.height]);
      // Half the photo and half the colour where there is a class; no change where there is none.
      const shown = await overlay.raw().toBuffer();
      const photo = await sharp(file).raw().toBuffer();
      let off = 0;
      classes.data.forEach((id, at) => {
        for (let c = 0; c < 3; c++) {
          const value = photo[at * 3 + c] as number;
          const color = classColor(id)[c] as number;
          off += Math.abs((shown[at * 3 + c] as number) - (id === 0 ? value : (value + color) / 2));
        }
      });
      assert.ok(off / shown.length < 4, `${file} is ${off / shown.length} off in the mean`);
    }
    assert.deepEqual(
      (await readdir(out)).sort(),
      ['cat', 'coffee'].flatMap((stem) => [`${stem}.confidence.png`, `${stem}.overlay.jpg`, `${stem}.png`]),
    );
  });

  test('is a table for people, and a photo lies as it is seen', async () => {
    const turned = join(folder, 'turned.jpg');
    await sharp('samples/coffee.jpg').rotate(270).withMetadata({ orientation: 6 }).toFile(turned);
    const { exit, stdout, stderr } = await thinlens(['segment', turned, '--out', folder, '--confidence']);
    assert.deepEqual([exit, stderr], [[0, null], '']);
    assert.match(
      stdout,
      /turned\.jpg: 600 x 400, \d+ class(es)? in [\d.]+ ms, .*turned\.png, .*turned\.conf/,
    );
    assert.match(stdout, /label.*share.*x_min.*y_min.*x_max.*y_max.*confidence/);
    assert.match(stdout, /diningtable.* \d\d\.\d\d %.* 0\.\d\d\d/);
    const upright = await read(join(out, 'coffee.png'));
    const found = await read(join(folder, 'turned.png'));
    assert.deepEqual([found.width, found.height], [600, 400]);
    const same = found.data.filter((id, at) => id === upright.data[at]).length;
    assert.ok(same > 0.9 * found.data.length, `${same} pixels are as in the upright file`);
  });

  test('--classes leaves others to the background, in the JSON and in the pictures; masks need --format', async () => {
    const options = ['--out', join(folder, 'some'), 'samples/coffee.jpg', '--classes'];
    const all = images[1] as Image;
    const { segments, written } = await segment(...options, `diningtable,${CAT}`);
    const [table] = all.segments;
    const { mask: _mask, confidence: _confidence, ...described } = table as (typeof all.segments)[0];
    assert.deepEqual(segments, [described]);
    const { data } = await read(written.classes as string);
    const full = await read(all.written.classes as string);
    assert.deepEqual(
      data,
      full.data.map((id) => (id === TABLE ? id : 0)),
    );
    assert.deepEqual((await segment(...options, 'cat')).segments, []);
    assert.ok((await read(written.classes as string)).data.every((id) => id === 0));
  });

  test('--format and --tolerance say what masks are in the JSON', async () => {
    const options = ['--out', join(folder, 'forms'), 'samples/cat.jpg', '--format'];
    const rle = firstMask(images[0]).rle as Rle;
    const plain = await segment(...options, 'rle_uncompressed');
    const { counts } = firstMask(plain).rle as Rle;
    assert.ok(Array.isArray(counts));
    assert.deepEqual(decodeRle({ size: rle.size, counts }), decodeRle(rle));
    const corners = async (tolerance: string) => {
      const { polygons = [] } = firstMask(await segment(...options, 'polygons', '--tolerance', tolerance));
      return polygons.reduce((sum, { outer }) => sum + outer.length, 0);
    };
    const [coarse, exact] = [await corners('10'), await corners('0')];
    assert.ok(coarse >= 6 && coarse < exact / 4, `${coarse} and ${exact} numbers`);
  });

  test('--multi-scale and --flip look more often', async () => {
    const options = ['--out', join(folder, 'views'), 'samples/cat.jpg'];
    const once = images[0]?.madds ?? 0;
    assert.equal((await segment(...options, '--flip')).madds, 2 * once);
    // The squares of 0.5, 0.75, 1, 1.25, 1.5 and 1.75 add up to 8.69; sizes are rounded to the grid.
    const { madds } = await segment(...options, '--multi-scale');
    assert.ok(madds > 8 * once && madds < 9.5 * once, `${madds / once} times the work`);
  });

  test('names each bad file on stderr, ends with 1, and answers the others', async () => {
    const text = join(folder, 'notes.txt');
    await writeFile(text, 'no image');
    const to = join(folder, 'good');
    const files = [join(folder, 'missing.jpg'), 'samples/cat.jpg', text];
    const { exit, stdout, stderr } = await thinlens(['segment', '--json', '--out', to, ...files]);
    assert.deepEqual(exit, [1, null]);
    assert.match(
      stderr,
      /^thinlens: .*missing\.jpg: .*no such file.*\nthinlens: .*notes\.txt: .*Accepted formats.*\n$/,
    );
    const report = JSON.parse(stdout) as { images: (Image & { error?: { code: string } })[] };
    assert.deepEqual(
      report.images.map(({ file, error, segments }) => [file, error?.code ?? segments[0]?.label]),
      [
        [files[0], 'ENOENT'],
        [files[1], 'cat'],
        [files[2], 'unsupported_image'],
      ],
    );
    assert.deepEqual(await readdir(to), ['cat.png']);
  });

  test('refuses what cannot be, before it writes anything', async () => {
    const to = join(folder, 'never');
    const refused = (args: readonly string[], wanted: RegExp) =>
      assertRefused(['segment', 'samples/cat.jpg', '--out', to, ...args], wanted);
    await assertRefused(['segment', 'samples/cat.jpg'], /'--out <dir>' not specified/);
    await refused(
      ['other/cat.png'],
      /samples\/cat\.jpg and other\/cat\.png would both be written to .*cat\.png/,
    );
    await refused(
      ['--classes', 'cat,unicorn,99'],
      /'unicorn', '99', which deeplab.*classes are background, aero/,
    );
    await refused(['--format', 'rle'], /--format says how --json prints masks, and --json is not given/);
    await refused(['--json', '--format', 'bmp'], /Allowed choices are png, rle, rle_uncompressed, polygons/);
    await refused(['--tolerance', '101'], /--tolerance must be a number from 0 to 100, got '101'/);
    await refused(
      ['--model', 'ssdlite_mobilenet_v2_coco'],
      /is for detection, not segmentation: .*deeplabv3_/,
    );
    await assert.rejects(readdir(to), { code: 'ENOENT' });
    await assertRefused(['segment', 'samples/cat.jpg', '--out', 'package.json'], /--out must be a folder/);
  });

  test('no photo is given twice, no file written twice, and no photo overwritten', async () => {
    const plan = (photos: string[], to: string, options: SegmentFilesOptions & PlanOptions) =>
      planFiles(photos, (photo) => segmentFiles(photo, to, options), options);
    const all = { overlay: true, confidence: true };
    await assert.rejects(plan(['a/x.jpg', 'b.jpg', 'a/x.jpg'], 'to', {}), {
      message: 'a/x.jpg is given twice: leave one out',
    });
    await assert.rejects(plan(['a/x.jpg', './a/y/../x.jpg'], 'to', {}), {
      message: 'a/x.jpg and ./a/y/../x.jpg are the same file, given twice: leave one out',
    });
    await assert.rejects(
      plan(['a/x.jpg', 'b/x.confidence.jpg'], 'to', all),
      /a\/x\.jpg and b\/x\.conf.*both/,
    );
    assert.equal((await plan(['a/x.jpg', 'b/x.confidence.jpg'], 'to', {})).size, 2);
    await assert.rejects(
      plan(['samples/../samples/x.png'], './samples/', {}),
      /samples\/x\.png would overwrite the photo samples\/\.\.\/samples\/x\.png: choose another --out/,
    );
    await assert.rejects(
      plan(['samples/x.jpg', 'samples/x.overlay.jpg'], 'samples', { overlay: true }),
      /x\.overlay\.jpg would overwrite the photo samples\/x\.overlay\.jpg: choose another --out/,
    );
    // Somebody's file, though nobody named it.
    await writeFile(join(folder, 'cat.png'), 'precious');
    await assert.rejects(
      plan(['samples/cat.jpg'], folder, {}),
      /cat\.png is there already: --force replaces it, another --out leaves it/,
    );
    assert.equal((await plan(['samples/cat.jpg'], folder, { force: true })).size, 1);
  });
});
