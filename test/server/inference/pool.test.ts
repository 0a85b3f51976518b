// The pool's promises to its callers, with workers that do as the test tells them.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Channel, ChannelEvents } from '../../../server/inference/channel.ts';
import type { Job, PoolOptions, RestartReason } from '../../../server/inference/pool.ts';
import { JobError, WorkerPool } from '../../../server/inference/pool.ts';
import type { DetectOutcome, JobMessage, LoadedModel } from '../../../server/inference/protocol.ts';

const NO_BODY = new Uint8Array(0);

class FakeWorker implements Channel {
  /** What workers say of their models. */
  static report: readonly LoadedModel[] = [];
  readonly pid = undefined;
  readonly taken: JobMessage[] = [];
  readonly events: ChannelEvents;
  killed = false;

  constructor(events: ChannelEvents) {
    this.events = events;
  }

  load(): void {
    queueMicrotask(() => this.events.message({ type: 'ready', models: FakeWorker.report }, NO_BODY));
  }

  work(message: JobMessage): void {
    this.taken.push(message);
  }

  kill(): void {
    this.killed = true;
    queueMicrotask(() => this.events.exit('signal SIGKILL'));
  }

  /** The job that it has and did not answer yet. */
  get job(): JobMessage {
    return this.taken.at(-1) ?? assert.fail('the worker was given no job');
  }

  finish(outcome: Partial<DetectOutcome> = {}): void {
    const times = { decode: 1, preprocess: 0, inference: 1, postprocess: 1 };
    const found = { image: { width: 1, height: 1 }, objects: [], times, ...outcome };
    this.events.message({ type: 'done', outcome: found }, NO_BODY);
  }
}

async function pool(options: Partial<PoolOptions> = {}, report: readonly LoadedModel[] = []) {
  FakeWorker.report = report;
  const workers: FakeWorker[] = [];
  const restarts: RestartReason[] = [];
  const made = new WorkerPool({
    workers: 2,
    queue: { images: 3, bytes: 1000, pixels: 1000 },
    jobTimeoutMs: 10_000,
    load: { models: [], home: '', threads: 1, precision: 'fp32', limits: { maxPixels: 1 } },
    spawn: (events) => {
      const worker = new FakeWorker(events);
      workers.push(worker);
      return worker;
    },
    onRestart: (reason) => restarts.push(reason),
    ...options,
  });
  await made.start();
  return { pool: made, workers, restarts };
}

const job = (name: string): Job<'detect'> => ({
  task: 'detect',
  model: name,
  precision: 'fp32',
  photo: { kind: 'encoded', bytes: new Uint8Array(1) },
  options: { scoreThreshold: 0, iouThreshold: 0, maxDetections: 1, agnosticNms: false },
  pixels: 1,
});
const settled = () => new Promise((resolve) => setImmediate(resolve));
const code = (expected: string) => (error: unknown) => error instanceof JobError && error.code === expected;
const worker = (workers: FakeWorker[], index: number) =>
  workers[index] ?? assert.fail(`there is no worker ${index}`);

