// What docs/reference/metrics.md says of the metrics beyond what it is written from.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { LABELS, Metrics } from '../../../server/observability/metrics.ts';
import { queriesOf } from './queries.ts';

const page = readFileSync('docs/reference/metrics.md', 'utf8');
const { registry } = new Metrics(() => 0, []);
const known = (await registry.getMetricsAsJSON()).filter(({ name }) => name.startsWith('thinlens_'));

test('the one table has a row for each metric', () => {
  const rows = [...page.matchAll(/^\| `(\w+)` +\| (\w+) /gm)].map(([, name, type]) => [name, type]);
  assert.deepEqual(
    rows,
    known.map(({ name, type }) => [name, type]),
  );
  assert.equal(page.match(/^\| -/gm)?.length, 1);
});

test('every query is of metrics and labels that there are', () => {
  const names = new Set(
    known.flatMap(({ name, type }): string[] =>
      String(type) === 'histogram' ? ['bucket', 'sum', 'count'].map((part) => `${name}_${part}`) : [name],
    ),
  );
  const queries = queriesOf(page);
  assert.ok(queries.length >= 5);
  for (const query of queries) {
    const used = query.match(/thinlens_\w+/g) ?? [];
    assert.ok(used.length > 0, query);
    assert.deepEqual(
      used.filter((name) => !names.has(name)),
      [],
    );
    const grouped = [...query.matchAll(/by \(([^)]*)\)/g)].flatMap(([, list = '']) => list.split(', '));
    const selected = [...query.matchAll(/[{,](\w+)=/g)].map(([, label = '']) => label);
    for (const label of [...grouped, ...selected]) assert.ok(label === 'le' || label in LABELS, label);
  }
});

test('every label has a meaning, and every meaning a label', () => {
  const used = known.flatMap(({ name }) => {
    const { labelNames } = registry.getSingleMetric(name) as unknown as { labelNames: string[] };
    return labelNames;
  });
  assert.deepEqual([...new Set(used)].sort(), Object.keys(LABELS).sort());
});
