// Boxes and labels as they are drawn: properties of the pixels.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
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

/**
 * Pixels that letters cover in part, and where: black on a class's colour, and nothing else that is drawn on grey, mixes the two.
 * @param id of the class
 */
function inkOf({ pixels, width }: Raster, id: number) {
  const color = classColor(id);
  const most = color.indexOf(Math.max(...color));
  const ink = { count: 0, x_min: Infinity, y_min: Infinity, x_max: -Infinity, y_max: -Infinity };
  for (let at = 0; at < pixels.length; at += 3) {
    const share = (pixels[at + most] as number) / (color[most] as number);
    const isMix = color.every((value, c) => Math.abs((pixels[at + c] as number) - share * value) <= 1);
    if (share < 0.15 || share > 0.98 || !isMix) continue;
    const [x, y] = [(at / 3) % width, Math.floor(at / 3 / width)];
    ink.count++;
    ink.x_min = Math.min(ink.x_min, x);
    ink.y_min = Math.min(ink.y_min, y);
    ink.x_max = Math.max(ink.x_max, x + 1);
    ink.y_max = Math.max(ink.y_max, y + 1);
  }
  return ink;
}

/** How much of it a text has, whole and on a picture of this size. */
function inkIn(text: string, id: number, { cap = assert.fail('no labels here') } = styleFor(SIZE)): number {
  const lettering = new Lettering(cap);
  const plate = paint(lettering.measure(text) + 4, lettering.height, () => classColor(id));
  lettering.draw(plate, text, 2, 0, [0, 0, 0]);
  return inkOf(plate, id).count;
}

/** Of most pictures here. */
const SIZE = { width: 640, height: 480 };
const drawn = (boxes: Parameters<typeof paintBoxes>[1], { width, height } = SIZE) => {
  const picture = flat(width, height, 120);
  paintBoxes(picture, boxes);
  return picture;
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

  test('of a higher score lies on top', () => {
    const picture = drawn([box(100, 100, 300, 300, 1), box(200, 200, 400, 400, 44)]);
    // Where the right side of the first meets the upper one of the second.
    assert.deepEqual(pixel(picture, 300, 200), [...classColor(1)]);
    assert.deepEqual(pixel(picture, 350, 200), [...classColor(44)]);
  });
});

