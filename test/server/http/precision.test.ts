// int8 over HTTP: what runs by default, what may be asked for, what is found, and what is said of it all.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { Model, ModelList } from '../../../openapi/types.ts';
import { byteProducts } from '../../../server/inference/cpu_features.ts';
import { overlap } from '../boxes.ts';
import type { TestServer } from '../harness.ts';
import {
  ask,
  post,
  problem,
  result,
  sample,
  scrape,
  segment,
  segmented,
  startReady,
  TASKS,
  withoutTiming,
} from '../harness.ts';
import { maskOf } from '../masks.ts';

/** What this machine's CPU makes of a setting of auto. */
const fastest = byteProducts() === undefined ? 'fp32' : 'int8';

async function modelNamed(server: TestServer, name: string): Promise<Model> {
  const { body } = await ask('listModels', `${server.url}/v1/models`);
  return (
    (body as ModelList).models.find((model) => model.name === name) ?? assert.fail(`${name} is not listed`)
  );
}

describe('a server that is told to run int8', () => {
  let server: TestServer;
  before(async () => {
    server = await startReady({ precision: 'int8' });
  });
  after(() => server.stop());

  test('finds what fp32 finds', async () => {
    const exact = await startReady({ precision: 'fp32' });
    for (const name of ['cat', 'street', 'stop-sign'] as const) {
      const photo = await sample(name);
      const [quantised, floats] = [await post(server, photo), await post(exact, photo)].map(result);
      assert.deepEqual([quantised?.precision, floats?.precision], ['int8', 'fp32']);
      // What is sure in one is there in the other.
      const sure = floats?.detections.filter(({ score }) => score > 0.5) ?? [];
      assert.ok(sure.length > 0);
      for (const { label, box, score } of sure) {
        const same = quantised?.detections.filter((other) => other.label === label) ?? [];
        const best = same.sort((a, b) => overlap(b.box, box) - overlap(a.box, box))[0];
        assert.ok(best && overlap(best.box, box) > 0.8, `${label} of ${name} is not where it was`);
        assert.ok(Math.abs(best.score - score) < 0.2, `${label} of ${name}: ${score} became ${best.score}`);
      }
    }
    await exact.stop();
  });

  test('finds the classes of pixels that fp32 finds', async () => {
    const exact = await startReady({ precision: 'fp32' });
    const photo = await sample('cat');
    const [quantised, floats] = [await segment(server, photo), await segment(exact, photo)].map(segmented);
    assert.deepEqual([quantised?.precision, floats?.precision], ['int8', 'fp32']);
    const masks = await Promise.all(
      [quantised, floats].map((answer) => {
        const cat = answer?.segments.find(({ label }) => label === 'cat') ?? assert.fail('there is no cat');
        return maskOf(cat, answer?.image ?? assert.fail());
      }),
    );
    const [a = new Uint8Array(0), b = new Uint8Array(0)] = masks;
    const both = a.reduce((sum, value, i) => sum + (value & (b[i] ?? 0)), 0);
    const either = a.reduce((sum, value, i) => sum + (value | (b[i] ?? 0)), 0);
    assert.ok(both / either > 0.95, `the masks of the cat agree by ${both / either}`);
    await exact.stop();
  });

  test('has no fp32 to be asked for, and says so', async () => {
    for (const { send, model } of TASKS) {
      const answer = await send(server, await sample('cat'), { precision: 'fp32' });
      assert.match(problem(answer, 400, 'precision_unavailable').detail, /no fp32.*its precisions are int8/);
      const { precisions, default_precision, precision_fallback } = await modelNamed(server, model);
      assert.deepEqual([precisions, default_precision, precision_fallback], [['int8'], 'int8', undefined]);
    }
  });

  test('counts what it does as int8', async () => {
    await post(server, await sample('clock'));
    const metrics = await scrape(server);
    const count = (precision: string) =>
      metrics.get(
        `thinlens_stage_duration_seconds_count{model="${TASKS[0]?.model}",precision="${precision}",stage="inference"}`,
      );
    assert.ok((count('int8') ?? 0) > 0);
    assert.equal(count('fp32'), undefined);
    assert.ok(
      (metrics.get(`thinlens_model_load_seconds{model="${TASKS[0]?.model}",precision="int8"}`) ?? 0) > 0,
    );
  });
});

describe('a server that is told nothing', () => {
  let server: TestServer;
  before(async () => {
    server = await startReady({ precision: 'auto' });
  });
  after(() => server.stop());

  test(`runs ${fastest} on this CPU, and says so, and why where that is fp32`, async () => {
    const metrics = await scrape(server);
    for (const { send, model } of TASKS) {
      const { body } = await send(server, await sample('cat'));
      assert.equal((body as { precision: string }).precision, fastest);
      const { default_precision, precision_fallback } = await modelNamed(server, model);
      const reason = fastest === 'int8' ? undefined : 'cpu';
      assert.deepEqual([default_precision, precision_fallback?.reason], [fastest, reason]);
      const fallback = metrics.get(`thinlens_model_precision_fallback{model="${model}",reason="cpu"}`);
      assert.equal(fallback, reason ? 1 : 0);
    }
  });

  test('gives fp32 to whoever asks for it, from the first request on', async () => {
    const exact = await startReady({ precision: 'fp32' });
    for (const { send } of TASKS) {
      const photo = await sample('cat');
      const wanted = await send(exact, photo);
      const answers = await Promise.all([1, 2].map(() => send(server, photo, { precision: 'fp32' })));
      for (const answer of answers) assert.deepEqual(withoutTiming(answer), withoutTiming(wanted));
    }
    await exact.stop();
  });
});
