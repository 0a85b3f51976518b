import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { BoundedQueue } from '../../../server/inference/queue.ts';

const limits = { images: 3, bytes: 100, pixels: 1000 };
const item = (name: string, bytes = 10, pixels = 100) => ({ name, bytes, pixels });

describe('the bounded queue', () => {
  test('is first in, first out', () => {
    const queue = new BoundedQueue<ReturnType<typeof item>>(limits);
    assert.ok(queue.push([item('a'), item('b')]));
    assert.ok(queue.push([item('c')]));
    assert.deepEqual(
      [queue.shift()?.name, queue.shift()?.name, queue.shift()?.name, queue.shift()],
      ['a', 'b', 'c', undefined],
    );
  });

  for (const [limit, batch] of Object.entries({
    images: [item('b'), item('c'), item('d')],
    bytes: [item('b', 60), item('c', 31)],
    pixels: [item('b', 1, 500), item('c', 1, 401)],
  })) {
    test(`refuses a batch beyond its ${limit} whole, and takes it when there is room`, () => {
      const queue = new BoundedQueue<ReturnType<typeof item>>(limits);
      assert.ok(queue.push([item('a')]));
      assert.equal(queue.push(batch), false);
      assert.equal(queue.size, 1);
      queue.shift();
      assert.ok(queue.push(batch));
    });
  }

  test('takes a single item that is larger than a limit when it is empty, and only then', () => {
    const queue = new BoundedQueue<ReturnType<typeof item>>(limits);
    assert.ok(queue.push([item('huge', 1000)]));
    assert.equal(queue.push([item('a')]), false);
    queue.shift();
    assert.ok(queue.push([item('a')]));
    assert.equal(queue.push([item('huge', 1000)]), false);
  });

  test('counts what is removed and what comes back', () => {
    const queue = new BoundedQueue<ReturnType<typeof item>>(limits);
    const [a, b] = [item('a', 50), item('b', 50)];
    queue.push([a, b]);
    assert.equal(queue.push([item('c', 1)]), false);
    assert.ok(queue.remove(a));
    assert.equal(queue.remove(a), false);
    assert.ok(queue.push([item('c', 50)]));
    const first = queue.shift();
    assert.equal(first, b);
    queue.unshift(b);
    assert.equal(queue.push([item('d', 1)]), false);
    assert.equal(queue.shift(), b);
  });
});
