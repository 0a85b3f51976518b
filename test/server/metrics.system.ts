// Prometheus' own checker on a live scrape: names, types, units and help texts.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { startReady } from './harness.ts';

test('promtool has nothing to say about a live scrape', async (t) => {
  const server = await startReady();
  t.after(() => server.stop());
  const photo = await readFile('samples/street.jpg');
  const answer = await fetch(`${server.url}/v1/detect`, { method: 'POST', body: photo });
  assert.equal(answer.status, 200);
  await fetch(`${server.url}/v1/detect`, { method: 'POST', body: 'no image' });
  const scrape = await (await fetch(`${server.url}/metrics`)).text();
  assert.match(scrape, /thinlens_images_total\{model="ssdlite_mobilenet_v2_coco"\} 1\n/);
  const { error, status, stdout, stderr } = spawnSync('promtool', ['check', 'metrics'], {
    input: scrape,
    encoding: 'utf8',
  });
  assert.equal(error, undefined, 'promtool runs (Debian: apt-get install prometheus)');
  assert.equal(`${stdout}${stderr}`, '');
  assert.equal(status, 0);
});
