import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type Polygon, polygons, type Ring } from '../../../heads/deeplabv3/polygons.ts';
import { rowRuns } from '../../../heads/deeplabv3/row_runs.ts';
import type { Size } from '../../../heads/deeplabv3/size.ts';
import { mulberry32 } from '../../reference/noise.ts';
import { blobMask } from './dense.ts';

const trace = (mask: Uint8Array, size: Size, tolerance = 0) =>
  polygons(rowRuns(mask, size), 1, { tolerance });

type Point = [x: number, y: number];

const points = (ring: Ring): Point[] =>
  Array.from({ length: ring.length / 2 }, (_, i) => [ring[2 * i], ring[2 * i + 1]]);

/** Edges of a ring, the closing one included. */
const sides = (ring: Ring): [Point, Point][] => {
  const all = points(ring);
  return all.map((point, i) => [point, all[(i + 1) % all.length]]);
};

const ringsOf = (found: readonly Polygon[]) => found.flatMap(({ outer, holes }) => [outer, ...holes]);

/**
 * Twice the signed area; y grows downwards, so it is negative for what runs counter-clockwise on the screen.
 */
const doubleArea = (ring: Ring) =>
  sides(ring).reduce((sum, [[ax, ay], [bx, by]]) => sum + ax * by - bx * ay, 0);

/** Whether a point that is on no side is inside, by the even-odd rule. */
function isInside(ring: Ring, x: number, y: number): boolean {
  let inside = false;
  for (const [[ax, ay], [bx, by]] of sides(ring))
    if (ay > y !== by > y && x < ax + ((y - ay) * (bx - ax)) / (by - ay)) inside = !inside;
  return inside;
}

/** How many polygons the centre of every pixel is in. */
function rasterise(found: readonly Polygon[], { height, width }: Size): Uint8Array {
  const mask = new Uint8Array(height * width);
  for (const { outer, holes } of found) {
    for (let y = 0; y < height; y++) {
      for (let x = 0; x < width; x++) {
        const [cx, cy] = [x + 0.5, y + 0.5];
        if (isInside(outer, cx, cy) && !holes.some((hole) => isInside(hole, cx, cy))) mask[y * width + x]++;
      }
    }
  }
  return mask;
}

const turn = ([ax, ay]: Point, [bx, by]: Point, [cx, cy]: Point) =>
  Math.sign((bx - ax) * (cy - ay) - (by - ay) * (cx - ax));
const equal = (a: Point, b: Point) => a[0] === b[0] && a[1] === b[1];

/** A point on a segment, its ends included. */
const isOn = (a: Point, b: Point, p: Point) =>
  turn(a, b, p) === 0 &&
  Math.min(a[0], b[0]) <= p[0] &&
  p[0] <= Math.max(a[0], b[0]) &&
  Math.min(a[1], b[1]) <= p[1] &&
  p[1] <= Math.max(a[1], b[1]);

/** Whether two segments have a point in common that is not an end of both. */
function meet([a, b]: [Point, Point], [c, d]: [Point, Point]): boolean {
  if (turn(a, b, c) * turn(a, b, d) < 0 && turn(c, d, a) * turn(c, d, b) < 0) return true;
  const inner = (from: Point, to: Point, p: Point) => !equal(p, from) && !equal(p, to) && isOn(from, to, p);
  if (inner(a, b, c) || inner(a, b, d) || inner(c, d, a) || inner(c, d, b)) return true;
  return (equal(a, c) && equal(b, d)) || (equal(a, d) && equal(b, c));
}

/** Every ring simple, no two crossing, holes inside their polygon. */
function checkShape(found: readonly Polygon[]) {
  const rings = ringsOf(found);
  const all = rings.flatMap(sides);
  for (const ring of rings) {
    assert.ok(ring.length >= 6, 'at least three corners');
    assert.equal(new Set(points(ring).map(String)).size, ring.length / 2, 'no corner twice');
  }
  all.forEach((side, i) => {
    for (const other of all.slice(i + 1)) assert.ok(!meet(side, other), `${side} and ${other}`);
  });
  for (const { outer, holes } of found) {
    assert.ok(doubleArea(outer) < 0);
    for (const hole of holes) {
      assert.ok(doubleArea(hole) > 0);
      // Nothing crosses: one point of a hole that is not on the outer ring tells where all of it is.
      const [[[ax, ay], [bx, by]]] = sides(hole);
      assert.ok(isInside(outer, (ax + bx) / 2, (ay + by) / 2));
    }
  }
}

