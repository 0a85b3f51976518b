import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import sharp from 'sharp';
import { decodeImage } from '../../../server/image/decode.ts';
import { ImageError } from '../../../server/image/image-error.ts';
import {
  crop,
  jpegSegment,
  open,
  paint,
  pngChunk,
  randomBytes,
  texture,
  tiff,
  ultraHdrJpeg,
  webcamJpeg,
} from './pictures.ts';

const WIDTH = 160;
const HEIGHT = 120;
const picture = texture(WIDTH, HEIGHT);
const image = open(picture);
const encoded: [string, Buffer][] = [
  ['JPEG', await image.clone().jpeg().toBuffer()],
  ['progressive JPEG', await image.clone().jpeg({ progressive: true }).toBuffer()],
  ['PNG', await image.clone().png().toBuffer()],
  ['interlaced PNG', await image.clone().png({ progressive: true }).toBuffer()],
  ['palette PNG', await image.clone().png({ palette: true }).toBuffer()],
  ['lossy WebP', await image.clone().webp().toBuffer()],
  ['lossless WebP', await image.clone().webp({ lossless: true }).toBuffer()],
  ['AVIF', await image.clone().avif({ effort: 0 }).toBuffer()],
  ['GIF', await image.clone().gif().toBuffer()],
  ['interlaced GIF', await image.clone().gif({ progressive: true }).toBuffer()],
  ['TIFF', await image.clone().tiff({ compression: 'none' }).toBuffer()],
  ['TIFF with its directory first', tiff(WIDTH, HEIGHT, picture.pixels)],
  ['big-endian TIFF', tiff(WIDTH, HEIGHT, picture.pixels, { bigEndian: true })],
  ['LZW TIFF', await image.clone().tiff({ compression: 'lzw' }).toBuffer()],
  ['deflate TIFF', await image.clone().tiff({ compression: 'deflate' }).toBuffer()],
  ['JPEG in TIFF', await image.clone().tiff({ compression: 'jpeg' }).toBuffer()],
  ['tiled BigTIFF', await image.clone().tiff({ compression: 'lzw', tile: true, bigtiff: true }).toBuffer()],
];
const named = new Map(encoded);

function decode(bytes: Buffer, width = WIDTH, height = HEIGHT) {
  return decodeImage(bytes, { width, height, maxPixels: 1_000_000 });
}

async function refusal(bytes: Buffer, width?: number, height?: number): Promise<ImageError> {
  try {
    await decode(bytes, width, height);
  } catch (error) {
    assert.ok(error instanceof ImageError, String(error));
    return error;
  }
  throw new Error('it was decoded');
}

function insert(bytes: Buffer, at: number, extra: Uint8Array): Buffer {
  return Buffer.concat([bytes.subarray(0, at), extra, bytes.subarray(at)]);
}

