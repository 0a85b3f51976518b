// Every kind of file that a camera, a phone or a program makes of one scene.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import sharp, { type Metadata, type Sharp } from 'sharp';
import { assertAlike } from '../boxes.ts';
import type { TestServer } from '../harness.ts';
import { post, problem, result, sample, startReady } from '../harness.ts';
import { hollowPng } from '../image/pictures.ts';

let server: TestServer;
let street: Buffer;
/** The scene's pixels, [height, width, 3]. */
let scene: { data: Buffer; width: number; height: number };

before(async () => {
  server = await startReady({ workers: 2, maxImagePixels: 40_000_000 });
  street = await sample('street');
  const { data, info } = await sharp(street).raw().toBuffer({ resolveWithObject: true });
  scene = { data, width: info.width, height: info.height };
});

after(() => server.stop());

/** Where a pixel of the upright image lies in the file: [column, row]. */
type Place = (x: number, y: number, width: number, height: number) => [number, number];

/**
 * CIPA DC-008 (Exif), tag Orientation: what the file's 0th row and 0th column are to a person. So in 6, whose 0th row
 * is the right-hand side and 0th column the top, a pixel's row counts from the right and its column from the top.
 */
const ORIENTATIONS: Readonly<Record<number, Place>> = {
  1: (x, y) => [x, y],
  2: (x, y, width) => [width - 1 - x, y],
  3: (x, y, width, height) => [width - 1 - x, height - 1 - y],
  4: (x, y, _width, height) => [x, height - 1 - y],
  5: (x, y) => [y, x],
  6: (x, y, width) => [y, width - 1 - x],
  7: (x, y, width, height) => [height - 1 - y, width - 1 - x],
  8: (x, y, _width, height) => [height - 1 - y, x],
};

/** The scene as a camera held otherwise stores it, with the tag that says so. */
function stored(orientation: number): Sharp {
  const { data, width, height } = scene;
  const place = ORIENTATIONS[orientation] as Place;
  const [columns, rows] = orientation >= 5 ? [height, width] : [width, height];
  const pixels = Buffer.alloc(data.length);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const [column, row] = place(x, y, width, height);
      data.copy(pixels, (row * columns + column) * 3, (y * width + x) * 3, (y * width + x) * 3 + 3);
    }
  }
  return sharp(pixels, { raw: { width: columns, height: rows, channels: 3 } }).withMetadata({ orientation });
}

describe('EXIF orientation', () => {
  for (const orientation of Object.keys(ORIENTATIONS).map(Number)) {
    test(`${orientation} gives the boxes of the upright photo`, async () => {
      const upright = result(await post(server, street));
      const jpeg = await stored(orientation).jpeg({ quality: 95, chromaSubsampling: '4:4:4' }).toBuffer();
      const png = await stored(orientation).png().toBuffer();
      for (const file of [jpeg, png]) {
        assert.equal((await sharp(file).metadata()).orientation, orientation);
        const { image, detections } = result(await post(server, file));
        assert.deepEqual(image, { width: 640, height: 480 });
        assertAlike(detections, upright.detections, { pixels: 2, score: 0.05 });
      }
    });
  }

  test('left out is upright, and makes a difference where it is ignored', async () => {
    const upright = result(await post(server, street));
    const lying = await sharp(await stored(6).png().toBuffer())
      .png()
      .toBuffer();
    const { image, detections } = result(await post(server, lying));
    assert.deepEqual(image, { width: 480, height: 640 });
    assert.throws(() => assertAlike(detections, upright.detections, { pixels: 2, score: 0.05 }));
  });
});

describe('a scene', () => {
  const encodings: Record<string, (image: Sharp) => Sharp> = {
    JPEG: (image) => image.jpeg(),
    'progressive JPEG': (image) => image.jpeg({ progressive: true }),
    PNG: (image) => image.png(),
    'interlaced PNG': (image) => image.png({ progressive: true }),
    'PNG with a palette': (image) => image.png({ palette: true }),
    WebP: (image) => image.webp(),
    'lossless WebP': (image) => image.webp({ lossless: true }),
    AVIF: (image) => image.avif({ effort: 0 }),
    GIF: (image) => image.gif(),
    TIFF: (image) => image.tiff({ compression: 'lzw' }),
    'JPEG inside TIFF': (image) => image.tiff({ compression: 'jpeg' }),
  };
  for (const [name, encode] of Object.entries(encodings)) {
    test(`as ${name} has the same stop sign`, async () => {
      const upright = result(await post(server, street));
      const { image, detections } = result(await post(server, await encode(sharp(street)).toBuffer()));
      assert.deepEqual(image, { width: 640, height: 480 });
      // A palette of 256 colours costs some confidence and moves boxes; the object stays.
      assertAlike(detections.slice(0, 1), upright.detections.slice(0, 1), { pixels: 8, score: 0.1 });
    });
  }
});