/**
 * Pixels that hang together through their sides, as lists of places, inside a frame of background one pixel
 * wide.
 */
function flood(mask: Uint8Array, { height, width }: Size, value: number): number[][] {
  const wide = width + 2;
  const framed = new Uint8Array((height + 2) * wide);
  for (let y = 0; y < height; y++) framed.set(mask.subarray(y * width, (y + 1) * width), (y + 1) * wide + 1);
  const seen = new Uint8Array(framed.length);
  const parts: number[][] = [];
  for (let start = 0; start < framed.length; start++) {
    if (seen[start] || framed[start] !== value) continue;
    const part = [start];
    seen[start] = 1;
    for (const place of part) {
      const sideways = [place % wide > 0 ? place - 1 : -1, (place + 1) % wide > 0 ? place + 1 : -1];
      for (const neighbour of [place - wide, place + wide, ...sideways]) {
        if (seen[neighbour] !== 0 || framed[neighbour] !== value) continue;
        seen[neighbour] = 1;
        part.push(neighbour);
      }
    }
    parts.push(part);
  }
  return parts;
}

/**
 * Holes of every connected part, most first: the parts of what is left when only that part is in the picture,
 * less the outside.
 */
function holesByFlooding(mask: Uint8Array, size: Size): number[] {
  const wide = size.width + 2;
  return flood(mask, size, 1)
    .map((part) => {
      const alone = new Uint8Array(mask.length);
      for (const place of part) alone[(Math.floor(place / wide) - 1) * size.width + (place % wide) - 1] = 1;
      return flood(alone, size, 0).length - 1;
    })
    .sort((a, b) => b - a);
}

const drawn = (...rows: string[]): [Uint8Array, Size] => [
  Uint8Array.from(rows.join(''), (c) => (c === '#' ? 1 : 0)),
  { height: rows.length, width: rows[0].length },
];

describe('drawn by hand', () => {
  const cases: [name: string, rows: string[], want: Polygon[]][] = [
    ['nothing', ['...', '...'], []],
    ['one pixel', ['...', '.#.'], [{ outer: [1, 1, 1, 2, 2, 2, 2, 1], holes: [] }]],
    ['everything', ['###', '###'], [{ outer: [0, 0, 0, 2, 3, 2, 3, 0], holes: [] }]],
    [
      'a hole with an island',
      ['#####', '#...#', '#.#.#', '#...#', '#####'],
      [
        { outer: [0, 0, 0, 5, 5, 5, 5, 0], holes: [[1, 1, 4, 1, 4, 4, 1, 4]] },
        { outer: [2, 2, 2, 3, 3, 3, 3, 2], holes: [] },
      ],
    ],
    [
      'two pixels that touch at a corner are two polygons',
      ['#.', '.#'],
      [
        { outer: [0, 0, 0, 1, 1, 1, 1, 0], holes: [] },
        { outer: [1, 1, 1, 2, 2, 2, 2, 1], holes: [] },
      ],
    ],
    [
      'a ring of pixels that touches itself at a corner: outside and hole touch',
      ['###', '#.#', '##.'],
      [{ outer: [0, 0, 0, 3, 2, 3, 2, 2, 3, 2, 3, 0], holes: [[1, 1, 2, 1, 2, 2, 1, 2]] }],
    ],
    [
      'two holes that touch at a corner',
      ['####', '#.##', '##.#', '####'],
      [
        {
          outer: [0, 0, 0, 4, 4, 4, 4, 0],
          holes: [
            [1, 1, 2, 1, 2, 2, 1, 2],
            [2, 2, 3, 2, 3, 3, 2, 3],
          ],
        },
      ],
    ],
  ];
  for (const [name, rows, want] of cases) test(name, () => assert.deepEqual(trace(...drawn(...rows)), want));
});

