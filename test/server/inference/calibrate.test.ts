// What calibration sees: the photos as they are served, and the values that another way into the network gives.
import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { minMax } from '../../../models/graph/quantization/estimators.ts';
import { calibrate } from '../../../server/inference/calibrate.ts';
import { runNetwork } from '../../../server/inference/network_run.ts';
import type { PhotoInput } from '../../../server/inference/photo_input.ts';
import { photoInput } from '../../../server/inference/photo_input.ts';
import { Segmenter } from '../../../server/inference/segmenter.ts';
import { catalog } from '../../../server/zoo/catalog.ts';
import { ModelStore } from '../../../server/zoo/store.ts';
import { loadWeights } from '../../../server/zoo/weights.ts';

const limits = { maxPixels: 100_000_000 };
const segmenter =
  catalog.find(({ name }) => name === 'deeplabv3_shufflenet_v2_voc') ?? assert.fail('not there');
const detector =
  catalog.find(({ name }) => name === 'ssdlite_shufflenet_v2_coco') ?? assert.fail('not there');
let home: string;

before(async () => {
  home = await mkdtemp(join(tmpdir(), 'thinlens-calibrate-'));
});

after(() => rm(home, { recursive: true, force: true }));

async function* each(photos: readonly PhotoInput[]): AsyncGenerator<PhotoInput> {
  yield* photos;
}

describe('calibration', () => {
  for (const [record, value] of [
    [detector, 'backbone.stage2.0'],
    [segmenter, 'backbone.stage2.0'],
  ] as const) {
    test(`of ${record.name} knows the least and the largest number of a value over all photos, and its channels' means`, async () => {
      const weights = await loadWeights(record, home);
      const photos = await Promise.all(
        ['samples/cat.jpg', 'samples/street.jpg'].map(async (file) =>
          photoInput(await readFile(file), record, limits),
        ),
      );
      const calibration = await calibrate(record, weights, each(photos), { threads: 1 });
      const { ranges, means } = calibration.calibrated(minMax);
      // What convolutions give by themselves is folded away, and cannot be tapped.
      const names = [...ranges.keys()].filter(
        (name) => name.startsWith(`${value}.`) && means.has(name) && !name.endsWith('.conv'),
      );
      assert.ok(names.length > 0, [...ranges.keys()].slice(0, 12).join());
      for (const name of names.slice(0, 2)) {
        let [least, largest, sum, count] = [Infinity, -Infinity, 0, 0];
        for (const { pixels, size } of photos) {
          const shape = [1, size.height, size.width, 3];
          const input = { kind: 'pixels', data: pixels, shape } as const;
          const tapped = (await runNetwork(record, weights, input, { taps: [name], threads: 1 })).get(name);
          assert.ok(tapped);
          for (const x of tapped.data) [least, largest] = [Math.min(least, x), Math.max(largest, x)];
          const [, , height = 0, width = 0] = tapped.shape;
          for (const x of tapped.data.subarray(0, height * width)) sum += x;
          count += height * width;
        }
        const near = (found: number | undefined, wanted: number) =>
          assert.ok(
            Math.abs((found ?? NaN) - wanted) <= 1e-3 * (largest - least),
            `${name}: ${found}, ${wanted}`,
          );
        near(ranges.get(name)?.[0], least);
        near(ranges.get(name)?.[1], largest);
        near(means.get(name)?.[0], sum / count);
      }
    });
  }

  test('sees a photo at the size that it is segmented at', async () => {
    const served = await Segmenter.open(segmenter, new ModelStore(home), { threads: 1 });
    for (const file of ['samples/cat.jpg', 'samples/street.jpg']) {
      const bytes = await readFile(file);
      const { input } = await served.segment(bytes, { multiScale: false, flip: false }, limits);
      assert.deepEqual((await photoInput(bytes, segmenter, limits)).size, input);
    }
    await served.close();
  });
});
