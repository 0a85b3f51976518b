import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { Turns } from '../../../server/http/turns.ts';

describe('work a piece a turn', () => {
  test('lets other callbacks run between two pieces, and keeps the order', async () => {
    const turns = new Turns(10);
    const seen: string[] = [];
    const pieces = ['a', 'b', 'c'].map((piece) => turns.take(() => seen.push(piece)));
    for (let turn = 0; turn < 20 && seen.length < 10; turn++) {
      seen.push('.');
      await nextTurn();
    }
    await Promise.all(pieces);
    assert.match(seen.join(''), /a\.+b\.+c/);
  });

  test('refuses what is too many, and takes more when they are done', async () => {
    const turns = new Turns(2);
    const first = turns.take(() => 1);
    const second = turns.take(() => 2);
    await assert.rejects(
      turns.take(() => 3),
      (error: { code?: string }) => error.code === 'overloaded',
    );
    assert.deepEqual(await Promise.all([first, second]), [1, 2]);
    assert.equal(await turns.take(() => 4), 4);
  });

  test('a piece that throws fails alone', async () => {
    const turns = new Turns(5);
    const bad = turns.take(() => {
      throw new RangeError('no');
    });
    const good = turns.take(() => 'yes');
    await assert.rejects(bad, RangeError);
    assert.equal(await good, 'yes');
  });
});
