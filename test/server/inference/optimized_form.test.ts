// What is kept of ONNX Runtime's optimisation computes what the network itself does, and is never in the way.
import assert from 'node:assert/strict';
import { mkdtemp, readdir, readFile, rm, truncate } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { optimizedForm } from '../../../server/inference/optimized_form.ts';
import { referencePicture } from '../../../server/inference/reference_picture.ts';
import { ImageSession } from '../../../server/inference/session.ts';
import { catalog } from '../../../server/zoo/catalog.ts';
import { servedSize } from '../../../server/zoo/network.ts';
import { ModelStore } from '../../../server/zoo/store.ts';

const home = await mkdtemp(join(tmpdir(), 'thinlens-form-'));
after(() => rm(home, { recursive: true, force: true }));
const store = new ModelStore(home);
const form = optimizedForm(false);
const modelNamed = (name: string) => catalog.find((record) => record.name === name) ?? assert.fail(name);

async function outputs(onnx: Uint8Array, size: { height: number; width: number }) {
  const session = await ImageSession.open(onnx, { threads: 1, narrowSums: false });
  const found = await session.run(referencePicture(size), size);
  const copy = new Map(Object.entries(found).map(([name, data]) => [name, data.slice()]));
  await session.close();
  return copy;
}

describe('the optimised form', () => {
  for (const name of ['ssdlite_shufflenet_v2_coco', 'deeplabv3_shufflenet_v2_voc']) {
    for (const precision of ['fp32', 'int8'] as const) {
      test(`of ${name} in ${precision} gives the same numbers, to the last bit`, async () => {
        const record = modelNamed(name);
        const whole = await store.compiled(record, precision);
        const formed = await store.formed(record, precision, form);
        assert.notEqual(formed.sha256, whole.sha256);
        const sizes = [servedSize(record)];
        if (record.task === 'segmentation') sizes.push({ height: 385, width: 513 });
        for (const size of sizes)
          assert.deepEqual(await outputs(formed.onnx, size), await outputs(whole.onnx, size));
      });
    }
  }

  const record = modelNamed('ssdlite_shufflenet_v2_coco');

  test('is made once, and made again where it is damaged', async () => {
    const first = await store.formed(record, 'fp32', form);
    const second = await store.formed(record, 'fp32', form);
    assert.deepEqual([second.cached, second.sha256], [true, first.sha256]);
    await truncate(first.path, 1000);
    const third = await store.formed(record, 'fp32', form);
    assert.equal(third.cached, false);
    assert.ok(Buffer.from(third.onnx).equals(await readFile(first.path)));
  });

  test('is another one for another version or kind of CPU', () => {
    assert.notEqual(optimizedForm(true).name, form.name);
    assert.match(form.name, /^ort\d+\.\d+\.\d+-/);
  });

  test('that cannot be had leaves the network as it is', async () => {
    const none = { name: 'none', make: async () => undefined };
    const { sha256 } = await store.compiled(record);
    assert.equal((await store.formed(record, 'fp32', none)).sha256, sha256);
    assert.equal(
      (await readdir(join(home, 'compiled'))).some((file) => file.includes('none')),
      false,
    );
    assert.equal(await form.make(new Uint8Array([1, 2, 3])), undefined);
  });
});
