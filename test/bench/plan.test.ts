import assert from 'node:assert/strict';
import { test } from 'node:test';
import { contestantsOf, KINDS, nameOf, turnsOf } from '../../bench/support/plan.ts';
import { PRECISIONS } from '../../server/zoo/record.ts';

test('each contestant begins as many rounds as any other, and each round has them all', () => {
  const items = ['a', 'b', 'c'];
  const rounds = [0, 1, 2, 3, 4, 5].map((round) => turnsOf(items, round));
  for (const round of rounds) assert.deepEqual([...round].sort(), items);
  assert.deepEqual(rounds.map(([first]) => first).sort(), ['a', 'a', 'b', 'b', 'c', 'c']);
  for (let place = 0; place < 3; place++)
    assert.equal(new Set(rounds.slice(0, 3).map((round) => round[place])).size, 3);
  assert.deepEqual(turnsOf([], 3), []);
});

test('detection has both rivals, once and in fp32, and segmentation none', () => {
  assert.deepEqual(contestantsOf('detection', PRECISIONS, KINDS).map(nameOf), [
    'thinlens fp32',
    'thinlens int8',
    'floor fp32',
    'floor int8',
    'TF.js coco-ssd fp32',
    'tutorial server fp32',
  ]);
  assert.deepEqual(contestantsOf('segmentation', PRECISIONS, KINDS).map(nameOf), [
    'thinlens fp32',
    'thinlens int8',
    'floor fp32',
    'floor int8',
  ]);
  assert.deepEqual(contestantsOf('detection', ['int8'], ['floor', 'tfjs']).map(nameOf), [
    'floor int8',
    'TF.js coco-ssd fp32',
  ]);
});
