// The training kit from folders to exported files, on drawn pictures. Nothing that serves needs Python.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';

// Debian's own interpreter: another python3 that comes first in PATH would not have Debian's PyTorch.
const PYTHON = '/usr/bin/python3';

test('losses fall, a run resumes, exports are whole', () => {
  const { error, status, stdout, stderr } = spawnSync(PYTHON, ['training/smoke_test.py'], {
    encoding: 'utf8',
  });
  assert.equal(
    error,
    undefined,
    `${PYTHON} runs (Debian: python3-torch python3-torchvision python3-pil python3-numpy)`,
  );
  assert.equal(status, 0, `${stdout}\n${stderr}`);
  assert.match(stdout, /^all well, \d+ s$/m);
  assert.doesNotMatch(stdout, /^FAIL/m);
});