/** Small masks of every kind of noise, and larger ones of blobs. */
function* masks(): Generator<[name: string, mask: Uint8Array, size: Size]> {
  const random = mulberry32(7);
  for (let i = 0; i < 150; i++) {
    const size = { height: 1 + Math.floor(random() * 14), width: 1 + Math.floor(random() * 14) };
    const density = random();
    const mask = Uint8Array.from({ length: size.height * size.width }, () => (random() < density ? 1 : 0));
    yield [`noise ${i}`, mask, size];
  }
  for (let i = 0; i < 6; i++) {
    const size = { height: 20 + Math.floor(random() * 60), width: 20 + Math.floor(random() * 60) };
    yield [`blobs ${i}`, blobMask(i, size, 30), size];
  }
}

test('without tolerance: the pixels themselves, each in one polygon, as many parts as flooding finds', () => {
  for (const [name, mask, size] of masks()) {
    const found = trace(mask, size);
    assert.deepEqual(rasterise(found, size), mask, name);
    checkShape(found);
    const holes = found.map((polygon) => polygon.holes.length).sort((a, b) => b - a);
    assert.deepEqual(holes, holesByFlooding(mask, size), name);
  }
});

/** Distance of a point to the nearest side. */
function distanceTo(all: readonly [Point, Point][], [x, y]: Point): number {
  return Math.min(
    ...all.map(([[ax, ay], [bx, by]]) => {
      const [dx, dy] = [bx - ax, by - ay];
      const t = Math.max(0, Math.min(1, ((x - ax) * dx + (y - ay) * dy) / (dx * dx + dy * dy || 1)));
      return Math.hypot(x - ax - t * dx, y - ay - t * dy);
    }),
  );
}

/** Points along every side, close together. */
const sampled = (ring: Ring): Point[] =>
  sides(ring).flatMap(([[ax, ay], [bx, by]]) => {
    const steps = Math.ceil(Math.hypot(bx - ax, by - ay) * 3);
    return Array.from({ length: steps }, (_, i): Point => {
      const t = i / steps;
      return [ax + (bx - ax) * t, ay + (by - ay) * t];
    });
  });

for (const tolerance of [0.3, 0.75, 1, 2.5, 10]) {
  test(`tolerance ${tolerance}: simple rings, none lost, within it both ways`, () => {
    for (const [name, mask, size] of masks()) {
      const exact = trace(mask, size);
      const found = trace(mask, size, tolerance);
      checkShape(found);
      assert.equal(found.length, exact.length, name);
      found.forEach(({ outer, holes }, i) => {
        assert.equal(holes.length, exact[i].holes.length, name);
        [outer, ...holes].forEach((ring, j) => {
          const original = j === 0 ? exact[i].outer : exact[i].holes[j - 1];
          const most = tolerance + 1e-9;
          for (const point of points(original)) assert.ok(distanceTo(sides(ring), point) <= most, name);
          for (const point of sampled(ring)) assert.ok(distanceTo(sides(original), point) <= most, name);
        });
      });
    }
  });
}

test('a tolerance of 1.5 pixels makes a straight line of any stairs', () => {
  const size = { height: 90, width: 120 };
  for (let rise = 10; rise <= 90; rise += 5) {
    const mask = Uint8Array.from({ length: 120 * 90 }, (_, at) =>
      Math.floor(at / 120) >= ((at % 120) * rise) / 120 ? 1 : 0,
    );
    const [{ outer }] = trace(mask, size, 1.5);
    assert.ok(outer.length / 2 <= 5, `rise ${rise}: ${outer}`);
  }
});

test('a tolerance of two pixels leaves few corners of a large disc', () => {
  const size = { height: 300, width: 300 };
  const mask = Uint8Array.from({ length: 300 * 300 }, (_, at) =>
    Math.hypot((at % 300) - 149.5, Math.floor(at / 300) - 149.5) < 140 ? 1 : 0,
  );
  const corners = (tolerance: number) => ringsOf(trace(mask, size, tolerance))[0].length / 2;
  assert.ok(corners(0) > 400);
  // The sides of an inscribed polygon of 19 corners are 140 * (1 - cos(pi / 19)) = 2 pixels off.
  assert.ok(corners(2) < 2 * 19, `${corners(2)} corners`);
});

test('a tolerance that is none is an error', () => {
  const runs = rowRuns(new Uint8Array(4), { height: 2, width: 2 });
  for (const tolerance of [-1, Number.NaN, Infinity])
    assert.throws(() => polygons(runs, 1, { tolerance }), /tolerance must be a number of pixels, 0 or more/);
});