describe('decodeImage: what is cut short', () => {
  for (const [name, whole] of encoded) {
    it(`refuses ${name} cut at 30 %, 60 % and 90 %, and decodes the whole`, async () => {
      assert.equal((await decode(whole)).pixels.length, WIDTH * HEIGHT * 3);
      for (const part of [0.3, 0.6, 0.9]) {
        const { code, message } = await refusal(whole.subarray(0, Math.floor(whole.length * part)));
        assert.equal(code, 'undecodable_image', `at ${part}`);
        assert.match(
          message,
          /^The (JPEG|PNG|WebP|AVIF|GIF|TIFF) image cannot be decoded: it is broken or incomplete/,
        );
        assert.doesNotMatch(message, /bad seek|unsupported|Input buffer|\n/);
      }
    });
  }

  it('refuses cut files however they are resized', async () => {
    for (const name of ['JPEG', 'progressive JPEG', 'PNG', 'GIF', 'TIFF with its directory first']) {
      const bytes = named.get(name)!;
      for (const [width, height] of [
        [10, 7],
        [WIDTH, 20],
        [400, 300],
      ] as const) {
        const cut = bytes.subarray(0, Math.floor(bytes.length * 0.9));
        assert.equal(
          (await refusal(cut, width, height)).code,
          'undecodable_image',
          `${name} ${width}x${height}`,
        );
      }
    }
  });

  it('refuses a cut JPEG that is turned', async () => {
    const bytes = await image.clone().withMetadata({ orientation: 6 }).jpeg().toBuffer();
    assert.equal((await refusal(bytes.subarray(0, bytes.length >> 1))).code, 'undecodable_image');
  });

  it('does not miss what holds no pixels: the last chunk of a PNG, the last byte of a GIF', async () => {
    for (const [name, missing] of [
      ['PNG', 12],
      ['GIF', 1],
    ] as const) {
      const bytes = named.get(name)!;
      const { pixels } = await decode(bytes.subarray(0, bytes.length - missing));
      assert.deepEqual(pixels, (await decode(bytes)).pixels);
    }
  });

  it('decodes a region above the cut rightly, and refuses one that reaches into it', async () => {
    const bytes = named.get('PNG')!;
    const cut = bytes.subarray(0, Math.floor(bytes.length * 0.6));
    const top = { x_min: 0, y_min: 0, x_max: WIDTH, y_max: 16 };
    const { pixels } = await decodeImage(cut, { width: WIDTH, height: 16, region: top, maxPixels: 1e6 });
    assert.deepEqual(pixels, crop(picture, 0, 0, WIDTH, 16).pixels);
    const bottom = { ...top, y_min: HEIGHT - 16, y_max: HEIGHT };
    await assert.rejects(
      decodeImage(cut, { width: WIDTH, height: 16, region: bottom, maxPixels: 1e6 }),
      ImageError,
    );
  });
});

describe('decodeImage: what is damaged', () => {
  const jpeg = named.get('JPEG')!;
  const png = named.get('PNG')!;
  const middle = jpeg.length >> 1;
  const idat = png.indexOf('IDAT');
  const flip = (bytes: Buffer, at: number) => {
    const copy = Buffer.from(bytes);
    copy[at] = copy[at]! ^ 1;
    return copy;
  };
  const damaged: [string, Buffer][] = [
    ['a JPEG with a stretch of zeros', Buffer.from(jpeg).fill(0, middle, middle + 200)],
    ['a JPEG with a stretch missing', Buffer.concat([jpeg.subarray(0, middle), jpeg.subarray(middle + 300)])],
    ['a JPEG with an end marker in its middle', insert(jpeg, middle, Buffer.from([0xff, 0xd9]))],
    ['a PNG with a changed bit of data', flip(png, png.length >> 1)],
    ['a PNG with a wrong checksum of data', flip(png, idat + 4 + png.readUInt32BE(idat - 4))],
    ['a PNG with an unknown critical chunk', insert(png, 33, pngChunk('ABCD', Buffer.from('x')))],
    ['an LZW TIFF with zeros', Buffer.from(named.get('LZW TIFF')!).fill(0, 9000, 9200)],
  ];
  for (const [name, bytes] of damaged) {
    it(`refuses ${name}`, async () => assert.equal((await refusal(bytes)).code, 'undecodable_image'));
  }

  it('judges each of many at once by its own faults', async () => {
    const odd = insert(jpeg, 20, Buffer.alloc(9));
    const all = Array.from({ length: 24 }, (_, at) => [png, odd, damaged[0]![1], damaged[3]![1]][at % 4]!);
    const outcomes = await Promise.all(all.map((bytes) => decode(bytes).then(() => '', String)));
    for (const [at, outcome] of outcomes.entries()) {
      const want = ['', '', /JPEG data: premature end/, /libpng read error/][at % 4]!;
      if (want instanceof RegExp) assert.match(outcome, want);
      else assert.equal(outcome, want);
    }
  });

  it('says what the decoder says, once, without paths', async () => {
    const { message } = await refusal(damaged[0]![1]);
    assert.match(
      message,
      /^The JPEG image [^\n/]*\(VipsJpeg: Corrupt JPEG data: premature end of data segment\)\.$/,
    );
  });
});

