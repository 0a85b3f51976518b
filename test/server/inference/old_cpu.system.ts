// int8 on x86 without VNNI, emulated: there the sums of byte products overflow 16 bits. The server's sessions take another way,
// and where they did not, the comparison with stored outputs would tell.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { promisify } from 'node:util';
import { LEAST_SIGNAL_TO_NOISE } from '../../../server/inference/int8_check.ts';
import { catalog } from '../../../server/zoo/catalog.ts';
import { ModelStore } from '../../../server/zoo/store.ts';

const [record = assert.fail('the catalog is empty')] = catalog;
const home = await mkdtemp(join(tmpdir(), 'thinlens-old-cpu-'));
after(() => rm(home, { recursive: true, force: true }));

/** Has AVX2, and no VNNI. */
const OLD_CPU = 'Haswell';

async function outputsOn(command: string, ...flags: string[]): Promise<{ without: number; with: number }> {
  const { path } = await new ModelStore(home).compiled(record, 'int8');
  const { width, height } = record.input;
  const script = ['dist/test/server/inference/int8_outputs.js', path, `weights/${record.name}.int8.json`];
  const { stdout } = await promisify(execFile)(command, [...flags, ...script, String(width), String(height)]);
  // An infinite ratio is no number in JSON.
  const { without, with: ours } = JSON.parse(stdout) as { without: number | null; with: number | null };
  return { without: without ?? Number.POSITIVE_INFINITY, with: ours ?? Number.POSITIVE_INFINITY };
}

test('an old x86 computes the same in int8, and would not without what sessions are told', async () => {
  const found = await outputsOn(
    'qemu-x86_64',
    '-cpu',
    OLD_CPU,
    process.execPath,
    '--jitless',
    '--no-expose-wasm',
  );
  console.log(
    `  on an emulated ${OLD_CPU}: ${found.with.toFixed(1)} dB, ${found.without.toFixed(1)} dB without`,
  );
  assert.ok(found.with > 60, `${found.with} dB`);
  assert.ok(found.without < LEAST_SIGNAL_TO_NOISE, `${found.without} dB`);
});
