/**
 * Every reader of weights against damaged and lying files: it gives tensors or throws a WeightsError that names the
 * file; it neither throws anything else, nor hangs, nor takes memory beyond a small multiple of the file.
 *
 *     FUZZ_CASES=20000 node scripts/test.js unit weights/fuzz      (1000 cases a reader where not set)
 *
 * Seeds count from 1, and a failure names its seed: fuzz_cases.ts makes the same file of it again.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Worker } from 'node:worker_threads';
import type { Outcome, Subject, Task } from './fuzz_cases.ts';

const cases = Number(process.env.FUZZ_CASES ?? 1000);
/** A case takes far less than a millisecond; one that takes this long is not coming back. */
const STALLED_MS = 60_000;

/** Runs `count` cases on a thread of its own, because only from outside can an endless loop be stopped. */
function fuzz(subject: Subject, count: number, stalledMs = STALLED_MS): Promise<Outcome> {
  const progress = new Int32Array(new SharedArrayBuffer(4));
  const workerData: Task = { subject, count, progress };
  const worker = new Worker(new URL('./fuzz_cases.js', import.meta.url), {
    workerData,
    resourceLimits: { maxOldGenerationSizeMb: 256 },
  });
  return new Promise((resolve, reject) => {
    let last = 0;
    const watch = setInterval(() => {
      const seed = progress[0] as number;
      if (seed > 0 && seed === last)
        finish({ read: 0, refused: 0, failure: `${subject}, seed ${seed}: hangs` });
      last = seed;
    }, stalledMs);
    const finish = (outcome: Outcome) => {
      clearInterval(watch);
      worker.terminate().then(() => resolve(outcome), reject);
    };
    worker.once('message', finish);
    worker.once('error', (error) => {
      finish({ read: 0, refused: 0, failure: `${subject}, seed ${progress[0]}: ${error.stack}` });
    });
  });
}

describe(`${cases} damaged files`, () => {
  for (const subject of ['safetensors', 'zip', 'legacy', 'tfjs'] as const) {
    test(`${subject}: read or refused, never worse`, async () => {
      const { read, refused, failure } = await fuzz(subject, cases);
      assert.equal(failure, undefined);
      assert.equal(read + refused, cases);
      // Else the files would be too damaged, or not enough, to reach much of the reader.
      assert.ok(read > cases / 50, `${read} of ${cases} were read`);
      assert.ok(refused > cases / 4, `${refused} of ${cases} were refused`);
    });
  }
});

describe('the fuzzing itself', () => {
  test('notices another error', async () => {
    assert.match((await fuzz('throws', 3)).failure ?? '', /^throws, seed 1: threw TypeError/);
  });
  test('notices memory', async () => {
    assert.match(
      (await fuzz('grows', 3)).failure ?? '',
      /^grows, seed 1: took \d{7} bytes for a file of 100$/,
    );
  });
  test('notices an endless loop', async () => {
    assert.match((await fuzz('hangs', 3, 200)).failure ?? '', /^hangs, seed 1: hangs$/);
  });
});
