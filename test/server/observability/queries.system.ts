// Prometheus' own parser on the queries of docs/reference/metrics.md.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { stringify } from 'yaml';
import { queriesOf } from './queries.ts';

const folder = mkdtempSync(join(tmpdir(), 'thinlens-queries-'));
after(() => rmSync(folder, { recursive: true, force: true }));

/** What promtool says of queries, as the expressions of rules. */
function check(queries: readonly string[]) {
  const rules = queries.map((expr, at) => ({ record: `query:${at}`, expr }));
  const file = join(folder, 'rules.yml');
  writeFileSync(file, stringify({ groups: [{ name: 'queries', rules }] }));
  const { error, status, stderr } = spawnSync('promtool', ['check', 'rules', file], { encoding: 'utf8' });
  assert.equal(error, undefined, 'promtool runs (Debian: apt-get install prometheus)');
  return { status, stderr };
}

test('promtool reads every query of the metrics page', () => {
  const queries = queriesOf(readFileSync('docs/reference/metrics.md', 'utf8'));
  assert.ok(queries.length >= 5);
  assert.deepEqual(check(queries), { status: 0, stderr: '' });
  assert.notEqual(check([...queries, 'sum(rate(thinlens_images_total))']).status, 0);
});
