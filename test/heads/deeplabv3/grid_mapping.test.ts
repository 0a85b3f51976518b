import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type AxisMapping, gridMapping, sampleAxis } from '../../../heads/deeplabv3/grid_mapping.ts';

/** Coordinates of all pixels of an axis. */
function coordinates(axis: AxisMapping, pixels: number, points: number): number[] {
  const { point, weight } = sampleAxis(axis, pixels, points);
  return Array.from(point, (low, u) => low + weight[u]);
}

function close(found: readonly number[], wanted: readonly number[]) {
  assert.equal(found.length, wanted.length);
  found.forEach((value, i) => {
    assert.ok(Math.abs(value - wanted[i]) < 1e-9, `${i}: ${value}, not ${wanted[i]}`);
  });
}

const placement = {
  photo: { height: 480, width: 640 },
  resized: { height: 385, width: 513 },
  input: { height: 513, width: 513 },
  grid: { height: 33, width: 33 },
};

/** Photo pixel to input pixel, half-pixel centres, ends held. */
const inInput = (u: number, photo: number, resized: number) =>
  Math.min(resized - 1, Math.max(0, ((u + 0.5) * resized) / photo - 0.5));

test('aligned corners: a point on every sixteenth input pixel', () => {
  const { y, x } = gridMapping({ ...placement, alignCorners: true });
  close(
    coordinates(x, 640, 33),
    Array.from({ length: 640 }, (_, u) => inInput(u, 640, 513) / 16),
  );
  close(
    coordinates(y, 480, 33),
    Array.from({ length: 480 }, (_, u) => inInput(u, 480, 385) / 16),
  );
});

test('half-pixel: points in the middle of equal parts, ends held', () => {
  const input = { height: 512, width: 512 };
  const { y, x } = gridMapping({
    ...placement,
    resized: { height: 384, width: 512 },
    input,
    grid: { height: 64, width: 32 },
    alignCorners: false,
  });
  const wanted = (pixels: number, resized: number, points: number) =>
    Array.from({ length: pixels }, (_, u) =>
      Math.min(points - 1, Math.max(0, (inInput(u, pixels, resized) + 0.5) * (points / 512) - 0.5)),
    );
  close(coordinates(x, 640, 32), wanted(640, 512, 32));
  close(coordinates(y, 480, 64), wanted(480, 384, 64));
});

for (const alignCorners of [true, false]) {
  test(`a mirrored photo is read backwards, without its padding (aligned corners: ${alignCorners})`, () => {
    const tall = {
      photo: { height: 640, width: 480 },
      resized: { height: 513, width: 385 },
      input: placement.input,
      grid: placement.grid,
    };
    const plain = gridMapping({ ...tall, alignCorners });
    const mirrored = gridMapping({ ...tall, alignCorners, mirrored: true });
    close(coordinates(mirrored.x, 480, 33), coordinates(plain.x, 480, 33).reverse());
    close(coordinates(mirrored.y, 640, 33), coordinates(plain.y, 640, 33));
  });
}

test('one point, one pixel', () => {
  const one = { height: 1, width: 1 };
  const { x } = gridMapping({ photo: one, resized: one, input: one, grid: one, alignCorners: true });
  assert.deepEqual(coordinates(x, 1, 1), [0]);
  const { y } = gridMapping({ ...placement, grid: one, alignCorners: false });
  assert.deepEqual(new Set(coordinates(y, 480, 1)), new Set([0]));
});

test('a photo that does not fit into the input is an error', () => {
  assert.throws(
    () => gridMapping({ ...placement, resized: { height: 514, width: 513 }, alignCorners: true }),
    /513 x 514 does not fit into an input of 513 x 513/,
  );
});
