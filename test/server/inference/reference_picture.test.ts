// The picture that int8 is recognised by, and how outputs are sampled and compared.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { describe, test } from 'node:test';
import { NoiseMeter } from '../../../server/inference/noise_meter.ts';
import {
  referencePicture,
  sampleOutputs,
  signalToNoise,
} from '../../../server/inference/reference_picture.ts';

const size = { height: 300, width: 260 };
const picture = referencePicture(size);

/** Green of blocks of `side` pixels, on average. */
function blocks(side: number): number[][] {
  const rows = Math.floor(size.height / side);
  const columns = Math.floor(size.width / side);
  return Array.from({ length: rows }, (_, row) =>
    Array.from({ length: columns }, (_, column) => {
      let sum = 0;
      for (let y = row * side; y < (row + 1) * side; y++)
        for (let x = column * side; x < (column + 1) * side; x++)
          sum += picture[(y * size.width + x) * 3 + 1] as number;
      return sum / side ** 2;
    }),
  );
}

describe('the reference picture', () => {
  test('never changes: what models gave for it is kept in files', () => {
    assert.equal(picture.length, 300 * 260 * 3);
    const digest = createHash('sha256').update(picture).digest('hex');
    assert.equal(digest, 'c1d2d6e5d478e1acf179a5170e2f5e7d4cf7d6f2961cc67463bd4fa71885420a');
  });

  test('has full contrast in each channel, and is not mostly black and white', () => {
    for (let channel = 0; channel < 3; channel++) {
      const values = picture.filter((_, at) => at % 3 === channel);
      assert.equal(Math.min(...new Set(values)), 0);
      assert.equal(Math.max(...new Set(values)), 255);
      const ends = values.filter((value) => value === 0 || value === 255).length;
      assert.ok(ends < values.length / 4, `${ends} of ${values.length}`);
    }
  });

  for (const side of [1, 2, 4, 8, 16, 32]) {
    test(`differs from one block of ${side} pixels to the next`, () => {
      const differences = blocks(side).flatMap((row) =>
        row.slice(1).map((value, at) => Math.abs(value - (row[at] as number))),
      );
      const mean = differences.reduce((sum, value) => sum + value, 0) / differences.length;
      assert.ok(mean > 8, `by ${mean} on average`);
    });
  }

  test('has colours', () => {
    let sum = 0;
    for (let at = 0; at < picture.length; at += 3)
      sum += Math.abs((picture[at] as number) - (picture[at + 2] as number));
    assert.ok(sum / (picture.length / 3) > 20);
  });
});

describe('samples of outputs', () => {
  test('are spread over all of it, 64 at most', () => {
    const large = Float32Array.from({ length: 100_000 }, (_, at) => at);
    const samples = sampleOutputs({ large, small: Float32Array.of(3, 1, 2) });
    assert.deepEqual(samples.get('small'), [3, 1, 2]);
    const taken = samples.get('large') ?? [];
    assert.equal(taken.length, 64);
    assert.equal(taken[0], 0);
    const steps = taken.slice(1).map((value, at) => value - (taken[at] as number));
    assert.ok(steps.every((step) => Math.abs(step - 100_000 / 64) <= 1));
  });
});

describe('signal to noise', () => {
  const reference = new Map([
    ['a', [3, 4]],
    ['b', [100, 0, 0]],
  ]);

  test('is that of the worst output, in decibels of power', () => {
    const actual = new Map([
      ['b', [100, 0.1, 0]],
      ['a', [3.3, 4.4]],
    ]);
    // Noise of a tenth in amplitude is a hundredth in power.
    assert.ok(Math.abs(signalToNoise(actual, reference) - 20) < 1e-9);
  });

  test('is infinite where nothing differs, and no number where one is none', () => {
    assert.equal(signalToNoise(reference, reference), Number.POSITIVE_INFINITY);
    const broken = new Map([
      ['a', [3, Number.NaN]],
      ['b', [100, 0, 0]],
    ]);
    assert.ok(Number.isNaN(signalToNoise(broken, reference)));
  });

  test('adds up over runs before it is compared', () => {
    const meter = new NoiseMeter();
    meter.add(new Map([['a', [10]]]), new Map([['a', [10]]]));
    meter.add(new Map([['a', [1]]]), new Map([['a', [0]]]));
    assert.ok(Math.abs(meter.decibels - 20) < 1e-9);
  });

  test('is not taken of other outputs', () => {
    assert.throws(() => signalToNoise(new Map([['a', [3, 4]]]), reference), /1 outputs, and 2/);
    const short = new Map([
      ['a', [3]],
      ['b', [1, 2, 3]],
    ]);
    assert.throws(() => signalToNoise(short, reference), /'a' has 1 numbers, and 2/);
    const other = new Map([
      ['a', [3, 4]],
      ['c', [1, 2, 3]],
    ]);
    assert.throws(() => signalToNoise(other, reference), /'b' has no numbers, and 3/);
  });
});
