// Where the log goes: files, pipes that nobody reads, and what cannot be written to.
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, constants, mkdtempSync, openSync, readFileSync, readSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { LogLines } from '../../../server/observability/log_lines.ts';
import { until } from '../harness.ts';

const folder = mkdtempSync(join(tmpdir(), 'thinlens-log-'));
after(() => rmSync(folder, { recursive: true, force: true }));

/** Lines that are so long together are written at once. */
const ENOUGH = 4096;

const line = (number: number, length = 0) => `${JSON.stringify({ number, text: 'x'.repeat(length) })}\n`;
const numbersIn = (text: string) =>
  text
    .trimEnd()
    .split('\n')
    .map((each) => JSON.parse(each).number as number | undefined);
const upTo = (count: number) => Array.from({ length: count }, (_, number) => number);

/** A pipe that holds some 64 KiB: what is written waits for a reader. */
function pipe(flag = 0): { readonly reader: number; readonly writer: number; readonly path: string } {
  const path = join(folder, `pipe-${Math.random()}`);
  execFileSync('mkfifo', [path]);
  const reader = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  return { reader, writer: openSync(path, constants.O_WRONLY | flag), path };
}

/** What is in a pipe now, so many bytes at most. */
function drain(reader: number, most = 1 << 24): string {
  const chunk = Buffer.alloc(Math.min(most, 1 << 20));
  let text = '';
  for (;;) {
    if (text.length >= most) return text;
    try {
      const count = readSync(reader, chunk);
      if (count === 0) return text;
      text += chunk.toString('utf8', 0, count);
    } catch (error) {
      assert.equal((error as NodeJS.ErrnoException).code, 'EAGAIN');
      return text;
    }
  }
}

describe('lines of a log', () => {
  test('come in order and whole, by themselves', async () => {
    const path = join(folder, 'order');
    const lines = new LogLines(openSync(path, 'w'));
    for (const number of upTo(1000)) lines.write(line(number, number % 50));
    // Fewer than are written at once.
    await until(() => readFileSync(path, 'utf8').endsWith(line(999, 49)), 'the last line is there');
    assert.deepEqual(numbersIn(readFileSync(path, 'utf8')), upTo(1000));
  });

  test('are all there once it was closed, or broken off', async () => {
    for (const end of ['close', 'flushSync'] as const) {
      const path = join(folder, end);
      const lines = new LogLines(openSync(path, 'w'));
      for (const number of upTo(3)) lines.write(line(number));
      assert.equal(readFileSync(path, 'utf8'), '');
      await lines[end]();
      assert.deepEqual(numbersIn(readFileSync(path, 'utf8')), upTo(3));
    }
  });

  test('come whole and in order to one who reads slowly', async () => {
    const { reader, writer } = pipe(constants.O_NONBLOCK);
    const lines = new LogLines(writer);
    // Many times what the pipe holds.
    for (const number of upTo(600)) lines.write(line(number, 1000 + (number % 7)));
    let text = '';
    await until(async () => {
      await sleep(2);
      text += drain(reader, 10_000);
      return text.endsWith(line(599, 1000 + (599 % 7)));
    }, 'the last line came');
    assert.deepEqual(numbersIn(text), upTo(600));
    closeSync(reader);
  });

  test('are written when the process ends without a word', () => {
    const [module, count] = [new URL('../../../server/observability/log_lines.js', import.meta.url), 5];
    const script = `import { LogLines } from ${JSON.stringify(module.href)};
      const lines = new LogLines();
      for (let number = 0; number < ${count}; number++) lines.write(JSON.stringify({ number }) + '\\n');
      process.exit(0);`;
    const text = execFileSync(process.execPath, ['--input-type=module', '-e', script], { encoding: 'utf8' });
    assert.deepEqual(numbersIn(text), upTo(count));
  });

  test('that nobody reads are lost at some point, and the log says how many', async () => {
    const { reader, writer } = pipe();
    const lines = new LogLines(writer);
    const count = 3000;
    for (const number of upTo(count)) lines.write(line(number, 1000));
    let text = '';
    await until(() => {
      text += drain(reader);
      return /"dropped":\d+.*\n$/.test(text);
    }, 'the log says that lines are missing');
    const said = JSON.parse(text.trimEnd().split('\n').at(-1) as string);
    const kept = numbersIn(text).slice(0, -1);
    assert.deepEqual(kept, upTo(kept.length));
    assert.ok(kept.length > 1000 && kept.length < count, `${kept.length}`);
    assert.equal(said.dropped, count - kept.length);
    assert.ok(Math.abs(Date.now() - Date.parse(said.time)) < 60_000);
    closeSync(reader);
  });

  for (const flag of [0, constants.O_NONBLOCK]) {
    test(`that nobody reads do not keep the process from ending, ${flag ? 'not ' : ''}blocking`, async () => {
      const { reader, writer } = pipe(flag);
      const module = new URL('../../../server/observability/log_lines.js', import.meta.url);
      const script = `import { LogLines } from ${JSON.stringify(module.href)};
        const lines = new LogLines(3);
        for (let number = 0; number < 200; number++) lines.write('x'.repeat(1000) + '\\n');
        await lines.close();
        process.exit(0);`;
      const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
        stdio: ['ignore', 'inherit', 'inherit', writer],
        timeout: 60_000,
        killSignal: 'SIGABRT',
      });
      const [code, signal] = await once(child, 'exit');
      // A write that the system holds cannot be called back.
      assert.deepEqual([code, signal], flag ? [0, null] : [null, 'SIGKILL']);
      for (const descriptor of [reader, writer]) closeSync(descriptor);
    });
  }

  test('that a full disk refuses are lost, and the log goes on when there is room again', async () => {
    const path = join(folder, 'room');
    const full = openSync('/dev/full', 'w');
    const lines = new LogLines(full);
    for (const number of upTo(3)) lines.write(line(number));
    lines.flushSync();
    for (const number of upTo(5)) lines.write(line(number, ENOUGH));
    await sleep(50);
    // Under its number, as if the disk had been cleared.
    closeSync(full);
    assert.equal(openSync(path, 'w'), full);
    lines.write(line(8));
    await lines.close();
    const [first, said, ...others] = readFileSync(path, 'utf8').trimEnd().split('\n');
    assert.deepEqual([first, others], [line(8).trimEnd(), []]);
    assert.equal(JSON.parse(said as string).dropped, 8);
  });

  test('whose reader is gone are given up for good, which standard error says once', async (t) => {
    const complaint = t.mock.method(console, 'error', () => {});
    for (const end of ['close', 'flushSync'] as const) {
      const { reader, writer, path } = pipe();
      closeSync(reader);
      const lines = new LogLines(writer);
      lines.write(line(0));
      await lines[end]();
      const later = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
      lines.write(line(1, ENOUGH));
      lines.flushSync();
      await lines.close();
      assert.equal(drain(later), '');
      closeSync(later);
    }
    assert.deepEqual(
      complaint.mock.calls.map(({ arguments: [text] }) => text),
      Array(2).fill('thinlens: the log ends here, since it cannot be written any more (EPIPE)'),
    );
  });

  test('that are broken off do not run into those that are being written', async () => {
    const { reader, writer } = pipe();
    const lines = new LogLines(writer);
    // The pipe holds less than this: its end waits.
    for (const number of upTo(100)) lines.write(line(number, 1000));
    await sleep(50);
    lines.write(line(100));
    lines.flushSync();
    let text = '';
    await until(() => {
      text += drain(reader);
      return text.endsWith(line(100));
    }, 'the last line came');
    assert.deepEqual(numbersIn(text), upTo(101));
    closeSync(reader);
  });
});
