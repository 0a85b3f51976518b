// `thinlens serve` from its start to its end, whatever ends it.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, cpSync, mkdtempSync, openSync, rmSync, symlinkSync } from 'node:fs';
import { Agent, request } from 'node:http';
import { connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import type { Readable } from 'node:stream';
import { describe, type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort } from '../../bench/support/free_port.ts';
import type { Exit, ServedChild } from './child.ts';
import { childrenOf, isRunning, launch, serve, thinlens, WORKERS } from './child.ts';
import { sample, until } from './harness.ts';
import { parseResponse, readResponse } from './http/serve.ts';

const CLEAN: Exit = [0, null];
const MODEL = 'ssdlite_shufflenet_v2_coco';

/** A server that is ready, and its workers. */
async function startChild(t: TestContext, args: readonly string[] = []) {
  const child = serve(args);
  t.after(() => child.kill('SIGKILL'));
  const { url } = await child.logged('ready');
  const workers = childrenOf(child.pid);
  assert.equal(workers.length, WORKERS);
  return { ...child, url: String(url), port: Number(new URL(String(url)).port), workers };
}

async function assertGone(workers: readonly number[]): Promise<void> {
  await until(() => !workers.some(isRunning), `processes ${workers} are gone`);
}

/** A clean end, and nothing left of it. */
async function assertStops(child: ServedChild & { workers: readonly number[] }): Promise<void> {
  assert.deepEqual(await child.exited, CLEAN);
  assert.equal(child.log.at(-1)?.msg, 'stopped');
  assert.equal(child.stderr(), '');
  await assertGone(child.workers);
}

/** Posts a photo. What went wrong instead of an answer is the error's code. */
function postOnce(url: string, body: Buffer, agent: Agent): Promise<number | string> {
  return new Promise((resolve) => {
    const failed = (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message);
    const sent = request(`${url}/v1/detect`, { agent, method: 'POST' }, (response) => {
      response.on('end', () => resolve(response.statusCode ?? 0)).on('error', failed);
      response.resume();
    });
    sent.on('error', failed);
    sent.end(body);
  });
}

async function dial(port: number): Promise<Socket> {
  const socket = connect(port, '127.0.0.1');
  await once(socket, 'connect');
  return socket;
}

describe('SIGTERM', () => {
  test('under load costs nobody an answer', async (t) => {
    const child = await startChild(t);
    const clock = await sample('clock');
    const outcomes: (number | string)[] = [];
    // A refused connection is what a client gets of a server that is no more; it ends this client.
    const client = async (keepAlive: boolean) => {
      const agent = new Agent({ keepAlive, maxSockets: 1 });
      for (;;) {
        const outcome = await postOnce(child.url, clock, agent);
        if (outcome === 'ECONNREFUSED') break;
        outcomes.push(outcome);
        if (outcome !== 200) break;
      }
      agent.destroy();
    };
    const clients = Array.from({ length: 8 }, (_, index) => client(index % 2 === 0));
    await until(() => outcomes.length >= 40, 'the load is on');
    child.kill('SIGTERM');
    await Promise.all(clients);
    assert.deepEqual(
      outcomes.filter((outcome) => outcome !== 200),
      [],
    );
    await assertStops(child);
    const answered = child.log.filter(({ msg, status }) => msg === 'request' && status === 200);
    assert.equal(answered.length, outcomes.length);
  });

  test('waits for an upload that has begun, and answers it', async (t) => {
    const child = await startChild(t);
    const clock = await sample('clock');
    const socket = await dial(child.port);
    socket.write(`POST /v1/detect HTTP/1.1\r\nHost: x\r\nContent-Length: ${clock.length}\r\n\r\n`);
    socket.write(clock.subarray(0, 5000));
    await sleep(100);
    child.kill('SIGTERM');
    await until(() => refused(child.port), 'no connection is taken any more');
    socket.write(clock.subarray(5000));
    const { status, head, body } = parseResponse(await readResponse(socket));
    assert.equal(status, 200);
    // Its headers came before the signal: a client must know all the same that this connection takes no other request.
    assert.match(head, /^connection: close$/m);
    assert.equal((body as { detections: unknown[] }).detections.length, 1);
    await once(socket, 'close');
    await assertStops(child);
  });

  test('answers what comes on an idle connection that was not told yet', async (t) => {
    const child = await startChild(t);
    const idle = await dial(child.port);
    const livez = 'GET /livez HTTP/1.1\r\nHost: x\r\n\r\n';
    idle.write(livez);
    assert.match(parseResponse(await readResponse(idle)).head, /connection: keep-alive/);
    const answer = readResponse(idle);
    answer.catch(() => {}); // Awaited below; a connection that is closed already rejects it before.
    child.kill('SIGTERM');
    await until(() => refused(child.port), 'no connection is taken any more');
    idle.write(livez);
    const { status, head } = parseResponse(await answer);
    assert.equal(status, 200);
    assert.match(head, /connection: close/);
    await assertStops(child);
  });

  test('waits neither for idle connections nor for those that never said anything', async (t) => {
    // The time that running requests have is ten minutes: to wait it out would be a hang.
    const child = await startChild(t, ['--shutdown-timeout-ms', '600000', '--request-timeout-ms', '600000']);
    const silent = await dial(child.port);
    const idle = await dial(child.port);
    idle.write('GET /livez HTTP/1.1\r\nHost: x\r\n\r\n');
    assert.equal(parseResponse(await readResponse(idle)).status, 200);
    const closed = Promise.all([silent, idle].map((socket) => once(socket.resume(), 'close')));
    child.kill('SIGTERM');
    await until(() => child.log.some(({ msg }) => msg === 'stopped'), 'it has stopped');
    await closed;
    await assertStops(child);
  });

  test('does not wait for ever for a request either', async (t) => {
    const child = await startChild(t, ['--shutdown-timeout-ms', '300']);
    for (const pid of child.workers) process.kill(pid, 'SIGSTOP');
    const lost = postOnce(child.url, await sample('clock'), new Agent());
    await sleep(200);
    child.kill('SIGTERM');
    assert.equal(await lost, 'ECONNRESET');
    await assertStops(child);
  });

  test('while the models are loading ends the start', async (t) => {
    const child = serve();
    t.after(() => child.kill('SIGKILL'));
    await child.logged('listening; loading models');
    const workers = childrenOf(child.pid);
    assert.equal(workers.length, WORKERS);
    child.kill('SIGTERM');
    await assertStops({ ...child, workers });
    assert.ok(!child.log.some(({ msg }) => msg === 'ready'));
  });

  test('and SIGINT are the same, and a second one ends at once', async (t) => {
    const child = await startChild(t);
    child.kill('SIGINT');
    await assertStops(child);

    const patient = await startChild(t, ['--drain-delay-ms', '600000']);
    patient.kill('SIGTERM');
    await patient.logged('stopping: running requests finish first');
    patient.kill('SIGTERM');
    assert.deepEqual(await patient.exited, [1, null]);
    await assertGone(patient.workers);
  });
});

/** Whether a connection is refused. */
function refused(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.on('connect', () => resolve(false)).on('error', () => resolve(true));
    socket.on('connect', () => socket.destroy());
  });
}

