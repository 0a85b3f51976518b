// The compiled network against an independent implementation: TensorFlow.js running the same checkpoint.
import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { decodeImage } from '../../../server/image/decode.ts';
import { Detector } from '../../../server/inference/detector.ts';
import { recordNamed } from '../../../server/zoo/catalog.ts';
import { ModelStore } from '../../../server/zoo/store.ts';
import { smoothNoise, uniformNoise } from '../../reference/noise.ts';
import type { TfjsDetector } from '../../reference/tfjs.ts';
import { loadTfjsDetector } from '../../reference/tfjs.ts';

const SAMPLES = ['street', 'stop-sign', 'clock', 'cat', 'coffee'];

let home: string;
let detector: Detector;
let reference: TfjsDetector;

before(async () => {
  home = await mkdtemp(join(tmpdir(), 'thinlens-numerics-'));
  const record = recordNamed('ssdlite_mobilenet_v2_coco');
  assert.ok(record);
  detector = await Detector.open(record, new ModelStore(home), 1);
  reference = await loadTfjsDetector();
});

after(async () => {
  await detector.close();
  await rm(home, { recursive: true });
});

/** Asserts that both give the same numbers for these 300x300 pixels. */
export async function compare(pixels: Uint8Array): Promise<void> {
  const [ours, theirs] = [await detector.outputs(pixels), await reference.run(pixels)];
  assert.equal(ours.encodings.length, 1917 * 4);
  assert.equal(ours.logits.length, 1917 * 91);
  const worst = { encoding: 0, score: 0 };
  theirs.encodings.forEach((value, i) => {
    worst.encoding = Math.max(worst.encoding, Math.abs((ours.encodings[i] as number) - value));
  });
  theirs.scores.forEach((value, i) => {
    worst.score = Math.max(worst.score, Math.abs(1 / (1 + Math.exp(-(ours.logits[i] as number))) - value));
  });
  assert.ok(worst.encoding < 1e-3, `box encodings differ by up to ${worst.encoding}`);
  assert.ok(worst.score < 1e-3, `scores differ by up to ${worst.score}`);
  // Outputs that were all alike would agree with anything of their kind.
  const spread = Math.max(...theirs.encodings) - Math.min(...theirs.encodings);
  assert.ok(spread > 1, `the reference's box encodings spread over ${spread} only`);
}

for (const name of SAMPLES) {
  test(`every score and box encoding of samples/${name}.jpg agrees with TensorFlow.js`, async () => {
    const photo = await readFile(`samples/${name}.jpg`);
    const { pixels } = await decodeImage(photo, { width: 300, height: 300, maxPixels: 50e6 });
    await compare(pixels);
  });
}

for (const seed of [1, 2]) {
  test(`every score and box encoding of noise ${seed} agrees with TensorFlow.js`, async () => {
    await compare(uniformNoise(seed));
    await compare(smoothNoise(seed));
  });
}