describe('the worker pool', () => {
  test('gives each worker one job at a time, in order', async () => {
    const { pool: made, workers } = await pool();
    const results = ['a', 'b', 'c'].map((name) => made.submit([job(name)])[0]);
    assert.deepEqual(
      workers.map(({ taken }) => taken.map(({ model }) => model)),
      [['a'], ['b']],
    );
    assert.equal(made.queued, 1);
    await sleep(20);
    worker(workers, 1).finish();
    assert.deepEqual(
      workers.map(({ taken }) => taken.map(({ model }) => model)),
      [['a'], ['b', 'c']],
    );
    worker(workers, 0).finish();
    worker(workers, 1).finish();
    const outcomes = await Promise.all(results);
    const waited = outcomes[2]?.queued ?? 0;
    assert.ok(waited > 15, `the third waited for a worker, ${waited} ms`);
    made.close();
  });

  test('refuses at once what the queue has no room for, all of a batch or none', async () => {
    const { pool: made, workers } = await pool();
    const running = made.submit([job('a'), job('b')]);
    const waiting = Promise.allSettled(made.submit([job('c'), job('d')]));
    assert.throws(() => made.submit([job('e'), job('f')]), code('overloaded'));
    assert.equal(made.queued, 2);
    worker(workers, 0).finish();
    worker(workers, 1).finish();
    await Promise.all(running);
    made.close();
    await waiting;
  });

  test("passes on a worker's refusal with its code, and the worker goes on", async () => {
    const { pool: made, workers } = await pool({ workers: 1 });
    const [result] = made.submit([job('a')]);
    const refused = { type: 'failed', code: 'undecodable_image', message: 'broken' } as const;
    worker(workers, 0).events.message(refused, NO_BODY);
    await assert.rejects(result ?? assert.fail(), code('undecodable_image'));
    const [next] = made.submit([job('b')]);
    worker(workers, 0).finish();
    await next;
    made.close();
  });

  test('gives the job of a dead worker to another, before those that wait', async () => {
    const { pool: made, workers, restarts } = await pool({ workers: 1 });
    const [first] = made.submit([job('first')]);
    const [second] = made.submit([job('second')]);
    worker(workers, 0).events.exit('signal SIGSEGV');
    await settled();
    assert.equal(worker(workers, 1).job.model, 'first');
    worker(workers, 1).finish();
    await first;
    worker(workers, 1).finish();
    await second;
    assert.deepEqual(restarts, ['crash']);
    made.close();
  });

  test('gives up on a job that two workers died of, and lives on', async () => {
    const { pool: made, workers, restarts } = await pool({ workers: 1 });
    const [poison] = made.submit([job('poison')]);
    const [next] = made.submit([job('next')]);
    worker(workers, 0).events.exit('signal SIGSEGV');
    await settled();
    worker(workers, 1).events.exit('signal SIGSEGV');
    await assert.rejects(poison ?? assert.fail(), code('worker_failed'));
    await settled();
    worker(workers, 2).finish();
    await next;
    assert.deepEqual(restarts, ['crash', 'crash']);
    made.close();
  });

  test('kills a worker that is at one job for too long', async () => {
    const { pool: made, workers, restarts } = await pool({ workers: 1, jobTimeoutMs: 20 });
    const [result] = made.submit([job('slow')]);
    await assert.rejects(result ?? assert.fail(), /did not finish in time, twice/);
    assert.ok(worker(workers, 0).killed && worker(workers, 1).killed);
    assert.deepEqual(restarts, ['hang', 'hang']);
    made.close();
  });

  test('a worker that is being killed for hanging gives its late answer, and gets no other photo', async () => {
    const { pool: made, workers } = await pool({ workers: 1, jobTimeoutMs: 20 });
    const [late] = made.submit([job('late')]);
    const first = worker(workers, 0);
    first.kill = () => {
      first.killed = true;
    };
    while (!first.killed) await new Promise((resolve) => setTimeout(resolve, 5));
    const [next] = made.submit([job('next')]);
    first.finish();
    await late;
    assert.deepEqual(
      first.taken.map(({ model }) => model),
      ['late'],
    );
    first.events.exit('signal SIGKILL');
    await settled();
    worker(workers, 1).finish();
    await next;
    made.close();
  });

  test('a replacement that cannot load what the lost worker could gets no photos', async () => {
    const { pool: made, workers } = await pool({ workers: 1 }, [
      { name: 'm', state: 'ready', seconds: 1, precision: 'fp32', precisions: ['fp32'] },
    ]);
    const [result] = made.submit([job('m')]);
    const failed = [{ name: 'm', state: 'failed' as const, reason: 'no space' }];
    FakeWorker.report = failed;
    worker(workers, 0).events.exit('signal SIGKILL');
    await settled();
    assert.ok(worker(workers, 1).killed);
    assert.deepEqual(worker(workers, 1).taken, []);
    FakeWorker.report = [{ name: 'm', state: 'ready', seconds: 1, precision: 'fp32', precisions: ['fp32'] }];
    while (!workers[2]?.taken.length) await new Promise((resolve) => setTimeout(resolve, 5));
    worker(workers, 2).finish();
    await result;
    made.close();
    FakeWorker.report = [];
  });

  test('each image of a batch that is refused has an error of its own', async () => {
    const { pool: made } = await pool();
    const under = made.submit([job('a'), job('b')]);
    made.close();
    const errors = await Promise.all(under.map((result) => result.catch((error: unknown) => error)));
    assert.notEqual(errors[0], errors[1]);
  });

  test('an abort frees the place in the queue at once', async () => {
    const { pool: made, workers } = await pool({ workers: 1 });
    const [running] = made.submit([job('running')]);
    const controller = new AbortController();
    const waiting = made.submit([job('a'), job('b'), job('c')], controller.signal);
    const reason = new Error('gone');
    controller.abort(reason);
    for (const result of waiting) await assert.rejects(result, reason);
    assert.equal(made.queued, 0);
    worker(workers, 0).finish();
    await running;
    assert.equal(worker(workers, 0).taken.length, 1);
    made.close();
  });

  test('an aborted job that runs is left to finish, its worker to go on, and nobody retries it', async () => {
    const { pool: made, workers } = await pool({ workers: 1 });
    const controller = new AbortController();
    const [running] = made.submit([job('running')], controller.signal);
    controller.abort(new Error('gone'));
    await assert.rejects(running ?? assert.fail(), /gone/);
    const [next] = made.submit([job('next')]);
    assert.equal(made.queued, 1);
    worker(workers, 0).events.exit('signal SIGSEGV');
    await settled();
    assert.equal(worker(workers, 1).job.model, 'next');
    worker(workers, 1).finish();
    await next;
    made.close();
  });

  test('a result after an abort does not reach the next job', async () => {
    const { pool: made, workers } = await pool({ workers: 1 });
    const controller = new AbortController();
    const [first] = made.submit([job('first')], controller.signal);
    const [second] = made.submit([job('second')]);
    controller.abort(new Error('gone'));
    await assert.rejects(first ?? assert.fail());
    worker(workers, 0).finish({ image: { width: 111, height: 1 } });
    worker(workers, 0).finish({ image: { width: 222, height: 1 } });
    assert.equal((await second)?.image.width, 222);
    made.close();
  });

  test('takes nothing that was aborted before, nothing after closing, and refuses what was under way', async () => {
    const { pool: made } = await pool();
    assert.throws(() => made.submit([job('a')], AbortSignal.abort(new Error('gone'))), /gone/);
    const under = made.submit([job('a'), job('b'), job('c')]);
    made.close();
    for (const result of under) await assert.rejects(result, code('shutting_down'));
    assert.throws(() => made.submit([job('a')]), code('shutting_down'));
  });

  test('start fails when workers keep dying before they are loaded', async () => {
    const restarts: RestartReason[] = [];
    const dying = new WorkerPool({
      workers: 1,
      queue: { images: 1, bytes: 1, pixels: 1 },
      jobTimeoutMs: 1000,
      load: { models: [], home: '', threads: 1, precision: 'fp32', limits: { maxPixels: 1 } },
      spawn: (events) => {
        queueMicrotask(() => events.exit('exit code 1'));
        return { pid: undefined, load: () => {}, work: () => {}, kill: () => {} };
      },
      onRestart: (reason) => restarts.push(reason),
    });
    await assert.rejects(dying.start(), /workers die before they have loaded the models: exit code 1/);
    assert.ok(restarts.length >= 3);
    dying.close();
  });
});