describe('SIGKILL of the server', () => {
  test('leaves no worker behind', async (t) => {
    const child = await startChild(t);
    const lost = postOnce(child.url, await sample('clock'), new Agent());
    child.kill('SIGKILL');
    assert.deepEqual(await child.exited, [null, 'SIGKILL']);
    await lost;
    await assertGone(child.workers);
  });

  test('leaves no worker behind that was loading', async (t) => {
    const child = serve();
    t.after(() => child.kill('SIGKILL'));
    await child.logged('listening; loading models');
    const workers = childrenOf(child.pid);
    assert.equal(workers.length, WORKERS);
    child.kill('SIGKILL');
    await assertGone(workers);
  });
});

describe('a start that cannot be', () => {
  const cases: [string, string[], Record<string, string>, RegExp][] = [
    [
      'a setting that is no number',
      [],
      { THINLENS_WORKERS: 'abc' },
      /^THINLENS_WORKERS is 'abc', but must be: whole number, 1 to 256$/,
    ],
    [
      'a flag out of range',
      ['--port', '65536'],
      {},
      /^--port is '65536', but must be: whole number, 0 to 65535$/,
    ],
    [
      'a setting that there is not',
      [],
      { THINLENS_FOO: '1' },
      /^THINLENS_FOO is not a setting of thinlens; known are .*THINLENS_WORKERS/,
    ],
    [
      'a model that there is not',
      ['--models', 'nope'],
      {},
      /'?nope'?.*ssdlite_mobilenet_v2_coco, .*deeplabv3_mnasnet_a1_voc$/,
    ],
    [
      'more workers than CPUs',
      ['--workers', '256'],
      {},
      /^--workers 256 and 1 thread by the throughput profile make 256 threads, but this process may use \d+ CPUs?: right would be/,
    ],
    ['an address that is not here', ['--host', '192.0.2.1'], {}, /192\.0\.2\.1/],
    ['a home that cannot be made', ['--home', '/dev/null/thinlens'], {}, /\/dev\/null\/thinlens/],
  ];
  for (const [name, args, environment, wanted] of cases) {
    test(`${name} is told in one sentence`, async () => {
      const port = args.includes('--port') ? [] : ['--port', '0'];
      assertRefused(await thinlens(['serve', ...port, ...args], environment), wanted);
    });
  }

  test('a port that is in use is told in one sentence, with what to do', async (t) => {
    const taken = createServer().listen(0, '127.0.0.1');
    t.after(() => taken.close());
    await once(taken, 'listening');
    const { port } = taken.address() as { port: number };
    const run = await thinlens(['serve', '--port', String(port)]);
    assertRefused(run, new RegExp(`127\\.0\\.0\\.1:${port}: .*in use.*--port`));
  });

  test('a flag that there is not is told, with where to look', async () => {
    const { exit, stderr } = await thinlens(['serve', '--ports', '1']);
    assert.deepEqual(exit, [1, null]);
    assert.match(stderr, /unknown option '--ports'/);
    assert.match(stderr, /--help/);
  });

  function assertRefused(
    { exit, stdout, stderr }: { exit: Exit; stdout: string; stderr: string },
    wanted: RegExp,
  ) {
    assert.deepEqual(exit, [1, null], stderr);
    const lines = stderr.trimEnd().split('\n');
    assert.equal(lines.length, 1, stderr);
    assert.match(lines[0] ?? '', /^thinlens: /);
    assert.match((lines[0] ?? '').replace('thinlens: ', ''), wanted);
    assert.doesNotMatch(`${stdout}${stderr}`, /\bat .*\.js|"stack"/);
  }
});

