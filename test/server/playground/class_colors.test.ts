import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Rgb } from '../../../server/playground/class_colors.ts';
import { classColor, css } from '../../../server/playground/class_colors.ts';
import { COCO_LABELS } from '../../../server/zoo/labels.ts';

const linear = (color: Rgb) =>
  color.map((value) =>
    value / 255 <= 0.04045 ? value / 255 / 12.92 : ((value / 255 + 0.055) / 1.055) ** 2.4,
  );

/** WCAG 2.2's contrast ratio with black. */
function contrastWithBlack(color: Rgb): number {
  const [red = 0, green = 0, blue = 0] = linear(color);
  return (0.2126 * red + 0.7152 * green + 0.0722 * blue + 0.05) / 0.05;
}

/** CIE 1976 L*a*b* under D65: another space than the one that the colours were chosen in. */
function cielab(color: Rgb): number[] {
  const [red = 0, green = 0, blue = 0] = linear(color);
  const [x = 0, y = 0, z = 0] = [
    (0.4124 * red + 0.3576 * green + 0.1805 * blue) / 0.9505,
    0.2126 * red + 0.7152 * green + 0.0722 * blue,
    (0.0193 * red + 0.1192 * green + 0.9505 * blue) / 1.089,
  ].map((value) => (value > 216 / 24389 ? Math.cbrt(value) : (24389 / 27) * (value / 116) + 16 / 116));
  return [116 * y - 16, 500 * (x - y), 200 * (y - z)];
}

/** CIE 1976 colour difference of the two colours of `ids` that are most alike. */
function leastDifference(ids: readonly number[]): number {
  const places = ids.map((id) => cielab(classColor(id)));
  return Math.min(
    ...places.flatMap((a, i) =>
      places.slice(0, i).map((b) => Math.hypot(...a.map((value, axis) => value - (b[axis] ?? 0)))),
    ),
  );
}

describe('colours of classes', () => {
  const ids = Array.from({ length: 256 }, (_, id) => id);

  test('are colours of sRGB in which black text reads well', () => {
    for (const id of ids) {
      const color = classColor(id);
      for (const value of color) assert.ok(Number.isInteger(value) && value >= 0 && value <= 255, css(color));
      assert.ok(contrastWithBlack(color) >= 7, css(color));
    }
  });

  test('are all different, and begin again after the last', () => {
    assert.equal(new Set(ids.map((id) => css(classColor(id)))).size, ids.length);
    assert.deepEqual(classColor(256), classColor(0));
  });

  // A difference of 2.3 can just be noticed (Mahy and others, 1994).
  const datasets = [
    { name: 'PASCAL VOC', of: ids.slice(1, 21), least: 15 },
    { name: 'COCO', of: COCO_LABELS.map(({ classId }) => classId), least: 7 },
  ];
  for (const { name, of, least } of datasets) {
    test(`differ clearly between any two classes of ${name}`, () => {
      const difference = leastDifference(of);
      assert.ok(difference >= least, `the two most alike differ by ${difference}`);
    });
  }
});
