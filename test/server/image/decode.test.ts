import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import sharp, { type Sharp } from 'sharp';
import { BACKGROUND, decodeImage } from '../../../server/image/decode.ts';
import type { ImageFormat } from '../../../server/image/format.ts';
import { ImageError, type ImageErrorCode } from '../../../server/image/image-error.ts';
import type { Region, Size } from '../../../server/image/region.ts';
import { crop, difference, hollowPng, open, paint, type Raster, scene, tiff } from './pictures.ts';

const MEGAPIXEL = 1_000_000;

/** Decodes at a size, by default the picture's own, so that no resampling blurs the comparison. */
function decode(bytes: Buffer, { width, height }: Size, region?: Region) {
  return decodeImage(bytes, { width, height, maxPixels: 50 * MEGAPIXEL, ...(region && { region }) });
}

async function refusal(decoding: Promise<unknown>): Promise<ImageError> {
  try {
    await decoding;
  } catch (error) {
    assert.ok(error instanceof ImageError, String(error));
    return error;
  }
  throw new Error('it was decoded');
}

/** Decodes a picture of one colour and returns that colour, having checked that it is one. */
async function flatColour(bytes: Buffer): Promise<number[]> {
  const { pixels } = await decode(bytes, { width: 5, height: 4 });
  const colour = [...pixels.subarray(0, 3)];
  assert.ok(
    difference(
      pixels,
      Uint8Array.from({ length: 60 }, (_, at) => colour[at % 3]!),
    ) <= 1,
  );
  return colour;
}

function near(actual: readonly number[], expected: readonly number[], tolerance: number): void {
  const worst = Math.max(...actual.map((value, at) => Math.abs(value - expected[at]!)));
  assert.ok(worst <= tolerance, `${actual} is not within ${tolerance} of ${expected}`);
}

const picture = scene(64, 40);

describe('decodeImage: formats', () => {
  const encoders: [string, ImageFormat, number, (image: Sharp) => Sharp][] = [
    ['JPEG', 'jpeg', 8, (image) => image.jpeg({ quality: 95 })],
    ['progressive JPEG', 'jpeg', 8, (image) => image.jpeg({ quality: 95, progressive: true })],
    ['PNG', 'png', 0, (image) => image.png()],
    ['interlaced PNG', 'png', 0, (image) => image.png({ progressive: true })],
    ['lossy WebP', 'webp', 12, (image) => image.webp({ quality: 95 })],
    ['lossless WebP', 'webp', 0, (image) => image.webp({ lossless: true })],
    ['AVIF', 'avif', 12, (image) => image.avif({ quality: 90, effort: 0 })],
    ['GIF', 'gif', 24, (image) => image.gif({ dither: 0 })],
    ['TIFF', 'tiff', 0, (image) => image.tiff({ compression: 'none' })],
    ['LZW-compressed TIFF', 'tiff', 0, (image) => image.tiff({ compression: 'lzw' })],
    [
      'tiled BigTIFF',
      'tiff',
      0,
      (image) => image.tiff({ compression: 'deflate', bigtiff: true, tile: true }),
    ],
  ];
  for (const [name, format, tolerance, encode] of encoders) {
    it(`gives a ${name}'s pixels`, async () => {
      const decoded = await decode(await encode(open(picture)).toBuffer(), picture);
      assert.equal(decoded.format, format);
      assert.deepEqual(decoded.image, { width: 64, height: 40 });
      assert.deepEqual(decoded.region, { x_min: 0, y_min: 0, x_max: 64, y_max: 40 });
      assert.ok(difference(decoded.pixels, picture.pixels) <= tolerance);
    });
  }

  it('gives the pixels of a big-endian TIFF', async () => {
    const { pixels } = await decode(tiff(64, 40, picture.pixels, { bigEndian: true }), picture);
    assert.deepEqual(pixels, picture.pixels);
  });

  for (const format of ['gif', 'webp', 'tiff'] as const) {
    it(`takes the first of several frames or pages: ${format}`, async () => {
      const frames = paint(8, 12, (_, y) => (y < 6 ? [250, 10, 10] : [10, 10, 250]));
      const bytes = await sharp(frames.pixels, { raw: { width: 8, height: 12, channels: 3, pageHeight: 6 } })
        .toFormat(format)
        .toBuffer();
      assert.equal((await sharp(bytes).metadata()).pages, 2);
      assert.deepEqual((await decode(bytes, frames)).image, { width: 8, height: 6 });
      near(await flatColour(bytes), [250, 10, 10], 10);
    });
  }
});

