// Boxes and labels as they are drawn: properties of the pixels.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { drawBoxes, paintBoxes } from '../../../server/image/boxes.ts';
import { styleFor } from '../../../server/image/labels.ts';
import { Lettering } from '../../../server/image/lettering.ts';
import { paintClasses } from '../../../server/image/overlay.ts';
import { classColor, type Rgb } from '../../../server/playground/class_colors.ts';
import { ORIENTATIONS, rasterOf, stored } from './orientations.ts';
import { paint, type Raster, scene } from './pictures.ts';

const box = (x_min: number, y_min: number, x_max: number, y_max: number, classId = 1, label = 'person') => ({
  classId,
  label,
  score: 0.87,
  box: { x_min, y_min, x_max, y_max },
});
const flat = (width: number, height: number, grey: number) => paint(width, height, () => [grey, grey, grey]);
const pixel = ({ pixels, width }: Raster, x: number, y: number) => [
  ...pixels.subarray((y * width + x) * 3, (y * width + x) * 3 + 3),
];
const count = ({ pixels }: Raster, [red, green, blue]: Rgb) => {
  let found = 0;
  for (let at = 0; at < pixels.length; at += 3)
    found += Number(pixels[at] === red && pixels[at + 1] === green && pixels[at + 2] === blue);
  return found;
};

describe('a box', () => {
  for (const grey of [0, 128, 255]) {
    test(`has a line where it is, with a dark edge outside and a light one inside, on ${grey}`, () => {
      const picture = flat(400, 300, grey);
      paintBoxes(picture, [box(100, 80, 300, 220)]);
      const { line, edge } = styleFor(picture);
      const band = line + 2 * edge;
      for (const [x, y, dx, dy] of [
        [100, 150, 1, 0],
        [299, 150, -1, 0],
        [200, 219, 0, -1],
      ] as const) {
        const across = Array.from({ length: 4 * band }, (_, i) =>
          pixel(picture, x + dx * (i - 2 * band), y + dy * (i - 2 * band)),
        );
        const changed = across.filter((color) => color.some((value) => value !== grey));
        const wanted = [
          ...Array(edge).fill([0, 0, 0]),
          ...Array(line).fill([...classColor(1)]),
          ...Array(edge).fill([255, 255, 255]),
        ].filter((color) => color[0] !== grey || color[1] !== grey);
        assert.deepEqual(changed, wanted);
        assert.ok(
          across
            .slice(2 * band - line, 2 * band + line)
            .some((color) => String(color) === String(classColor(1))),
          'the line is at the side of the box',
        );
      }
      assert.deepEqual(pixel(picture, 200, 150), [grey, grey, grey]);
    });
  }

  test('of a few pixels does not hide what it holds', () => {
    const picture = flat(600, 400, 90);
    paintBoxes(picture, [box(300, 200, 305, 206), box(0, 0, 4, 4)]);
    for (const [x, y] of [
      [300, 200],
      [304, 205],
      [0 + 6, 0 + 6],
    ] as const)
      assert.deepEqual(pixel(picture, x, y), [90, 90, 90]);
  });
});

