// What int8 is made from, as it lies in files: where it is looked for, what is refused, and what is kept of it.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, beforeEach, describe, test } from 'node:test';
import { sampleOutputs } from '../../../server/inference/reference_picture.ts';
import { trialRun } from '../../../server/inference/trial.ts';
import { catalog } from '../../../server/zoo/catalog.ts';
import { removeImported } from '../../../server/zoo/imported.ts';
import { importModel } from '../../../server/zoo/importer.ts';
import { networkOf } from '../../../server/zoo/network.ts';
import type { Quantization } from '../../../server/zoo/quantization.ts';
import {
  parseQuantization,
  QuantizationError,
  quantizationPath,
  quantizationText,
  readQuantization,
  rounded,
  writeQuantization,
} from '../../../server/zoo/quantization.ts';
import { ModelStore } from '../../../server/zoo/store.ts';

const record = catalog.find(({ name }) => name === 'ssdlite_shufflenet_v2_coco') ?? assert.fail('not there');
const shippedPath = `weights/${record.name}.int8.json`;
const homes: string[] = [];
let home: string;
let own: string;

beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'thinlens-quantization-'));
  homes.push(home);
  own = quantizationPath(home, record.name);
});

after(() => Promise.all(homes.map((each) => rm(each, { recursive: true, force: true }))));

const shipped = async () => parseQuantization(await readFile(shippedPath, 'utf8'), record);

/** Puts a file where the store keeps it. */
async function keep(text: string): Promise<void> {
  await mkdir(dirname(own), { recursive: true });
  await writeFile(own, text);
}

describe('the catalogued models', () => {
  for (const model of catalog) {
    test(`${model.name} comes with what int8 is made from`, async () => {
      const found = await readQuantization(model, home);
      assert.equal(found?.origin, 'package');
      const { weights, images, agreement, reference } = found.quantization;
      assert.equal(weights, model.source.sha256);
      assert.ok(images >= 200, `${images}`);
      assert.equal(agreement.metric, model.task === 'detection' ? 'AP' : 'mIoU');
      assert.ok(agreement.value > 0.7 && agreement.value <= 1, `${agreement.value}`);
      assert.deepEqual([...reference.keys()].sort(), [...networkOf(model).outputs.values()].sort());
      for (const samples of reference.values()) assert.equal(samples.length, 64);
    });
  }
});