describe('decodeImage: what is odd but whole', () => {
  const jpeg = named.get('JPEG')!;
  const png = named.get('PNG')!;
  const scan = jpeg.indexOf(Buffer.from([0xff, 0xda]));
  const samsung = Buffer.from(jpeg);
  // Se, the last coefficient of a scan, is 63 in every sequential JPEG but theirs.
  samsung[scan + 2 + samsung.readUInt16BE(scan + 2) - 2] = 0;
  const adobe = Buffer.concat([Buffer.from('Adobe'), Buffer.from([0, 100, 0, 0, 0, 0, 7])]);
  const icc = Buffer.concat([Buffer.from('ICC_PROFILE\0\x02\x01', 'latin1'), Buffer.alloc(100)]);
  const end = jpeg.length - 2;
  const odd: [string, Buffer, Buffer][] = [
    ['a JPEG with zeros behind it', Buffer.concat([jpeg, Buffer.alloc(5000)]), jpeg],
    ['a JPEG with another behind it (MPO, motion photo)', Buffer.concat([jpeg, jpeg]), jpeg],
    ['a JPEG with markup behind it', Buffer.concat([jpeg, Buffer.from('<svg/><script>')]), jpeg],
    ['a JPEG with stray bytes before its end marker', insert(jpeg, end, Buffer.alloc(58, 0x55)), jpeg],
    ['a JPEG with stray bytes between segments', insert(jpeg, scan, Buffer.alloc(18, 1)), jpeg],
    ['a JPEG with the scan parameters of Samsung phones', samsung, jpeg],
    ['a JPEG with an unknown Adobe transform', insert(jpeg, 2, jpegSegment(0xee, adobe)), jpeg],
    ['a JPEG with half a profile', insert(jpeg, 2, jpegSegment(0xe2, icc)), jpeg],
    [
      'a JPEG with broken Exif',
      insert(jpeg, 2, jpegSegment(0xe1, Buffer.from('Exif\0\0II*\0\xff\xff\xff\xff', 'latin1'))),
      jpeg,
    ],
    ['a PNG with a broken profile', insert(png, 33, pngChunk('iCCP', Buffer.from('x\0\0rubbish'))), png],
    ['a PNG with a damaged comment', insert(png, 33, pngChunk('tEXt', Buffer.from('a\0b'), true)), png],
    ['a PNG with bytes behind it', Buffer.concat([png, Buffer.alloc(99)]), png],
    [
      'a TIFF with a comment outside the file',
      tiff(WIDTH, HEIGHT, picture.pixels, {
        entries: [
          [305, 99_999_999],
          [65_000, 1],
        ],
      }),
      named.get('TIFF')!,
    ],
    ...['lossy WebP', 'AVIF', 'GIF', 'LZW TIFF'].map((name): [string, Buffer, Buffer] => {
      const bytes = named.get(name)!;
      return [`${name} with bytes behind it`, Buffer.concat([bytes, Buffer.alloc(99)]), bytes];
    }),
  ];
  for (const [name, bytes, plain] of odd) {
    it(`decodes ${name}, to the same pixels`, async () => {
      assert.deepEqual((await decode(bytes)).pixels, (await decode(plain)).pixels);
    });
  }

  it('decodes an Ultra HDR photo as the plain JPEG that it also is', async () => {
    const photo = ultraHdrJpeg(
      jpeg,
      await image.clone().resize(40, 30).toColourspace('b-w').jpeg().toBuffer(),
    );
    const operation = ['VipsForeignLoadUhdrBuffer'];
    sharp.unblock({ operation });
    try {
      assert.ok((await sharp(photo).metadata()).gainMap, 'the loader that is blocked would take it');
    } finally {
      sharp.block({ operation });
    }
    assert.deepEqual((await decode(photo)).pixels, (await decode(jpeg)).pixels);
  });

  it('decodes the JPEGs of webcams, which leave stray bytes before restart markers', async () => {
    const expected = paint(16, 8, (x) => Array(3).fill(x < 8 ? 192 : 64));
    for (const stray of ['', '\x01\x02\x03\x04']) {
      const { pixels } = await decode(webcamJpeg(Buffer.from(stray, 'latin1')), 16, 8);
      assert.deepEqual(pixels, expected.pixels);
    }
  });
});