describe('decodeImage: size', () => {
  it('squashes to the size asked for, whatever the proportions', async () => {
    const bytes = await open(scene(200, 50)).png().toBuffer();
    const { pixels, image } = await decode(bytes, { width: 30, height: 90 });
    assert.deepEqual(image, { width: 200, height: 50 });
    assert.ok(difference(pixels, scene(30, 90).pixels) <= 6);
  });

  it('shrinks a large JPEG, whose decoder does part of the work, like any other', async () => {
    const bytes = await open(scene(1600, 1200)).jpeg().toBuffer();
    const { pixels, image } = await decode(bytes, { width: 100, height: 75 });
    assert.deepEqual(image, { width: 1600, height: 1200 });
    assert.ok(difference(pixels, scene(100, 75).pixels) <= 6);
  });

  it('averages when it shrinks: a fine chequerboard becomes grey', async () => {
    const board = paint(256, 256, (x, y) => ((x + y) % 2 ? [255, 255, 255] : [0, 0, 0]));
    const { pixels } = await decode(await open(board).png().toBuffer(), { width: 50, height: 50 });
    assert.ok(difference(pixels, new Uint8Array(50 * 50 * 3).fill(128)) <= 20);
  });

  for (const [width, height] of [
    [1, 1],
    [1, 3000],
    [3000, 1],
    [2, 3],
  ] as const) {
    it(`stretches ${width} x ${height} pixels`, async () => {
      const bytes = await open(paint(width, height, () => [200, 100, 50]))
        .png()
        .toBuffer();
      near(await flatColour(bytes), [200, 100, 50], 0);
    });
  }

  it('takes a photo of exactly the most pixels, and refuses one of more by both numbers', async () => {
    const bytes = await sharp({ create: { width: 10000, height: 5000, channels: 3, background: '#c86432' } })
      .png({ compressionLevel: 1 })
      .toBuffer();
    near(await flatColour(bytes), [200, 100, 50], 0);
    const { code, message } = await refusal(
      decodeImage(bytes, { width: 5, height: 4, maxPixels: 50 * MEGAPIXEL - 1 }),
    );
    assert.equal(code, 'image_too_large');
    assert.match(message, /10000 x 5000 = 50000000 pixels; the limit is 49999999/);
  });

  for (const [width, height] of [
    [10200, 5000],
    [60000, 60000],
    [9_999_999, 9_999_999],
  ] as const) {
    it(`refuses ${width} x ${height} by the header alone: of the pixels there is nothing`, async () => {
      assert.equal((await refusal(decode(hollowPng(width, height), picture))).code, 'image_too_large');
    });
  }
});