test('a start that breaks off after its workers were started ends', { timeout: 60_000 }, async (t) => {
  // An installation that lacks a file.
  const folder = mkdtempSync(join(tmpdir(), 'thinlens-damaged-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  for (const part of ['bin', 'dist/server', 'dist/models', 'dist/heads', 'dist/openapi', 'package.json'])
    cpSync(part, join(folder, part), { recursive: true });
  for (const part of ['node_modules', 'weights']) symlinkSync(resolve(part), join(folder, part));
  rmSync(join(folder, 'dist/openapi/openapi.json'));
  const child = spawn(process.execPath, [join(folder, 'bin/thinlens.js'), 'serve', '--port', '0'], {
    stdio: ['ignore', 'ignore', 'pipe'],
    env: { ...process.env, THINLENS_HOME: join(folder, 'home') },
  });
  t.after(() => child.kill('SIGKILL'));
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', (piece: string) => {
    stderr += piece;
  });
  assert.deepEqual(await once(child, 'close'), [1, null]);
  assert.match(stderr, /openapi\.json/);
});

describe('a log that cannot be written', () => {
  const isUp = (port: number) => () =>
    fetch(`http://127.0.0.1:${port}/livez`).then(
      ({ status }) => status === 200,
      () => false,
    );

  test('because the disk is full keeps the server neither from answering nor from ending', async (t) => {
    const port = await freePort();
    const full = openSync('/dev/full', 'w');
    const child = launch(['serve', '--port', String(port), '--workers', '1', '--models', MODEL], {}, full);
    t.after(() => child.kill('SIGKILL'));
    closeSync(full);
    const exited = once(child, 'exit');
    await until(isUp(port), 'it listens');
    // Longer than lines wait to be written.
    await sleep(500);
    assert.equal(await isUp(port)(), true);
    child.kill('SIGTERM');
    assert.deepEqual(await exited, CLEAN);
  });

  for (const moment of ['at once', 'when that was noticed'] as const) {
    test(`because its reader went away: SIGTERM ends the server, ${moment}`, async (t) => {
      const child = launch(['serve', '--port', '0', '--workers', '1', '--models', MODEL]);
      t.after(() => child.kill('SIGKILL'));
      const exited = once(child, 'exit');
      await once(child.stdout as Readable, 'data');
      child.stdout?.destroy();
      if (moment !== 'at once') await sleep(500);
      child.kill('SIGTERM');
      assert.deepEqual(await exited, CLEAN);
    });
  }

  test('does not hide why the start failed', async () => {
    const full = openSync('/dev/full', 'w');
    const child = launch(['serve', '--port', '0', '--home', '/proc/none'], {}, full);
    closeSync(full);
    let stderr = '';
    child.stderr?.setEncoding('utf8').on('data', (piece: string) => {
      stderr += piece;
    });
    assert.deepEqual(await once(child, 'close'), [1, null]);
    assert.match(stderr, /^thinlens: .*--home \(THINLENS_HOME\) must be/);
  });
});
