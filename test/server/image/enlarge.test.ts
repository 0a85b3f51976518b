// Enlargement by half-pixel centres, against its definition in floating point and what follows from it.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import sharp from 'sharp';
import { decodeImage } from '../../../server/image/decode.ts';
import { enlargePixels, smallerOf } from '../../../server/image/enlarge.ts';
import { mirrorPixels, resizePixels } from '../../../server/image/resize.ts';
import { mulberry32, uniformNoise } from '../../reference/noise.ts';

interface Size {
  readonly width: number;
  readonly height: number;
}

/** The value at a place between pixels, whose centres lie at whole numbers; beyond the outermost, theirs. */
function valueAt(pixels: Uint8Array, { width, height }: Size, y: number, x: number, channel: number): number {
  const [row, column] = [Math.min(height - 1, Math.max(0, y)), Math.min(width - 1, Math.max(0, x))];
  const [top, left] = [Math.floor(row), Math.floor(column)];
  const [bottom, right] = [Math.min(height - 1, top + 1), Math.min(width - 1, left + 1)];
  const at = (r: number, c: number) => pixels[(r * width + c) * 3 + channel] as number;
  const [down, across] = [row - top, column - left];
  return (
    (at(top, left) * (1 - across) + at(top, right) * across) * (1 - down) +
    (at(bottom, left) * (1 - across) + at(bottom, right) * across) * down
  );
}

const sizes = (() => {
  const random = mulberry32(9);
  const side = (least: number, most: number) => least + Math.floor(random() * (most - least + 1));
  return Array.from({ length: 30 }, () => {
    const from = { width: side(1, 20), height: side(1, 20) };
    return { from, to: { width: side(from.width, 60), height: side(from.height, 60) } };
  });
})();

describe('enlargePixels', () => {
  test('gives every pixel the value at its centre, to a rounding', () => {
    for (const { from, to } of sizes) {
      const pixels = uniformNoise(from.width * 100 + to.height, from.width, from.height);
      const enlarged = enlargePixels(pixels, from, to);
      assert.equal(enlarged.length, to.width * to.height * 3);
      enlarged.forEach((value, at) => {
        const [y, x] = [Math.floor(at / 3 / to.width), Math.floor(at / 3) % to.width];
        const row = ((y + 0.5) * from.height) / to.height - 0.5;
        const column = ((x + 0.5) * from.width) / to.width - 0.5;
        const wanted = valueAt(pixels, from, row, column, at % 3);
        // Weights are in 256ths.
        assert.ok(Math.abs(value - wanted) <= 1.5, `${value}, not ${wanted}`);
      });
    }
  });

  test('of a mirrored picture is the mirrored enlargement', () => {
    for (const { from, to } of sizes) {
      const pixels = uniformNoise(from.height * 100 + to.width, from.width, from.height);
      const [one, other] = [
        enlargePixels(mirrorPixels(pixels, from), from, to),
        mirrorPixels(enlargePixels(pixels, from, to), to),
      ];
      one.forEach((value, at) => {
        assert.ok(Math.abs(value - (other[at] as number)) <= 1);
      });
    }
  });

  test('leaves a picture of the right size as it is', () => {
    const pixels = uniformNoise(2, 6, 4);
    assert.equal(enlargePixels(pixels, { width: 6, height: 4 }, { width: 6, height: 4 }), pixels);
  });
});

test('a small photo is decoded as it is enlarged, a side that shrinks apart', async () => {
  const from = { width: 12, height: 9 };
  const pixels = uniformNoise(5, from.width, from.height);
  const png = await sharp(pixels, { raw: { ...from, channels: 3 } })
    .png()
    .toBuffer();
  const larger = { width: 31, height: 20 };
  const decoded = await decodeImage(png, { ...larger, maxPixels: 1e6 });
  assert.deepEqual(decoded.pixels, enlargePixels(pixels, from, larger));
  const mixed = { width: 31, height: 4 };
  assert.deepEqual(smallerOf(from, mixed), { width: 12, height: 4 });
  const squashed = await decodeImage(png, { ...mixed, maxPixels: 1e6 });
  assert.deepEqual(squashed.pixels, await resizePixels(pixels, from, mixed));
});