describe('a label', () => {
  const TEXT = 'person 87 %';

  test('is whole at every border of the picture, and wherever the box is', () => {
    for (const id of [1, 5, 9]) {
      for (const [a, b, c, d] of [
        [0, 0, 60, 50],
        [580, 0, 640, 50],
        [0, 430, 60, 480],
        [580, 430, 640, 480],
        [100, 60, 200, 140],
        [0, 0, 640, 480],
        [636, 90, 640, 110],
        [140, 0, 150, 480],
        [0, 200, 640, 205],
      ] as const)
        assert.equal(inkOf(drawn([box(a, b, c, d, id)]), id).count, inkIn(TEXT, id), `${[a, b, c, d]}`);
    }
    assert.ok(inkIn(TEXT, 1) > 50);
  });

  test('stands on its box, at the left; inside where that is off the picture, or below a small one', () => {
    const { edge, line } = styleFor(SIZE);
    const middle = inkOf(drawn([box(200, 200, 260, 240)]), 1);
    assert.ok(
      middle.y_max <= 200 && middle.y_min > 170 && middle.x_min >= 200 - line - edge,
      `${middle.x_min}`,
    );
    assert.ok(middle.x_min < 210);
    const large = inkOf(drawn([box(200, 2, 500, 300)]), 1);
    assert.ok(large.y_min > 2 && large.y_max < 40 && large.x_min >= 200 && large.x_min < 210);
    const small = inkOf(drawn([box(200, 2, 230, 20)]), 1);
    assert.ok(small.y_min > 20 && small.y_max < 50 && small.x_min < 210);
  });

  test('tells the score as a whole percentage, and less than all is never 100', () => {
    for (const [score, text] of [
      [0.874, '87 %'],
      [0.996, '99 %'],
      [0.99999, '99 %'],
      [1, '100 %'],
      [0.004, '0 %'],
    ] as const) {
      const found = drawn([{ ...box(200, 200, 400, 400), score }]);
      assert.equal(inkOf(found, 1).count, inkIn(`person ${text}`, 1), text);
    }
    assert.equal(new Set(['87 %', '99 %', '100 %', '0 %'].map((text) => inkIn(text, 1))).size, 4);
  });

  test('does not cover another where there is room', () => {
    const boxes = [box(50, 60, 150, 150), box(52, 62, 152, 152), box(54, 64, 154, 154)];
    assert.equal(inkOf(drawn(boxes), 1).count, 3 * inkIn(TEXT, 1));
  });

  test('covers neither its own small box nor others', () => {
    for (const [x, y] of [
      [320, 215],
      [300, 262],
      [330, 240],
      [270, 240],
    ] as const) {
      const picture = drawn([box(300, 240, 314, 254, 44, 'bottle'), box(x, y, x + 14, y + 14, 47, 'cup')]);
      for (const [left, top] of [
        [300, 240],
        [x, y],
      ] as const) {
        for (let at = 0; at < 14 * 14; at++) {
          const [across, down] = [at % 14, Math.floor(at / 14)];
          assert.deepEqual(pixel(picture, left + across, top + down), [120, 120, 120], `${x}, ${y}`);
        }
      }
      assert.equal(inkOf(picture, 44).count, inkIn('bottle 87 %', 44));
      assert.equal(inkOf(picture, 47).count, inkIn('cup 87 %', 47));
    }
  });

  /** A box as high as the picture between two others, so that there is so much room at its left and its right only. */
  const between = (room: number) => [
    box(300, 0, 320, 480),
    box(260 - room, 0, 280 - room, 480, 44, ''),
    box(340 + room, 0, 360 + room, 480, 44, ''),
  ];

  test('is the score alone where only that has room, and left out where not even that has; the box stays', () => {
    const counts = [100, 35, 10].map((room) => {
      const picture = drawn(between(room));
      assert.deepEqual(pixel(picture, 310, 240), [120, 120, 120]);
      assert.ok(count(picture, classColor(1)) > 2 * 480, 'its two long sides');
      return inkOf(picture, 1).count;
    });
    assert.deepEqual(counts, [inkIn(TEXT, 1), inkIn('87 %', 1), 0]);
  });

  test('is left out of a picture that it would cover most of', () => {
    for (const [width, height, isLabelled] of [
      [40, 27, false],
      [159, 159, false],
      [900, 50, false],
      [160, 160, true],
      [900, 60, true],
    ] as const) {
      const picture = drawn([box(5, 5, 25, 20)], { width, height });
      assert.equal(inkOf(picture, 1).count > 0, isLabelled, `${width} x ${height}`);
      assert.ok(count(picture, classColor(1)) > 60);
    }
  });

  test('grows with the picture, and pictures of any size can be drawn on', () => {
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
    const rows = (text: string) => {
      const picture = paint(40, lettering.height, () => classColor(1));
      lettering.draw(picture, text, 2, 0, [0, 0, 0]);
      const inked = Array.from({ length: lettering.height }, (_, y) => y).filter((y) =>
        Array.from({ length: 40 }, (_, x) => pixel(picture, x, y)).some(([red = 0]) => red < 100),
      );
      return [inked[0] ?? 0, inked.at(-1) ?? 0] as const;
    };
    for (const letter of ['E', 'd']) {
      const [plain, accented] = [rows(letter), rows(`${letter}\u0301`)];
      assert.ok(accented[0] < plain[0] - 2 && accented[1] === plain[1], `${letter}: ${plain}, ${accented}`);
    }
    assert.ok(rows('Ç')[0] === rows('C')[0] && rows('Ç')[1] > rows('C')[1] + 1, 'a cedilla hangs below');
    const long = 'x'.repeat(100_000);
    assert.ok(
      lettering.measure(lettering.shorten(long, 100)) <= 100 && lettering.shorten(long, 100).endsWith('x…'),
    );
    assert.equal(lettering.shorten('cat', 1), '');
    paintBoxes(flat(200, 100, 0), [box(10, 30, 60, 60, 7, long)]);
  });
});

