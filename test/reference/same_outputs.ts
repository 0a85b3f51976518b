import assert from 'node:assert/strict';
import type { Detector } from '../../server/inference/detector.ts';
import type { TfjsDetector } from './tfjs.ts';

/** Largest difference allowed in a score or a box encoding; the two implementations differ by some 1e-5 in rounding alone. */
const TOLERANCE = 1e-3;

/** Asserts that our network and TensorFlow.js give the same numbers for these pixels, [300, 300, 3]. */
export async function assertSameOutputs(
  ours: Detector,
  theirs: TfjsDetector,
  pixels: Uint8Array,
  what = 'the pixels',
): Promise<void> {
  const { encodings, logits } = await ours.outputs(pixels);
  const expected = await theirs.run(pixels);
  assert.equal(encodings.length, 1917 * 4);
  assert.equal(logits.length, 1917 * 91);
  const worst = { encoding: 0, score: 0 };
  expected.encodings.forEach((value, i) => {
    worst.encoding = Math.max(worst.encoding, Math.abs((encodings[i] as number) - value));
  });
  expected.scores.forEach((value, i) => {
    worst.score = Math.max(worst.score, Math.abs(1 / (1 + Math.exp(-(logits[i] as number))) - value));
  });
  assert.ok(worst.encoding < TOLERANCE, `${what}: box encodings differ by up to ${worst.encoding}`);
  assert.ok(worst.score < TOLERANCE, `${what}: scores differ by up to ${worst.score}`);
  // Outputs that were all alike would agree with anything of their kind.
  const spread = Math.max(...expected.encodings) - Math.min(...expected.encodings);
  assert.ok(spread > 1, `the reference's box encodings spread over ${spread} only`);
}
