import assert from 'node:assert/strict';
import { test } from 'node:test';
import { JobTimes } from '../../../server/inference/job_times.ts';

test('a model is expected to take its mean, and before its first photo what the others take', () => {
  const times = new JobTimes();
  assert.ok(times.expected('a') > 0);
  times.record('a', 10);
  times.record('a', 20);
  assert.equal(times.expected('a'), 15);
  assert.equal(times.expected('b'), 15);
  times.record('b', 100);
  assert.equal(times.expected('a'), 15);
  assert.equal(times.expected('b'), 100);
});

test('what a model takes is followed when it changes, and one odd photo moves it little', () => {
  const times = new JobTimes();
  for (let i = 0; i < 100; i++) times.record('a', 10);
  times.record('a', 1000);
  assert.ok(times.expected('a') < 60);
  for (let i = 0; i < 200; i++) times.record('a', 40);
  assert.ok(Math.abs(times.expected('a') - 40) < 1);
});
