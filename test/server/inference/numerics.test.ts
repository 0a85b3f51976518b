// The compiled network against an independent implementation: TensorFlow.js running the same checkpoint.
import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { decodeImage } from '../../../server/image/decode.ts';
import { Detector } from '../../../server/inference/detector.ts';
import { catalog } from '../../../server/zoo/catalog.ts';
import { ModelStore } from '../../../server/zoo/store.ts';
import { smoothNoise, uniformNoise } from '../../reference/noise.ts';
import { assertSameOutputs } from '../../reference/same_outputs.ts';
import type { TfjsDetector } from '../../reference/tfjs.ts';
import { loadTfjsDetector } from '../../reference/tfjs.ts';

const SAMPLES = ['street', 'stop-sign', 'clock', 'cat', 'coffee'];

let home: string;
let detector: Detector;
let reference: TfjsDetector;

before(async () => {
  home = await mkdtemp(join(tmpdir(), 'thinlens-numerics-'));
  const record = catalog[0];
  assert.ok(record);
  detector = await Detector.open(record, new ModelStore(home), { threads: 1 });
  reference = await loadTfjsDetector();
});

after(async () => {
  await detector.close();
  await rm(home, { recursive: true });
});

for (const name of SAMPLES) {
  test(`every score and box encoding of samples/${name}.jpg agrees with TensorFlow.js`, async () => {
    const photo = await readFile(`samples/${name}.jpg`);
    const { pixels } = await decodeImage(photo, { width: 300, height: 300, maxPixels: 50e6 });
    await assertSameOutputs(detector, reference, pixels);
  });
}

for (const seed of [1, 2]) {
  test(`every score and box encoding of noise ${seed} agrees with TensorFlow.js`, async () => {
    await assertSameOutputs(detector, reference, uniformNoise(seed));
    await assertSameOutputs(detector, reference, smoothNoise(seed));
  });
}
