// Every kind of file that a camera, a phone or a program makes of one scene.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import sharp, { type Metadata, type Sharp } from 'sharp';
import { assertAlike } from '../boxes.ts';
import type { TestServer } from '../harness.ts';
import { post, problem, result, sample, startReady } from '../harness.ts';
import { ORIENTATIONS, rasterOf, stored } from '../image/orientations.ts';
import type { Raster } from '../image/pictures.ts';
import { hollowPng } from '../image/pictures.ts';

let server: TestServer;
let street: Buffer;
let scene: Raster;

before(async () => {
  server = await startReady({ workers: 2, maxImagePixels: 40_000_000 });
  street = await sample('street');
  scene = await rasterOf(street);
});

after(() => server.stop());

describe('EXIF orientation', () => {
  for (const orientation of ORIENTATIONS) {
    test(`${orientation} gives the boxes of the upright photo`, async () => {
      const upright = result(await post(server, street));
      const jpeg = await stored(scene, orientation)
        .jpeg({ quality: 95, chromaSubsampling: '4:4:4' })
        .toBuffer();
      const png = await stored(scene, orientation).png().toBuffer();
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
    const lying = await sharp(await stored(scene, 6).png().toBuffer())
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
