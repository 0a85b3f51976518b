import assert from 'node:assert/strict';
import { test } from 'node:test';
import { growthOf, sampleOf } from '../../bench/support/growth.ts';
import { busySeconds } from '../../bench/support/machine.ts';
import { groupMemory, memoryOf, processTree } from '../../bench/support/process_tree.ts';

const MIB = 2 ** 20;
const memory = (pid: number, rss: number, pss = rss / 2) => ({
  pid,
  rss: rss * MIB,
  pss: pss * MIB,
  anonymous: 0,
  peakRss: 0,
});

test('growth is from the first figures to the last, whatever single ones do', () => {
  const server = [100, 100, 101, 100, 180, 104, 104, 30, 105, 105, 105, 105];
  const series = server.map((rss, at) => sampleOf(at * 10, [memory(1, rss), memory(2, 300)]));
  const { rss, pss, processes, replaced } = growthOf(series);
  assert.deepEqual(rss, { first: 400 * MIB, last: 405 * MIB, bytes: 5 * MIB, ratio: 405 / 400 - 1 });
  assert.equal(pss.bytes, 2.5 * MIB);
  assert.deepEqual(
    processes.map((process) => [process.pid, process.rss.bytes / MIB]),
    [
      [1, 5],
      [2, 0],
    ],
  );
  assert.equal(replaced, false);
});

test('two samples are enough, and a process that was replaced is told', () => {
  const grown = growthOf([sampleOf(0, [memory(1, 100)]), sampleOf(10, [memory(1, 150)])]);
  assert.equal(grown.rss.ratio, 0.5);
  const replaced = growthOf([
    sampleOf(0, [memory(1, 100), memory(2, 100)]),
    sampleOf(10, [memory(1, 100), memory(3, 100)]),
  ]);
  assert.equal(replaced.replaced, true);
  assert.deepEqual(
    replaced.processes.map(({ pid }) => pid),
    [1],
  );
});

test('pages of files count once in a group, heaps each', () => {
  const process = { pid: 1, pss: 0, peakRss: 250 };
  assert.deepEqual(
    groupMemory([
      { ...process, rss: 200, anonymous: 150 },
      { ...process, rss: 180, anonymous: 100 },
    ]),
    { peakRss: 500, sharedOnce: 150 + 100 + 80 },
  );
});

test('what the kernel says of this very process is within what Node says', () => {
  const held = Buffer.alloc(64 * MIB, 1);
  const own = memoryOf(process.pid);
  assert.ok(own);
  assert.ok(Math.abs(own.rss / process.memoryUsage.rss() - 1) < 0.2);
  assert.ok(own.pss <= own.rss && own.rss <= own.peakRss && own.anonymous >= held.length);
  assert.ok(processTree(process.ppid).includes(process.pid));
  assert.equal(memoryOf(2 ** 30), undefined);
});

test("a machine's work is all that is not idle or waiting", () => {
  assert.equal(busySeconds('cpu  100 20 30 9999 8888 4 5 6 0 0\ncpu0 1 1 1 1 1 1 1 1 0 0\n'), 1.65);
});