describe('colours', () => {
  const grey = () => sharp(street).greyscale().toColourspace('b-w');
  const clear = () => sharp(street).ensureAlpha(0.5);
  const files: Record<string, { make: () => Promise<Buffer>; has: Partial<Metadata> }> = {
    'grey JPEG': { make: () => grey().jpeg().toBuffer(), has: { channels: 1 } },
    'grey PNG': { make: () => grey().png().toBuffer(), has: { channels: 1 } },
    'half-transparent PNG': { make: () => clear().png().toBuffer(), has: { channels: 4 } },
    'half-transparent WebP': { make: () => clear().webp().toBuffer(), has: { hasAlpha: true } },
    'CMYK JPEG': {
      make: () => sharp(street).toColourspace('cmyk').jpeg().toBuffer(),
      has: { space: 'cmyk', channels: 4 },
    },
    'CMYK TIFF': {
      make: () => sharp(street).toColourspace('cmyk').tiff({ compression: 'lzw' }).toBuffer(),
      has: { space: 'cmyk' },
    },
    'PNG of 16 bits': {
      make: () => sharp(street).toColourspace('rgb16').png().toBuffer(),
      has: { depth: 'ushort', channels: 3 },
    },
    'grey TIFF of 16 bits': {
      make: () => grey().toColourspace('grey16').tiff({ compression: 'lzw' }).toBuffer(),
      has: { depth: 'ushort', channels: 1 },
    },
  };
  for (const [name, { make, has }] of Object.entries(files)) {
    test(`${name} still shows a stop sign`, async () => {
      const file = await make();
      const metadata = await sharp(file).metadata();
      for (const [key, value] of Object.entries(has)) {
        assert.equal(metadata[key as keyof Metadata], value, key);
      }
      const { image, detections } = result(await post(server, file));
      assert.deepEqual(image, { width: 640, height: 480 });
      assert.equal(detections[0]?.label, 'stop sign', JSON.stringify(detections));
    });
  }
});

describe('sizes', () => {
  for (const [width, height] of [
    [1, 1],
    [1, 900],
    [900, 1],
    [3, 2],
    [300, 300],
    [4000, 3000],
  ] as const) {
    test(`${width} x ${height} is answered, and no box lies outside`, async () => {
      for (const format of ['png', 'jpeg', 'webp'] as const) {
        const file = await sharp(street).resize(width, height, { fit: 'fill' }).toFormat(format).toBuffer();
        const { image, detections } = result(await post(server, file, { score_threshold: 0.05 }));
        assert.deepEqual(image, { width, height });
        for (const { box } of detections) {
          assert.ok(box.x_min <= box.x_max && box.y_min <= box.y_max, JSON.stringify(box));
          assert.ok(box.x_max <= width && box.y_max <= height, JSON.stringify(box));
        }
      }
    });
  }

  test('the most pixels that a server takes are taken, and one row more is not', async () => {
    const blank = (height: number) =>
      sharp({ create: { width: 8000, height, channels: 3, background: '#808080' } })
        .png({ compressionLevel: 1 })
        .toBuffer();
    assert.deepEqual(result(await post(server, await blank(5000))).image, { width: 8000, height: 5000 });
    const { detail } = problem(await post(server, await blank(5001)), 413, 'image_too_large');
    assert.match(detail, /8000 x 5001 = 40008000 pixels.*40000000/);
  });

  test('pixels that are only declared are refused for their number', async () => {
    const { detail } = problem(await post(server, hollowPng(60_000, 60_000)), 413, 'image_too_large');
    assert.match(detail, /60000 x 60000.*40000000/);
  });
});