describe('decodeImage: hostile bytes', () => {
  it('answers flipped bits with a picture of the right size or an ImageError, and survives', async () => {
    const random = randomBytes(2024);
    const outcomes = { decoded: 0, refused: 0 };
    for (let round = 0; round < 200; round++) {
      const [name, whole] = encoded[round % encoded.length]!;
      const bytes = Buffer.from(whole);
      for (let flips = 1 + (random() % 8); flips > 0; flips--) {
        // Half of the flips hit the header, where a decoder has most to get wrong.
        const at =
          (random() * 65536 + random() * 256 + random()) %
          (flips % 2 ? Math.min(400, bytes.length) : bytes.length);
        bytes[at] = bytes[at]! ^ (1 << (random() % 8));
      }
      try {
        const { pixels } = await decode(bytes, 40, 30);
        assert.equal(pixels.length, 40 * 30 * 3);
        outcomes.decoded++;
      } catch (error) {
        assert.ok(error instanceof ImageError, `${name}, round ${round}: ${error}`);
        outcomes.refused++;
      }
    }
    assert.ok(outcomes.decoded > 20 && outcomes.refused > 20, JSON.stringify(outcomes));
  });

  it('still decodes properly afterwards', async () => {
    assert.deepEqual((await decode(named.get('PNG')!)).pixels, picture.pixels);
  });

  const svg =
    '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><rect width="9" height="9"/></svg>';
  const others: [string, Buffer][] = [
    ['SVG', Buffer.from(svg)],
    ['PDF', Buffer.from('%PDF-1.4\n1 0 obj<</Type/Catalog>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF')],
    ['PPM', Buffer.from('P6 1 1 255\nabc')],
    ['Radiance', Buffer.from('#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n\n-Y 1 +X 1\nabcd')],
    [
      'MVG, which ImageMagick would run',
      Buffer.from('push graphic-context\nviewbox 0 0 9 9\npop graphic-context'),
    ],
  ];
  for (const [name, bytes] of others) {
    it(`has no loader for ${name} left in this process, even for sharp called directly`, async () => {
      await assert.rejects(sharp(bytes).toBuffer(), /unsupported image format/);
    });
  }

  it('has the SVG loader blocked rather than missing', async () => {
    const operation = ['VipsForeignLoadSvgBuffer'];
    sharp.unblock({ operation });
    try {
      assert.equal((await sharp(Buffer.from(svg)).metadata()).format, 'svg');
    } finally {
      sharp.block({ operation });
    }
    await assert.rejects(sharp(Buffer.from(svg)).metadata());
  });

  it('reads no files, not even of accepted formats', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'thinlens-'));
    try {
      const file = join(folder, 'photo.png');
      writeFileSync(file, named.get('PNG')!);
      await assert.rejects(sharp(file).metadata(), /unsupported image format/);
      const dump = join(folder, 'photo.v');
      await image.clone().toFile(dump);
      await assert.rejects(sharp(dump).metadata(), /unsupported image format/);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it('does not take one format for another because of a borrowed signature', async () => {
    for (const signature of [
      '\xff\xd8\xff\xe0',
      '\x89PNG\r\n\x1a\n',
      'GIF89a',
      'II*\0',
      'RIFF\0\0\0\0WEBP',
    ]) {
      const bytes = Buffer.concat([Buffer.from(signature, 'latin1'), Buffer.from(svg)]);
      assert.equal((await refusal(bytes)).code, 'undecodable_image', signature);
    }
  });

  it('keeps no cache and takes one thread a photo', async () => {
    await decode(named.get('JPEG')!);
    assert.equal(sharp.concurrency(), 1);
    assert.deepEqual(sharp.cache().items, { current: 0, max: 0 });
  });
});
