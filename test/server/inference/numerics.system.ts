// The compiled network against TensorFlow.js on real photos, which lie beside the checkout and never in it.
import assert from 'node:assert/strict';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { decodeImage } from '../../../server/image/decode.ts';
import { Detector } from '../../../server/inference/detector.ts';
import { catalog } from '../../../server/zoo/catalog.ts';
import { ModelStore } from '../../../server/zoo/store.ts';
import { assertSameOutputs } from '../../reference/same_outputs.ts';
import { loadTfjsDetector } from '../../reference/tfjs.ts';

const PHOTOS = '../shared/eval/images';

test('every score and box encoding of 20 photos agrees with TensorFlow.js', async (t) => {
  const home = await mkdtemp(join(tmpdir(), 'thinlens-numerics-'));
  t.after(() => rm(home, { recursive: true }));
  const record = catalog[0] ?? assert.fail('the catalog is empty');
  const detector = await Detector.open(record, new ModelStore(home), { threads: 1 });
  const reference = await loadTfjsDetector();
  const names = (await readdir(PHOTOS)).filter((name) => name.endsWith('.jpg')).sort();
  assert.ok(names.length >= 20, `${PHOTOS} holds ${names.length} photos`);
  // Spread over the set, not the first twenty.
  const chosen = Array.from({ length: 20 }, (_, i) => names[Math.floor((i * names.length) / 20)] as string);
  for (const name of chosen) {
    const { pixels } = await decodeImage(await readFile(join(PHOTOS, name)), {
      width: 300,
      height: 300,
      maxPixels: 50e6,
    });
    await assertSameOutputs(detector, reference, pixels, name);
  }
  await detector.close();
});