describe('quantisation data', () => {
  test("is the store's, else the package's", async () => {
    const bytes = await readFile(shippedPath);
    const first = await readQuantization(record, home);
    assert.deepEqual(
      [first?.origin, first?.sha256],
      ['package', createHash('sha256').update(bytes).digest('hex')],
    );
    await writeQuantization(own, record, { ...(await shipped()), images: 17 });
    const second = await readQuantization(record, home);
    assert.deepEqual([second?.origin, second?.quantization.images], ['store', 17]);
    assert.notEqual(second?.sha256, first?.sha256);
  });

  test('is read as it was written, and written as it was read', async () => {
    const quantization = await shipped();
    await writeQuantization(own, record, quantization);
    assert.deepEqual((await readQuantization(record, home))?.quantization, quantization);
    assert.equal(await readFile(own, 'utf8'), await readFile(shippedPath, 'utf8'));
    assert.deepEqual(await readdir(dirname(own)), [`${record.name}.json`]);
  });

  test('has one line a value, with the digits that matter', async () => {
    const quantization = await shipped();
    const [name = '', means = []] = [...quantization.calibrated.means][0] ?? [];
    const calibrated = {
      ranges: new Map([...quantization.calibrated.ranges, [name, [-1.23456789, 2 / 3] as const]]),
      means: new Map([[name, means.map(() => 1.23456)]]),
    };
    const lines = quantizationText(record.name, { ...quantization, calibrated }).split('\n');
    assert.ok(
      lines.includes(`    "${name}": [-1.23457,0.666667]`) ||
        lines.includes(`    "${name}": [-1.23457,0.666667],`),
    );
    assert.ok(lines.some((line) => line.startsWith(`    "${name}": [1.23,1.23,`)));
    const once = rounded(calibrated);
    assert.deepEqual(rounded(once), once);
    assert.deepEqual(once.ranges.get(name), [-1.23457, 0.666667]);
  });

  test('for other weights is passed over, and that is said', async () => {
    const other = { ...record, source: { ...record.source, sha256: 'f'.repeat(64) } };
    await keep(
      quantizationText(record.name, await shipped()).replace(record.source.sha256, other.source.sha256),
    );
    const notes: string[] = [];
    const found = await readQuantization(record, home, (sentence) => notes.push(sentence));
    assert.equal(found?.origin, 'package');
    assert.equal(notes.length, 1);
    assert.match(
      notes[0] ?? '',
      /quantized.*\.json was made for other weights.*run thinlens quantize ssdlite_/,
    );
    // The package's own must not be of other weights.
    await rm(own);
    await assert.rejects(readQuantization(other, home), /int8\.json was made for other weights.*install/);
  });

  test("of an imported model is the store's alone", async () => {
    const imported = { kind: 'imported', map: 'thinlens', leftOut: [], origin: 'x' } as const;
    const source = { ...imported, file: 'x', bytes: 1, sha256: record.source.sha256 };
    assert.equal(await readQuantization({ ...record, source }, home), undefined);
    await keep(await readFile(shippedPath, 'utf8'));
    assert.equal((await readQuantization({ ...record, source }, home))?.origin, 'store');
    assert.equal(await readQuantization({ ...record, name: 'mine', source }, home), undefined);
  });

  const changed = (change: (json: Record<string, never>) => unknown) => (text: string) =>
    JSON.stringify(change(JSON.parse(text)));
  const damages: [string, (text: string) => string, RegExp][] = [
    ['a file that is cut short', (text) => text.slice(0, 5000), /JSON/],
    ['an empty file', () => '', /JSON/],
    ['a list', () => '[]', /it must be object/],
    ['a newer format', changed((json) => ({ ...json, format: 2 })), /format must be equal to constant/],
    [
      'a field that is missing',
      changed(({ means: _, ...json }) => json),
      /must have required property 'means'/,
    ],
    ['a field too many', changed((json) => ({ ...json, more: 1 })), /must NOT have additional properties/],
    ["another model's", changed((json) => ({ ...json, model: 'other' })), /it is of 'other'/],
    [
      'an agreement of more than all',
      changed((json) => ({ ...json, agreement: { metric: 'AP', value: 1.5, images: 3 } })),
      /agreement\.value must be <= 1/,
    ],
    ['no ranges', changed((json) => ({ ...json, ranges: {} })), /the range of 'backbone\.\S+' is missing/],
    [
      'a range that is none',
      changed((json) => ({ ...json, ranges: { ...(json.ranges as object), 'backbone.stem.act': [3, 1] } })),
      /goes from 3 down to 1/,
    ],
    [
      "another network's means",
      changed((json) => ({ ...json, means: { elsewhere: [1] } })),
      /'elsewhere' is no value of/,
    ],
    [
      "another network's reference",
      changed((json) => ({ ...json, reference: { logits: [1] } })),
      /its reference is of logits, and must be of box_encodings, class_logits/,
    ],
    [
      'a property too many',
      changed((json) => ({ ...json, surplus: 1 })),
      /must NOT have additional properties: surplus; /,
    ],
    ['another format', changed((json) => ({ ...json, format: 9 })), /format must be equal to constant: 1; /],
    [
      'another metric',
      changed((json) => ({ ...json, agreement: { ...(json.agreement as object), metric: 'F1' } })),
      /agreement\.metric must be equal to one of the allowed values: AP, mIoU; /,
    ],
    [
      'a reference of words',
      changed((json) => ({ ...json, reference: { logits: ['x'] } })),
      /reference\.logits\.0 must be number/,
    ],
  ];
  for (const [damage, inflict, wanted] of damages) {
    test(`with ${damage} is refused: file, fault and remedy are named`, async () => {
      await keep(inflict(await readFile(shippedPath, 'utf8')));
      await assert.rejects(readQuantization(record, home), (error: Error) => {
        assert.ok(error instanceof QuantizationError);
        assert.match(error.message, wanted);
        assert.ok(error.message.startsWith(`${own} cannot be used: `), error.message);
        assert.match(error.message, /run thinlens quantize ssdlite_shufflenet_v2_coco again$/);
        return true;
      });
    });
  }

  test('that no reader would take is not written', async () => {
    const quantization: Quantization = { ...(await shipped()), reference: sampleOutputs({}) };
    await assert.rejects(writeQuantization(own, record, quantization), /its reference is of nothing/);
    assert.equal(existsSync(own), false);
  });
});

describe('of an imported model', () => {
  const imported = (resolution: number) =>
    importModel(
      {
        file: 'test/fixtures/squeezenet1_1.weights.safetensors',
        name: 'mine',
        backbone: 'squeezenet_1_1',
        size: { height: resolution, width: resolution },
        force: true,
      },
      new ModelStore(home),
      { trial: (onnx, size) => trialRun(onnx, size, 1) },
    );
  const path = () => quantizationPath(home, 'mine');
  const other = () => quantizationPath(home, 'mine_too');

  beforeEach(async () => {
    await imported(64);
    await mkdir(dirname(path()), { recursive: true });
    await writeFile(path(), '{}');
    await writeFile(other(), '{}');
  });

  test('it goes when the model is replaced', async () => {
    await imported(96);
    assert.deepEqual([existsSync(path()), existsSync(other())], [false, true]);
  });

  test('it goes when the model is removed', async () => {
    assert.equal(await removeImported(home, 'mine'), true);
    assert.deepEqual([existsSync(path()), existsSync(other())], [false, true]);
  });
});
