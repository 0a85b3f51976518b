// Accuracy beside the reference, through the very script that prints it.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { test } from 'node:test';
import { promisify } from 'node:util';

const EVAL = '../shared/eval';

test('AP is not more than 0.3 points below that of TensorFlow.js with its own resize', async () => {
  const { stdout } = await promisify(execFile)(
    process.execPath,
    [
      'dist/bench/accuracy.js',
      '--images',
      `${EVAL}/images`,
      '--annotations',
      `${EVAL}/instances.json`,
      '--json',
    ],
    { maxBuffer: 1e7 },
  );
  const { images, thinlens, tfjs } = JSON.parse(stdout);
  assert.equal(images, 155);
  assert.ok(tfjs.AP > 0.25, `the reference's AP is ${tfjs.AP}: is it set up right?`);
  assert.ok(thinlens.AP >= tfjs.AP - 0.003, `AP ${thinlens.AP}, TensorFlow.js ${tfjs.AP}`);
});