test('is the same picture on every machine', () => {
  assert.deepEqual(
    [0, 1, 20, 90, 255].map((id) => classColor(id).join(' ')),
    ['0 204 255', '255 51 255', '221 119 238', '68 187 102', '187 238 170'],
  );
  const picture = scene(320, 240);
  const map = Uint8Array.from({ length: 320 * 240 }, (_, at) =>
    ((at % 320) - 240) ** 2 + (Math.floor(at / 320) - 120) ** 2 < 3600 ? 8 : 0,
  );
  paintClasses(picture, { map, background: 0, names: new Map([[8, 'cat']]) });
  paintBoxes(picture, [box(10, 40, 100, 200), box(50, 60, 300, 220, 18, 'Çà & Gödel?')]);
  // Where it is meant to change: look at it, then take over the new value.
  assert.equal(
    createHash('sha256').update(picture.pixels).digest('hex'),
    '0450f30e819790c46d0ffca6b954a83b8def6a9daa244fa0b9d3652a7c6de13a',
  );
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

  /** Rectangles of classes on background. */
  const mapOf = (
    { width, height }: { width: number; height: number },
    ...areas: readonly (readonly [id: number, x_min: number, y_min: number, x_max: number, y_max: number])[]
  ) => {
    const map = new Uint8Array(width * height);
    for (const [id, x_min, y_min, x_max, y_max] of areas)
      for (let y = y_min; y < y_max; y++) map.fill(id, y * width + x_min, y * width + x_max);
    return map;
  };
  const laidOver = (map: Uint8Array, names: readonly (readonly [number, string])[], size = SIZE) => {
    const picture = flat(size.width, size.height, 120);
    paintClasses(picture, { map, background: 0, names: new Map(names) });
    return picture;
  };

  test('are seen however small they are: their names stand beside them', () => {
    for (const [x, y] of [
      [300, 240],
      [0, 0],
      [628, 468],
      [300, 2],
    ] as const) {
      const map = mapOf(SIZE, [15, x, y, x + 12, y + 12]);
      const [named, unnamed] = [laidOver(map, [[15, 'person']]), laidOver(map, [])];
      const ink = inkOf(named, 15);
      assert.equal(ink.count, inkIn('person', 15));
      const gap = Math.max(ink.y_min - (y + 12), y - ink.y_max, ink.x_min - (x + 12), x - ink.x_max);
      assert.ok(gap > 0 && gap < 20, `${gap} pixels from it`);
      for (let row = y; row < y + 12; row++)
        for (let column = x; column < x + 12; column++)
          assert.deepEqual(pixel(named, column, row), pixel(unnamed, column, row));
    }
  });

  test('have their names beside them where those would hide much, inside if there is no such place', () => {
    const place = (map: Uint8Array) => {
      const ink = inkOf(laidOver(map, [[15, 'person']]), 15);
      assert.equal(ink.count, inkIn('person', 15));
      return ink;
    };
    const above = place(mapOf(SIZE, [15, 300, 200, 360, 260]));
    assert.ok(above.y_max <= 200 && above.x_min > 290 && above.x_max < 370);
    const right = place(mapOf(SIZE, [15, 300, 0, 320, 480]));
    assert.ok(right.x_min >= 320 && right.x_max < 400 && Math.abs(right.y_min - 240) < 20);
    const left = place(mapOf(SIZE, [15, 620, 0, 640, 480]));
    assert.ok(left.x_max <= 620 && left.x_min > 540);
    const falling = place(
      mapOf(
        SIZE,
        ...Array.from({ length: 480 }, (_, y) => [15, y, y, y + 8, y + 1] as const),
        [15, 480, 476, 640, 480],
      ),
    );
    assert.ok(Math.abs((falling.x_min + falling.x_max - falling.y_min - falling.y_max) / 2) < 20);
  });

  test('have their names in their middle where they are large, off each other', () => {
    const map = mapOf(SIZE, [8, 100, 0, 180, 480], [15, 180, 0, 260, 480]);
    const picture = laidOver(map, [
      [8, 'motorbikes'],
      [15, 'motorbikes'],
    ]);
    for (const [id, middle] of [
      [8, 140],
      [15, 220],
    ] as const) {
      const { count: inked, x_min, x_max } = inkOf(picture, id);
      assert.equal(inked, inkIn('motorbikes', id));
      assert.ok(Math.abs((x_min + x_max) / 2 - middle) < 6, `${x_min} to ${x_max} around ${middle}`);
    }
  });

  test('leave small ones among them uncovered', () => {
    const size = { width: 640, height: 300 };
    const map = mapOf(size, [8, 0, 100, 640, 140], [15, 60, 114, 72, 126]);
    const unnamed = laidOver(map, [], size);
    const named = laidOver(
      map,
      [
        [8, 'motorbikes'],
        [15, 'person'],
      ],
      size,
    );
    assert.equal(inkOf(named, 8).count, inkIn('motorbikes', 8, styleFor(size)));
    assert.equal(inkOf(named, 15).count, inkIn('person', 15, styleFor(size)));
    for (let y = 114; y < 126; y++)
      for (let x = 60; x < 72; x++) assert.deepEqual(pixel(named, x, y), pixel(unnamed, x, y));
  });

  test('show the photo inside however thick their outline is', () => {
    const picture = flat(700, 300, 100);
    const map = mapOf({ width: 700, height: 300 }, [8, 10, 0, 700, 300]);
    paintClasses(picture, { map, background: 0, names: new Map() }, { line: 90, edge: 20, cap: undefined });
    const half = classColor(8).map((value) => Math.round((value + 100) / 2));
    assert.deepEqual(pixel(picture, 600, 150), half);
    assert.deepEqual(pixel(picture, 60, 150), [...classColor(8)]);
    assert.deepEqual(pixel(picture, 20, 150), [0, 0, 0]);
  });
});
