import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { OptionError, parseBenchOptions, photosIn } from '../../bench/support/options.ts';

function given(...args: string[]) {
  const options = parseBenchOptions(args);
  assert.ok(options !== 'help');
  return options;
}

test('options are read, lists in the order of the plan', () => {
  const options = given(
    ...['--seconds', '0.5', '--rounds', '3', '--warm-up', '2', '--workers', '4', '--images', 'photos'],
    ...[
      '--tasks',
      'segmentation, detection',
      '--only',
      'tfjs,thinlens',
      '--json',
      'a.json',
      '--svg',
      'b.svg',
    ],
  );
  assert.deepEqual(
    { ...options, precisions: undefined },
    {
      images: 'photos',
      seconds: 0.5,
      rounds: 3,
      warmUp: 2,
      workers: 4,
      tasks: ['detection', 'segmentation'],
      precisions: undefined,
      only: ['thinlens', 'tfjs'],
      json: 'a.json',
      svg: 'b.svg',
      from: undefined,
    },
  );
});

test('--quick shortens what is not given', () => {
  const whole = given();
  const quick = given('--quick', '--rounds', '7');
  assert.ok(quick.seconds < whole.seconds && quick.warmUp < whole.warmUp);
  assert.equal(quick.rounds, 7);
});

test('--help is no options', () => {
  assert.equal(parseBenchOptions(['--help']), 'help');
});

for (const [args, message] of [
  [['--seconds', '0'], "--seconds is '0', but must be a number above 0"],
  [['--seconds', 'five'], "--seconds is 'five', but must be a number above 0"],
  [['--rounds', '1.5'], "--rounds is '1.5', but must be a whole number above 0"],
  [['--workers', '-1'], /--workers/],
  [['--only', 'thinlens,torch'], /--only names 'torch', but must be of thinlens, floor, tfjs, tutorial/],
  [['--precisions', 'fp16'], /--precisions names 'fp16', but must be of fp32, int8/],
  [['--round', '3'], /--round/],
] as const)
  test(`${args.join(' ')} is refused in words`, () => {
    assert.throws(
      () => parseBenchOptions(args),
      (error) =>
        error instanceof OptionError &&
        (typeof message === 'string' ? error.message === message : message.test(error.message)),
    );
  });

test('a folder without photos, or none, is refused by its name', (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'thinlens-bench-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const refusal = (error: unknown) => error instanceof OptionError && error.message.includes(folder);
  assert.throws(() => photosIn(folder), refusal);
  assert.throws(() => photosIn(join(folder, 'nowhere')), refusal);
  for (const name of ['b.jpg', 'a.JPEG', 'notes.txt']) writeFileSync(join(folder, name), '');
  assert.deepEqual(photosIn(folder), [join(folder, 'a.JPEG'), join(folder, 'b.jpg')]);
});