describe('a label', () => {
  /** The one rectangle of a plate: every pixel of its colour that is not of the frame. */
  const alone = (boxes: Parameters<typeof paintBoxes>[1], width = 300, height = 200) => {
    const [named, unnamed] = [flat(width, height, 120), flat(width, height, 120)];
    paintBoxes(named, boxes);
    paintBoxes(
      unnamed,
      boxes.map((each) => ({ ...each, label: '' })),
    );
    return { named, unnamed };
  };

  test('is whole at every border of the picture, and wherever the box is', () => {
    const plates = [
      [0, 0, 60, 50],
      [240, 0, 300, 50],
      [0, 150, 60, 200],
      [240, 150, 300, 200],
      [100, 60, 200, 140],
      [0, 0, 300, 200],
      [296, 90, 300, 110],
      [140, 0, 150, 200],
    ].map(([a = 0, b = 0, c = 0, d = 0]) => {
      const { named } = alone([box(a, b, c, d)]);
      return inkRows(named, classColor(1));
    });
    assert.equal(new Set(plates).size, 1, JSON.stringify(plates));
    assert.ok((plates[0] ?? 0) > 50);
  });

  /** Partly covered pixels: black text on the plate's colour, and nothing else, mixes the two. */
  function inkRows({ pixels }: Raster, color: Rgb): number {
    let mixed = 0;
    for (let at = 0; at < pixels.length; at += 3) {
      const share = (pixels[at] as number) / color[0];
      const isMix =
        share > 0.02 &&
        share < 0.98 &&
        [1, 2].every((c) => Math.abs((pixels[at + c] as number) - share * (color[c] as number)) <= 1);
      mixed += Number(isMix);
    }
    return mixed;
  }

  test('does not cover another where there is room', () => {
    const boxes = [box(50, 60, 150, 150), box(52, 62, 152, 152), box(54, 64, 154, 154)];
    const one = alone([boxes[0] as (typeof boxes)[0]]).named;
    assert.equal(inkRows(alone(boxes).named, classColor(1)), 3 * inkRows(one, classColor(1)));
  });

  test('fits pictures of any size, and stays off those that are too small', () => {
    for (const [width, height] of [
      [1, 1],
      [7, 900],
      [900, 7],
      [16, 16],
      [40, 30],
      [100, 100],
      [2000, 1500],
    ] as const) {
      const picture = flat(width, height, 50);
      paintBoxes(picture, [box(0, 0, width, height), box(width / 3, height / 3, width / 2, height / 2)]);
      assert.equal(picture.pixels.length, width * height * 3);
      assert.ok(picture.pixels.some((value) => value !== 50));
    }
    assert.equal(styleFor({ width: 900, height: 7 }).cap, undefined);
    const sizes = [200, 640, 4000].map((side) => styleFor({ width: side, height: side }).cap ?? 0);
    assert.ok(
      sizes.every((cap, i) => cap >= 8 && (i === 0 || cap > (sizes[i - 1] ?? 0))),
      `${sizes}`,
    );
  });

  test('of any text can be drawn: what the font lacks is a box, and one that is too long is cut', () => {
    const lettering = new Lettering(12);
    const shape = (text: string) => {
      const picture = flat(80, lettering.height, 255);
      lettering.draw(picture, text, 2, 0, [0, 0, 0]);
      return Buffer.from(picture.pixels).toString('base64');
    };
    const ascii = Array.from({ length: 94 }, (_, i) => String.fromCharCode(33 + i));
    assert.equal(new Set([...ascii, '日'].map(shape)).size, 95, 'every character has a shape of its own');
    for (const other of ['本', '\u{1f408}', '\u0007', '\u{1f468}\u200d\u{1f469}\u200d\u{1f467}'])
      assert.equal(shape(other), shape('日'), JSON.stringify(other));
    assert.ok(shape('é') !== shape('e') && shape('é') === shape('e\u0301') && shape('é') !== shape('日'));
    const long = 'x'.repeat(100_000);
    assert.ok(
      lettering.measure(lettering.shorten(long, 100)) <= 100 && lettering.shorten(long, 100).endsWith('x…'),
    );
    assert.equal(lettering.shorten('cat', 1), '');
    paintBoxes(flat(200, 100, 0), [box(10, 30, 60, 60, 7, long)]);
  });
});

test('the same boxes give the same picture', () => {
  const pictures = [0, 1].map(() => {
    const picture = scene(320, 240);
    paintBoxes(picture, [box(10, 40, 100, 200), box(50, 60, 300, 220, 18, 'dog')]);
    return Buffer.from(picture.pixels).toString('base64');
  });
  assert.equal(pictures[0], pictures[1]);
});

for (const orientation of ORIENTATIONS) {
  test(`a photo stored with orientation ${orientation} is drawn on upright, at its own size`, async () => {
    const upright = scene(240, 160);
    const file = await stored(upright, orientation).png().toBuffer();
    const drawn = await rasterOf(await drawBoxes(file, [box(60, 60, 200, 140)], 'png', { maxPixels: 1e6 }));
    const expected = { ...upright, pixels: Uint8Array.from(upright.pixels) };
    paintBoxes(expected, [box(60, 60, 200, 140)]);
    assert.deepEqual([drawn.width, drawn.height], [240, 160]);
    assert.ok(Buffer.from(drawn.pixels).equals(expected.pixels));
  });
}

describe('classes laid over a photo', () => {
  test('have a dark edge, a line in their colour, and half of it inside; the background stays', () => {
    const picture = flat(300, 200, 100);
    const map = Uint8Array.from({ length: 300 * 200 }, (_, at) => (at % 300 >= 100 ? 8 : 0));
    paintClasses(picture, { map, background: 0, names: new Map() });
    const { line, edge } = styleFor(picture);
    const half = classColor(8).map((value) => Math.round((value + 100) / 2));
    const row = Array.from({ length: 300 }, (_, x) => pixel(picture, x, 100));
    assert.deepEqual(row, [
      ...Array(100).fill([100, 100, 100]),
      ...Array(edge).fill([0, 0, 0]),
      ...Array(line).fill([...classColor(8)]),
      ...Array(200 - edge - line).fill(half),
    ]);
    const named = flat(300, 200, 100);
    paintClasses(named, { map, background: 0, names: new Map([[8, 'cat']]) });
    assert.ok(
      count(named, classColor(8)) > count(picture, classColor(8)) + 200,
      'its name stands on a plate of its colour',
    );
    for (let x = 0; x < 100; x++) assert.deepEqual(pixel(named, x, 100), [100, 100, 100]);
  });
});
