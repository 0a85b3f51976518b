// Where the log goes: files, pipes that nobody reads, and what cannot be written to.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { closeSync, constants, mkdtempSync, openSync, readFileSync, readSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { LogLines } from '../../../server/observability/log_lines.ts';
import { until } from '../harness.ts';

const folder = mkdtempSync(join(tmpdir(), 'thinlens-log-'));
after(() => rmSync(folder, { recursive: true, force: true }));

const line = (number: number, length = 0) => `${JSON.stringify({ number, text: 'x'.repeat(length) })}\n`;
const numbersIn = (text: string) =>
  text
    .trimEnd()
    .split('\n')
    .map((each) => JSON.parse(each).number as number | undefined);
const upTo = (count: number) => Array.from({ length: count }, (_, number) => number);

/** A pipe that holds some 64 KiB: what is written waits for a reader. */
function pipe(): { readonly reader: number; readonly writer: number } {
  const path = join(folder, `pipe-${Math.random()}`);
  execFileSync('mkfifo', [path]);
  const reader = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  return { reader, writer: openSync(path, constants.O_WRONLY) };
}

/** All that is in a pipe now. */
function drain(reader: number): string {
  const chunk = Buffer.alloc(1 << 20);
  let text = '';
  for (;;) {
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

  test('that nobody reads are dropped at some point, which the log says; closing it does not wait for ever', async () => {
    const { reader, writer } = pipe();
    const lines = new LogLines(writer);
    const count = 3000;
    for (const number of upTo(count)) lines.write(line(number, 1000));
    let text = '';
    const read = () => {
      text += drain(reader);
      return /"dropped":\d+.*\n$/.test(text);
    };
    await until(read, 'the log says that lines are missing');
    const [missing, ...kept] = numbersIn(text).reverse();
    assert.equal(missing, undefined);
    assert.deepEqual(kept.reverse(), upTo(kept.length));
    assert.ok(kept.length > 1000 && kept.length < count, `${kept.length}`);
    assert.match(text, new RegExp(`"dropped":${count - kept.length},`));

    for (const number of upTo(200)) lines.write(line(number, 1000));
    await lines.close();
    assert.ok(drain(reader).startsWith(line(0, 1000)));
    closeSync(reader);
  });

  for (const [what, open] of [
    ['a full disk', () => openSync('/dev/full', 'w')],
    [
      'a pipe without a reader',
      () => {
        const { reader, writer } = pipe();
        closeSync(reader);
        return writer;
      },
    ],
  ] as const) {
    for (const end of ['close', 'flushSync'] as const) {
      test(`on ${what} are given up, at ${end} too`, async () => {
        const lines = new LogLines(open());
        lines.write(line(0));
        await lines[end]();
        lines.write(line(1, 10_000));
        await lines.close();
      });
    }
  }
});