describe('decodeImage: colour', () => {
  it('lays transparency over white', async () => {
    for (const alpha of [255, 128, 0]) {
      const onWhite = (value: number) => Math.round((value * alpha + 255 * (255 - alpha)) / 255);
      const background = { r: 200, g: 100, b: 50, alpha: alpha / 255 };
      const image = sharp({ create: { width: 9, height: 9, channels: 4, background } });
      const expected = [200, 100, 50].map(onWhite);
      near(await flatColour(await image.clone().png().toBuffer()), expected, 1);
      near(await flatColour(await image.clone().webp({ lossless: true }).toBuffer()), expected, 1);
      near(await flatColour(await image.clone().tiff({ compression: 'lzw' }).toBuffer()), expected, 1);

      const samples = Uint8Array.from({ length: 9 * 2 }, (_, at) => (at % 2 ? alpha : 90));
      const grey = await sharp(samples, { raw: { width: 3, height: 3, channels: 2 } })
        .toColourspace('b-w')
        .png()
        .toBuffer();
      assert.equal((await sharp(grey).metadata()).channels, 2);
      near(await flatColour(grey), [90, 90, 90].map(onWhite), 1);
    }
    assert.deepEqual(BACKGROUND, { r: 255, g: 255, b: 255 });
  });

  it('flattens the transparent pixels of a GIF', async () => {
    const image = sharp({
      create: { width: 9, height: 9, channels: 4, background: { r: 9, g: 9, b: 9, alpha: 0 } },
    });
    assert.deepEqual(await flatColour(await image.gif().toBuffer()), [255, 255, 255]);
  });

  for (const format of ['jpeg', 'png', 'webp', 'avif', 'tiff'] as const) {
    it(`makes three channels of grey: ${format}`, async () => {
      const grey = await open(paint(9, 9, () => [77, 77, 77]))
        .toColourspace('b-w')
        .toFormat(format)
        .toBuffer();
      near(await flatColour(grey), [77, 77, 77], 3);
    });
  }

  const sixteen = [0, 0x00ff, 0x1234, 0x8000, 0xff00, 0xffff];
  for (const format of ['png', 'tiff'] as const) {
    it(`scales 16 bits to 8: ${format}, in colour and grey`, async () => {
      const lossless = format === 'tiff' ? { compression: 'lzw' } : {};
      for (const value of sixteen) {
        const samples = new Uint16Array(3 * 3 * 3).fill(value);
        const image = sharp(samples, { raw: { width: 3, height: 3, channels: 3 } });
        const colour = await image.clone().toColourspace('rgb16').toFormat(format, lossless).toBuffer();
        const grey = await image.clone().toColourspace('grey16').toFormat(format, lossless).toBuffer();
        assert.equal((await sharp(colour).metadata()).depth, 'ushort');
        assert.equal((await sharp(grey).metadata()).channels, 1);
        const expected = Math.round(value / 257);
        near(await flatColour(colour), [expected, expected, expected], 1);
        near(await flatColour(grey), [expected, expected, expected], 1);
      }
    });
  }

  it('scales 16 bits with transparency', async () => {
    const samples = new Uint16Array(3 * 3 * 4).fill(0x8000);
    const bytes = await sharp(samples, { raw: { width: 3, height: 3, channels: 4 } })
      .toColourspace('rgb16')
      .png()
      .toBuffer();
    near(await flatColour(bytes), [192, 192, 192], 2);
  });

  it('reads pictures of 1, 2 and 4 bits with a palette', async () => {
    for (const bits of [1, 2, 4] as const) {
      const bytes = await open(paint(9, 9, () => [255, 0, 0]))
        .png({ palette: true, colours: 2 ** bits })
        .toBuffer();
      assert.equal((await sharp(bytes).metadata()).isPalette, true);
      near(await flatColour(bytes), [255, 0, 0], 2);
    }
  });

  for (const format of ['jpeg', 'png', 'webp', 'tiff', 'avif'] as const) {
    it(`converts a colour profile to sRGB: Display P3 in ${format}`, async () => {
      const colour = [200, 60, 40];
      const tagged = await open(paint(16, 16, () => colour))
        .withIccProfile('p3')
        .toFormat(format, { quality: 100 })
        .toBuffer();
      // The same stored numbers without the profile that says what they mean.
      const { data, info } = await sharp(tagged, { ignoreIcc: true })
        .raw()
        .toBuffer({ resolveWithObject: true });
      const untagged = await sharp(data, { raw: { width: 16, height: 16, channels: info.channels } })
        .png()
        .toBuffer();
      near(await flatColour(tagged), colour, 4);
      assert.ok((await flatColour(untagged))[0]! < 195, 'P3 has smaller numbers for the same red');
    });
  }

  it('converts a colour profile at 16 bits', async () => {
    const samples = new Uint16Array(16 * 16 * 3).map((_, at) => [200, 60, 40][at % 3]! * 257);
    const tagged = await sharp(samples, { raw: { width: 16, height: 16, channels: 3 } })
      .toColourspace('rgb16')
      .withIccProfile('p3')
      .png()
      .toBuffer();
    const { depth, hasProfile } = await sharp(tagged).metadata();
    assert.deepEqual({ depth, hasProfile }, { depth: 'ushort', hasProfile: true });
    near(await flatColour(tagged), [200, 60, 40], 4);
  });

  it('decodes a photo whose profile is rubbish by its plain numbers', async () => {
    const jpeg = await open(paint(16, 16, () => [200, 60, 40]))
      .jpeg({ quality: 100 })
      .toBuffer();
    const profile = Buffer.concat([Buffer.from('ICC_PROFILE\0\x01\x01', 'latin1'), Buffer.alloc(400, 0xee)]);
    const head = Buffer.from([0xff, 0xe2, 0, 0]);
    head.writeUInt16BE(profile.length + 2, 2);
    near(
      await flatColour(Buffer.concat([jpeg.subarray(0, 2), head, profile, jpeg.subarray(2)])),
      [200, 60, 40],
      4,
    );
  });

  for (const profile of [true, false]) {
    it(`converts CMYK ${profile ? 'with' : 'without'} a profile`, async () => {
      // Muted colours, which print can show: what is lost is how it renders dark and strong ones. Inverted
      // inks would be far off.
      for (const colour of [
        [255, 255, 255],
        [180, 90, 80],
        [90, 130, 90],
        [80, 90, 140],
        [60, 60, 60],
      ]) {
        const image = open(paint(16, 16, () => colour))
          .toColourspace('cmyk')
          .jpeg({ quality: 100 });
        const bytes = await (profile ? image.withIccProfile('cmyk') : image).toBuffer();
        const { space, channels, hasProfile } = await sharp(bytes).metadata();
        assert.deepEqual(
          { space, channels, hasProfile },
          { space: 'cmyk', channels: 4, hasProfile: profile },
        );
        near(await flatColour(bytes), colour, 26);
      }
    });
  }

  it('knows what CMYK means: no ink is white, cyan ink takes red away, all ink is black', async () => {
    const inked = (...ink: number[]) => {
      const pixels = Uint8Array.from({ length: 9 * 4 }, (_, at) => ink[at % 4]!);
      return flatColour(tiff(3, 3, pixels, { samples: 4, photometric: 5 }));
    };
    near(await inked(0, 0, 0, 0), [255, 255, 255], 2);
    const [red, green, blue] = await inked(255, 0, 0, 0);
    assert.ok(red! < 60 && green! > 120 && blue! > 180, `${[red, green, blue]}`);
    assert.ok(Math.max(...(await inked(255, 255, 255, 255))) < 40);
  });
});

