import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ssdAnchors } from '../../../heads/ssdlite/anchors.ts';
import { decodeBox } from '../../../heads/ssdlite/box_coding.ts';
import { readFixture } from '../../safetensors.ts';

const golden = readFixture('test/fixtures/ssdlite-boxes.safetensors');
const numbers = (name: string) => golden.get(name)?.data as Float32Array;
const grids = [19, 10, 5, 3, 2, 1].map((side) => [side, side] as const);

test('anchors equal the reference to one unit in the last place', () => {
  const anchors = ssdAnchors(grids);
  const reference = numbers('anchors');
  assert.equal(anchors.length, 1917 * 4);
  assert.equal(reference.length, anchors.length);
  const worst = anchors.reduce(
    (most, value, i) => Math.max(most, Math.abs(value - (reference[i] as number))),
    0,
  );
  assert.ok(worst <= 1.2e-7, `largest difference ${worst}`);
});

test('boxes decode as the reference decodes them', () => {
  const indices = golden.get('anchor_index')?.data as BigInt64Array;
  const anchors = numbers('anchors');
  const encodings = numbers('encodings');
  const expected = numbers('boxes');
  assert.equal(indices.length, 50);
  const spread = new Float32Array(anchors.length);
  const out = new Float64Array(4);
  indices.forEach((anchor, row) => {
    spread.set(encodings.subarray(row * 4, row * 4 + 4), Number(anchor) * 4);
    decodeBox(spread, anchors, Number(anchor), out, 0);
    out.forEach((value, side) => {
      const wanted = expected[row * 4 + side] as number;
      assert.ok(
        Math.abs(value - wanted) <= 4e-7 * Math.max(1, Math.abs(wanted)),
        `box ${row}: ${value}, not ${wanted}`,
      );
    });
  });
});
