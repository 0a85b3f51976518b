import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BodyMemory } from '../../../server/http/body_memory.ts';
import { HttpProblem } from '../../../server/http/problem.ts';

test('bodies are refused beyond the limit, over all requests, and taken again when others are done', () => {
  const memory = new BodyMemory(100);
  const [a, b] = [memory.open(), memory.open()];
  a.take(60);
  b.take(40);
  assert.throws(
    () => b.take(1),
    (error) => error instanceof HttpProblem && error.code === 'overloaded',
  );
  a.release();
  a.release();
  b.take(60);
  assert.throws(() => memory.open().take(1), HttpProblem);
});

test('a body that is alone is taken whatever its size', () => {
  const alone = new BodyMemory(100).open();
  alone.take(90);
  alone.take(90);
});