/**
 * The stored pixels of an upright picture. Exif says of each orientation which side of the scene the stored
 * top row and left column are.
 */
const SIDES = [
  ['top', 'left'],
  ['top', 'right'],
  ['bottom', 'right'],
  ['bottom', 'left'],
  ['left', 'top'],
  ['right', 'top'],
  ['right', 'bottom'],
  ['left', 'bottom'],
] as const;

function store(upright: Raster, orientation: number): Raster {
  const { width, height, pixels } = upright;
  const [top, left] = SIDES[orientation - 1]!;
  const from = (side: string, distance: number) =>
    ({ top: distance, bottom: height - 1 - distance, left: distance, right: width - 1 - distance })[side]!;
  const sideways = top === 'left' || top === 'right';
  return paint(sideways ? height : width, sideways ? width : height, (column, row) => {
    const [x, y] = sideways ? [from(top, row), from(left, column)] : [from(left, column), from(top, row)];
    return [...pixels.subarray((y * width + x) * 3, (y * width + x) * 3 + 3)];
  });
}

describe('decodeImage: orientation', () => {
  const upright = scene(60, 36);
  for (let orientation = 1; orientation <= 8; orientation++) {
    const stored = store(upright, orientation);
    const encode = (format: 'jpeg' | 'png' | 'webp') =>
      open(stored)
        .withMetadata({ orientation })
        .toFormat(format, format === 'png' ? {} : { quality: 96 })
        .toBuffer();

    it(`turns orientation ${orientation} upright, in JPEG, WebP, PNG and TIFF`, async () => {
      for (const [format, tolerance] of [
        ['jpeg', 8],
        ['webp', 14],
        ['png', 0],
      ] as const) {
        const { pixels, image } = await decode(await encode(format), upright);
        assert.deepEqual(image, { width: 60, height: 36 });
        assert.ok(difference(pixels, upright.pixels) <= tolerance, format);
      }
      const { width, height } = stored;
      const bytes = tiff(width, height, stored.pixels, { entries: [[274, orientation]] });
      const decoded = await decode(bytes, upright);
      assert.deepEqual(decoded.image, { width: 60, height: 36 });
      assert.deepEqual(decoded.pixels, upright.pixels);
    });

    it(`squashes orientation ${orientation} after turning it: width stays width`, async () => {
      const { pixels } = await decode(await encode('jpeg'), { width: 20, height: 48 });
      assert.ok(difference(pixels, scene(20, 48).pixels) <= 12);
    });

    it(`cuts a region of orientation ${orientation} in upright pixels`, async () => {
      const region = { x_min: 7, y_min: 3, x_max: 27, y_max: 14 };
      const expected = crop(upright, 7, 3, 20, 11);
      const cut = await decode(await encode('png'), expected, region);
      assert.deepEqual(cut.pixels, expected.pixels);
      assert.deepEqual(cut.region, region);
      assert.deepEqual(cut.image, { width: 60, height: 36 });

      // Shrunk too: the same as shrinking the crop.
      const size = { width: 13, height: 7 };
      const whole = await decode(await open(expected).png().toBuffer(), size);
      assert.ok(difference((await decode(await encode('png'), size, region)).pixels, whole.pixels) <= 1);
    });

    it(`turns an AVIF of orientation ${orientation} once, not twice`, async () => {
      const bytes = await open(stored)
        .withMetadata({ orientation })
        .avif({ quality: 95, effort: 0 })
        .toBuffer();
      const { pixels, image } = await decode(bytes, upright);
      assert.deepEqual(image, { width: 60, height: 36 });
      assert.ok(difference(pixels, upright.pixels) <= 12);
    });
  }
});

