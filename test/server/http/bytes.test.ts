import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Bytes } from '../../../server/http/bytes.ts';

test('pieces of any size come out as one, in a buffer that never exceeds the most', () => {
  const whole = Buffer.from(Array.from({ length: 300_000 }, (_, index) => (index * 7919) % 251));
  for (const size of [1, 13, 65_536, 299_999, 300_000]) {
    const bytes = new Bytes(whole.length);
    for (let at = 0; at < whole.length; at += size) assert.ok(bytes.append(whole.subarray(at, at + size)));
    assert.equal(bytes.length, whole.length);
    assert.ok(bytes.view().equals(whole), `pieces of ${size}`);
    assert.ok(bytes.view().buffer.byteLength <= whole.length);
  }
});

test('a piece beyond the most is refused whole', () => {
  const bytes = new Bytes(5);
  assert.ok(bytes.append(Buffer.from('abc')));
  assert.equal(bytes.append(Buffer.from('def')), false);
  assert.equal(bytes.view().toString(), 'abc');
  assert.ok(bytes.append(Buffer.from('de')));
  assert.equal(bytes.view().toString(), 'abcde');
  assert.equal(bytes.append(Buffer.from('f')), false);
});

test('few bytes do not reserve the most', () => {
  const bytes = new Bytes(1_000_000_000);
  bytes.append(Buffer.alloc(10));
  assert.ok(bytes.view().buffer.byteLength < 1_000_000);
});

test('pieces are copied, so that their own buffers can go', () => {
  const piece = Buffer.from('abc');
  const bytes = new Bytes(10);
  bytes.append(piece);
  piece.fill('x');
  assert.equal(bytes.view().toString(), 'abc');
});

test('nothing at all is no bytes', () => {
  const bytes = new Bytes(10);
  assert.ok(bytes.append(Buffer.alloc(0)));
  assert.equal(bytes.view().length, 0);
});
