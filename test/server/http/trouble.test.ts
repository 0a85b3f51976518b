// More than the server can do, clients that go away or dawdle, and workers that die or hang. Where a test needs a worker to
// be busy, it is stopped (SIGSTOP): what then waits, waits for certain and for as long as the test likes.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { Agent, request } from 'node:http';
import { connect, type Socket } from 'node:net';
import { after, afterEach, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import sharp from 'sharp';
import type { Settings } from '../../../server/settings.ts';
import type { Answer, Scrape, TestServer } from '../harness.ts';
import {
  ask,
  form,
  growth,
  post,
  problem,
  result,
  sample,
  scrape,
  startReady,
  TASKS,
  until,
  withoutTiming,
} from '../harness.ts';
import { hollowPng } from '../image/pictures.ts';
import { parseResponse, readResponse } from './serve.ts';

const MODEL = 'ssdlite_mobilenet_v2_coco';
const IN_FLIGHT = 'thinlens_requests_in_flight';
const IMAGES = `thinlens_images_total{model="${MODEL}"}`;
let server: TestServer;
/** The metrics before the test. */
let earlier: Scrape;
let street: Buffer;
let clock: Buffer;

before(async () => {
  [street, clock] = await Promise.all([sample('street'), sample('clock')]);
});

/** One server for the tests of a group. None of them leaves anything waiting or running. */
function serving(settings: Partial<Settings>): void {
  before(async () => {
    server = await startReady(settings);
    earlier = await scrape(server);
  });
  afterEach(async () => {
    signalWorkers('SIGCONT');
    // The scrape itself is a request.
    await until(async () => (await scrape(server)).get(IN_FLIGHT) === 1, 'no request is left');
    earlier = await scrape(server);
    assert.equal(earlier.get('thinlens_queue_depth'), 0);
  });
  after(() => server.stop());
}

function signalWorkers(signal: NodeJS.Signals): void {
  for (const pid of server.service.workerPids) process.kill(pid, signal);
}

const queued = (images: number) => until(() => server.service.queued === images, `${images} images wait`);
const inFlight = (requests: number) =>
  until(
    async () => (await scrape(server)).get(IN_FLIGHT) === requests + 1,
    `${requests} requests have begun`,
  );

/** Growth of a metric since the test began. */
async function grown(...names: string[]): Promise<number[]> {
  const metrics = growth(earlier, await scrape(server));
  return names.map((name) => metrics[name] ?? 0);
}

const rejected = (reason: string) => `thinlens_requests_rejected_total{reason="${reason}"}`;
const restarts = (reason: string) => `thinlens_worker_restarts_total{reason="${reason}"}`;
const detected = (status: number) =>
  `thinlens_request_duration_seconds_count{route="/v1/detect",model="${MODEL}",precision="fp32",status="${status}"}`;

describe('a full queue', () => {
  serving({ queueImages: 2 });

  test('refuses at once with the time to wait, and what it had taken is answered', async () => {
    signalWorkers('SIGSTOP');
    const running = post(server, street);
    await inFlight(1);
    const waiting = [post(server, clock), post(server, street)];
    await queued(2);
    assert.equal((await scrape(server)).get('thinlens_queue_depth'), 2);

    // The worker stands still: these are answered by the server alone.
    for (const body of [clock, form(clock, clock)]) {
      const { detail } = problem(await post(server, body), 503, 'overloaded');
      assert.match(detail, /2 waiting; at most 2 images/);
    }
    assert.equal((await ask('livez', `${server.url}/livez`)).status, 200);

    signalWorkers('SIGCONT');
    const answers = await Promise.all([running, ...waiting]);
    assert.deepEqual(
      answers.map((answer) => result(answer).detections[0]?.label),
      ['stop sign', 'clock', 'stop sign'],
    );
    assert.deepEqual(await grown(rejected('overloaded'), detected(503), detected(200), IMAGES), [2, 2, 3, 3]);
  });

  test('refuses a batch whole: none of it waits', async () => {
    signalWorkers('SIGSTOP');
    const taken = [post(server, clock)];
    await inFlight(1);
    taken.push(post(server, clock));
    await queued(1);
    problem(await post(server, form(clock, clock)), 503, 'overloaded');
    assert.equal(server.service.queued, 1);
    signalWorkers('SIGCONT');
    for (const answer of await Promise.all(taken)) result(answer);
    assert.deepEqual(await grown(IMAGES), [2]);
  });

  test('does not keep out for ever what is larger than all of it', async () => {
    assert.equal((await post(server, form(clock, clock, clock))).status, 200);
  });

  test('under a flood everybody gets an answer, and afterwards all is as before', async () => {
    const answers = await Promise.all(Array.from({ length: 40 }, () => post(server, clock)));
    const count = (status: number) => answers.filter((answer) => answer.status === status).length;
    assert.equal(count(200) + count(503), 40);
    assert.ok(count(200) >= 3 && count(503) >= 1, `${count(200)} answered, ${count(503)} turned away`);
    assert.deepEqual(await grown(detected(200), detected(503), IMAGES), [count(200), count(503), count(200)]);
    result(await post(server, clock));
  });
});

describe('a queue full of', () => {
  serving({ queueBytes: 100_000, queuePixels: 7_999_999 });

  for (const [what, image] of [
    ['bytes', () => Buffer.concat([clock, Buffer.alloc(50_001 - clock.length)])],
    ['pixels', () => hollowPng(2000, 2000)],
  ] as const) {
    test(`${what} refuses, though there are few images`, async () => {
      signalWorkers('SIGSTOP');
      const running = post(server, clock);
      await inFlight(1);
      const waiting = post(server, image());
      await queued(1);
      problem(await post(server, image()), 503, 'overloaded');
      const small = post(server, clock);
      await queued(2);
      signalWorkers('SIGCONT');
      result(await running);
      result(await small);
      assert.notEqual((await waiting).status, 503);
    });
  }
});

/** Starts to post a photo on a connection of its own. */
async function sendOn(head: string, body: Uint8Array): Promise<Socket> {
  const { port } = new URL(server.url);
  const socket = connect(Number(port), '127.0.0.1');
  await once(socket, 'connect');
  socket.write(`POST /v1/detect HTTP/1.1\r\nHost: x\r\n${head}`);
  socket.write(body);
  return socket;
}
const length = (bytes: number) => `Content-Length: ${bytes}\r\n\r\n`;

describe('the time for a request', () => {
  serving({ requestTimeoutMs: 1000 });

  test('ends what runs and what waits, and nobody gets the answer of another', async () => {
    signalWorkers('SIGSTOP');
    const late = [post(server, street), post(server, street), post(server, form(street, street))];
    for (const answer of await Promise.all(late)) {
      const { detail, index } = problem(answer, 504, 'deadline_exceeded');
      assert.match(detail, /within 1000 ms/);
      assert.equal(index, undefined);
    }
    assert.equal(server.service.queued, 0);
    signalWorkers('SIGCONT');
    await until(async () => {
      const answer = await post(server, clock);
      if (answer.status === 504) return false;
      assert.deepEqual(
        result(answer).detections.map(({ label }) => label),
        ['clock'],
      );
      return true;
    }, 'the worker is done with what nobody waits for');
    assert.ok(((await grown(rejected('deadline_exceeded')))[0] ?? 0) >= 3);
  });

  test('ends a slow upload with 408, and the problem reaches the client', async () => {
    const socket = await sendOn(length(clock.length), clock.subarray(0, 5000));
    const { status, body } = parseResponse(await readResponse(socket));
    socket.destroy();
    assert.deepEqual([status, (body as { code: string }).code], [408, 'request_timeout']);
    assert.match((body as { detail: string }).detail, /within 1 s/);
    assert.deepEqual(await grown(rejected('request_timeout')), [1]);
  });

  test('ends it so too when its head was slow already', async () => {
    const socket = await sendOn('', Buffer.alloc(0));
    await sleep(600);
    socket.write(`${length(5000)}xx`);
    const { status, body } = parseResponse(await readResponse(socket));
    socket.destroy();
    assert.deepEqual([status, (body as { code: string }).code], [408, 'request_timeout']);
  });
});

describe('a client', () => {
  serving({});

  test('that hangs up frees its place in the queue, and what runs for it is dropped', async () => {
    signalWorkers('SIGSTOP');
    const sockets = await Promise.all(Array.from({ length: 5 }, () => sendOn(length(clock.length), clock)));
    await queued(4);
    for (const socket of sockets) socket.destroy();
    await queued(0);
    await inFlight(0);
    signalWorkers('SIGCONT');
    assert.equal(result(await post(server, street)).detections.length, 2);
    // Work that nobody gets to see is none that was answered.
    const madds = `thinlens_request_madds_count{model="${MODEL}"}`;
    assert.deepEqual(await grown(detected(499), IMAGES, madds), [5, 1, 1]);
  });

  test('that hangs up in the middle of its upload leaves nothing behind', async () => {
    const sockets = await Promise.all(
      Array.from({ length: 5 }, () => sendOn(length(clock.length), clock.subarray(0, 9000))),
    );
    await inFlight(5);
    for (const socket of sockets) socket.resetAndDestroy();
    await inFlight(0);
    assert.deepEqual(await grown(detected(499)), [5]);
  });

  test('that sends slowly does not find that in total_ms, which begins when the body is there', async () => {
    const socket = await sendOn(length(clock.length), clock.subarray(0, 5000));
    await sleep(2000);
    socket.write(clock.subarray(5000));
    const { status, body } = parseResponse(await readResponse(socket));
    socket.destroy();
    assert.equal(status, 200);
    const { total_ms } = (body as { timing: { total_ms: number } }).timing;
    assert.ok(total_ms < 2000, `total_ms is ${total_ms}, and the upload alone took 2000 ms`);
  });

  test('that does any of this is nothing to log above info', () => {
    assert.deepEqual(
      server.log.filter(({ level }) => level >= 40),
      [],
    );
  });
});

/** Posts a photo on a kept connection; what went wrong instead of an answer is its text. */
function postOn(agent: Agent, body: Buffer): Promise<number | string> {
  return new Promise((resolve) => {
    const sent = request(`${server.url}/v1/detect`, { agent, method: 'POST' }, (response) => {
      response
        .on('end', () => resolve(response.statusCode ?? 0))
        .on('error', (error) => resolve(error.message));
      response.resume();
    });
    sent.on('error', (error) => resolve(error.message));
    sent.end(body);
  });
}

async function killWorker(): Promise<void> {
  const [pid = assert.fail('there is no worker')] = server.service.workerPids;
  process.kill(pid, 'SIGKILL');
  await until(() => !server.service.workerPids.includes(pid), 'the worker is missed');
}

describe('a worker', () => {
  serving({ workers: 2, workerTimeoutMs: 2000 });

  test('that is killed under load costs nobody an answer', async () => {
    const outcomes: (number | string)[] = [];
    let done = false;
    const clients = Array.from({ length: 8 }, async () => {
      const agent = new Agent({ keepAlive: true, maxSockets: 1 });
      while (!done) outcomes.push(await postOn(agent, clock));
      agent.destroy();
    });
    for (const _kill of [1, 2, 3]) {
      await until(() => server.service.workerPids.length === 2 && server.service.queued > 0, 'all are busy');
      await killWorker();
      const answered = outcomes.length;
      await until(() => outcomes.length > answered + 16, 'the clients are served again');
    }
    done = true;
    await Promise.all(clients);
    assert.deepEqual(
      outcomes.filter((outcome) => outcome !== 200),
      [],
    );
    assert.deepEqual(await grown(restarts('crash'), restarts('hang'), IMAGES), [3, 0, outcomes.length]);
  });

  test('that hangs is killed and replaced, and its photo given to another', async () => {
    await until(() => server.service.workerPids.length === 2, 'both run');
    const [hung = assert.fail()] = server.service.workerPids;
    process.kill(hung, 'SIGSTOP');
    const answers = await Promise.all([post(server, street), post(server, street)]);
    for (const answer of answers) assert.equal(result(answer).detections.length, 2);
    assert.ok(!server.service.workerPids.includes(hung));
    assert.throws(() => process.kill(hung, 0), { code: 'ESRCH' });
    assert.deepEqual(await grown(restarts('crash'), restarts('hang')), [0, 1]);
    assert.ok(server.log.some(({ level, reason }) => level === 40 && reason === 'hang'));
  });
});

describe('an image', () => {
  serving({});

  test('that two workers died of fails alone', async () => {
    // Decoding so many pixels takes long enough to be interrupted.
    const slow = await sharp(street)
      .resize(7000, 7000, { fit: 'fill' })
      .png({ compressionLevel: 1 })
      .toBuffer();
    signalWorkers('SIGSTOP');
    const twins = [post(server, slow), post(server, slow)];
    for (const attempt of [1, 2]) {
      const taken = () => server.service.notReady === undefined && server.service.queued === 1;
      await until(taken, `one is tried for the ${attempt}. time, and the other waits`);
      await killWorker();
    }
    const answers = await Promise.all(twins);
    const [failed, other] = answers.sort((a, b) => b.status - a.status);
    assert.match(problem(failed as Answer, 500, 'worker_failed').detail, /died, twice/);
    assert.deepEqual(result(other as Answer).image, { width: 7000, height: 7000 });
    assert.deepEqual(await grown(restarts('crash'), detected(500), IMAGES), [2, 1, 1]);
  });
});

describe('a job', () => {
  serving({});

  for (const { operation, send } of TASKS) {
    test(`of ${operation} whose worker is killed is given to another, and its answer is the same`, async () => {
      const photo = await sample('cat');
      const usual = withoutTiming(await send(server, photo));
      signalWorkers('SIGSTOP');
      const pending = send(server, photo);
      await inFlight(1);
      await until(() => server.service.queued === 0, 'the worker has it');
      await killWorker();
      assert.equal(withoutTiming(await pending), usual);
      assert.deepEqual(await grown(restarts('crash')), [1]);
    });
  }
});
