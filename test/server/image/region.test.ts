import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ImageError } from '../../../server/image/image-error.ts';
import { clipRegion, storedRegion } from '../../../server/image/region.ts';

const image = { width: 100, height: 60 };
const region = (x_min: number, y_min: number, x_max: number, y_max: number) => ({
  x_min,
  y_min,
  x_max,
  y_max,
});

describe('clipRegion', () => {
  it('is the whole image when no region is given', () => {
    assert.deepEqual(clipRegion(undefined, image), region(0, 0, 100, 60));
  });

  const inside: [string, number[], number[]][] = [
    ['keeps whole pixels', [10, 20, 30, 40], [10, 20, 30, 40]],
    ['rounds outward', [10.9, 20.1, 30.1, 40.9], [10, 20, 31, 41]],
    ['keeps a fraction of one pixel as that pixel', [5.2, 5.2, 5.3, 5.3], [5, 5, 6, 6]],
    ['clips what sticks out on every side', [-5, -0.5, 1000, 60.5], [0, 0, 100, 60]],
    ['takes infinity as the edge', [-Infinity, 10, Infinity, 20], [0, 10, 100, 20]],
  ];
  for (const [name, [a, b, c, d], [e, f, g, h]] of inside) {
    it(name, () => assert.deepEqual(clipRegion(region(a!, b!, c!, d!), image), region(e!, f!, g!, h!)));
  }

  const outside: [string, number[]][] = [
    ['to the right', [100, 0, 120, 60]],
    ['to the left', [-20, 0, 0, 60]],
    ['below', [0, 60, 100, 61]],
    ['above', [0, -9, 100, -1]],
    ['empty', [10, 10, 10, 20]],
    ['reversed', [30, 10, 20, 20]],
    ['not a number', [Number.NaN, 0, 10, 10]],
  ];
  for (const [name, [a, b, c, d]] of outside) {
    it(`refuses a region that has no pixel: ${name}`, () => {
      assert.throws(
        () => clipRegion(region(a!, b!, c!, d!), image),
        (error) => {
          assert.ok(error instanceof ImageError);
          assert.equal(error.code, 'region_outside_image');
          assert.ok(error.message.includes(`${a},${b},${c},${d}`), error.message);
          assert.match(error.message, /100 wide and 60 high/);
          return true;
        },
      );
    });
  }
});

describe('storedRegion', () => {
  it('keeps the area and stays inside, for every orientation', () => {
    for (let orientation = 1; orientation <= 8; orientation++) {
      const stored = orientation >= 5 ? { width: 60, height: 100 } : image;
      const { x_min, y_min, x_max, y_max } = storedRegion(region(10, 20, 40, 25), orientation, stored);
      assert.deepEqual(
        [x_max - x_min, y_max - y_min],
        orientation >= 5 ? [5, 30] : [30, 5],
        `orientation ${orientation}`,
      );
      assert.ok(x_min >= 0 && y_min >= 0 && x_max <= stored.width && y_max <= stored.height);
    }
  });

  it('finds the upright top left corner where orientation 6 stores it: bottom left', () => {
    assert.deepEqual(storedRegion(region(0, 0, 1, 2), 6, { width: 60, height: 100 }), region(0, 99, 2, 100));
  });
});