describe('decodeImage: region', () => {
  const bytesOf = () => open(picture).png().toBuffer();

  it('clips a region that sticks out, and says what was looked at', async () => {
    const region = { x_min: 50.5, y_min: -10, x_max: 999, y_max: 20.2 };
    const expected = crop(picture, 50, 0, 14, 21);
    const cut = await decode(await bytesOf(), expected, region);
    assert.deepEqual(cut.region, { x_min: 50, y_min: 0, x_max: 64, y_max: 21 });
    assert.deepEqual(cut.pixels, expected.pixels);
  });

  it('gives the whole image for a region larger than it', async () => {
    const region = { x_min: -1, y_min: -1, x_max: 65, y_max: 41 };
    assert.deepEqual((await decode(await bytesOf(), picture, region)).pixels, picture.pixels);
  });

  it('cuts single pixels in every corner', async () => {
    for (const [x, y] of [
      [0, 0],
      [63, 0],
      [0, 39],
      [63, 39],
    ] as const) {
      const region = { x_min: x, y_min: y, x_max: x + 1, y_max: y + 1 };
      const { pixels } = await decode(await bytesOf(), { width: 1, height: 1 }, region);
      assert.deepEqual(pixels, crop(picture, x, y, 1, 1).pixels);
    }
  });

  it('refuses a region outside, by the upright size', async () => {
    const sideways = await open(picture).withMetadata({ orientation: 6 }).png().toBuffer();
    const outside = { x_min: 45, y_min: 0, x_max: 60, y_max: 30 };
    const { code, message } = await refusal(decode(sideways, picture, outside));
    assert.equal(code, 'region_outside_image');
    assert.match(message, /45,0,60,30/);
    assert.match(message, /40 wide and 64 high/);
  });
});

describe('decodeImage: result', () => {
  it('owns its pixels, so that they can be handed to another thread', async () => {
    const { pixels } = await decode(await open(picture).png().toBuffer(), picture);
    assert.equal(pixels.constructor, Uint8Array);
    assert.equal(pixels.buffer.byteLength, pixels.length);
    assert.equal(structuredClone(pixels, { transfer: [pixels.buffer as ArrayBuffer] }).length, 64 * 40 * 3);
  });

  const refused: [string, Buffer, ImageErrorCode][] = [
    ['nothing', Buffer.alloc(0), 'no_image'],
    ['text', Buffer.from('hello'), 'unsupported_image'],
    [
      'a drawing called photo.jpg',
      Buffer.from('<svg xmlns="http://www.w3.org/2000/svg"/>'),
      'unsupported_image',
    ],
    ['a bare signature', Buffer.from([0xff, 0xd8, 0xff, 0xe0]), 'undecodable_image'],
  ];
  for (const [name, bytes, code] of refused) {
    it(`refuses ${name}: ${code}`, async () =>
      assert.equal((await refusal(decode(bytes, picture))).code, code));
  }
});
