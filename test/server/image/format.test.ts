import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { declaredSize, type ImageFormat, identifyImage } from '../../../server/image/format.ts';
import { ImageError, type ImageErrorCode } from '../../../server/image/image-error.ts';
import { hollowPng, open, randomBytes, scene, texture, tiff } from './pictures.ts';

const picture = scene(37, 23);
const encoded: [string, ImageFormat, Buffer][] = [
  ['JPEG', 'jpeg', await open(picture).jpeg().toBuffer()],
  ['PNG', 'png', await open(picture).png().toBuffer()],
  ['lossy WebP', 'webp', await open(picture).webp().toBuffer()],
  ['lossless WebP', 'webp', await open(picture).webp({ lossless: true }).toBuffer()],
  ['AVIF', 'avif', await open(picture).avif({ effort: 0 }).toBuffer()],
  ['GIF', 'gif', await open(picture).gif().toBuffer()],
  ['TIFF, little-endian', 'tiff', await open(picture).tiff().toBuffer()],
  ['TIFF, big-endian', 'tiff', tiff(37, 23, picture.pixels, { bigEndian: true })],
];
const bigTiff = await open(picture).tiff({ bigtiff: true }).toBuffer();

/** The first box of an ISO base media file. */
function ftyp(major: string, ...compatible: string[]): Buffer {
  const box = Buffer.from(`\0\0\0\0ftyp${major}\0\0\0\0${compatible.join('')}`, 'latin1');
  box.writeUInt32BE(box.length, 0);
  return Buffer.concat([box, Buffer.from('\0\0\0\x08freeavif', 'latin1')]);
}

function refusal(bytes: Uint8Array): { code: ImageErrorCode; message: string } {
  try {
    return { code: 'no_image', message: `accepted as ${identifyImage(bytes)}` };
  } catch (error) {
    assert.ok(error instanceof ImageError);
    return error;
  }
}

describe('identifyImage', () => {
  for (const [name, format, bytes] of encoded) {
    it(`knows ${name}`, () => assert.equal(identifyImage(bytes), format));
  }

  it('knows BigTIFF of both byte orders', () => {
    assert.equal(identifyImage(bigTiff), 'tiff');
    assert.equal(identifyImage(Buffer.from('MM\0+\0\x08\0\0', 'latin1')), 'tiff');
  });

  it('looks at a view of a larger buffer from where the view begins', () => {
    const shifted = Buffer.concat([Buffer.from('GIF89a'), encoded[0]![2]]);
    assert.equal(identifyImage(new Uint8Array(shifted.buffer, shifted.byteOffset + 6)), 'jpeg');
  });

  const brands: [string, Buffer, ImageFormat | RegExp][] = [
    ['major brand avif', ftyp('avif', 'mif1', 'miaf'), 'avif'],
    ['an AVIF sequence', ftyp('avis', 'msf1'), 'avif'],
    ['mif1 with avif', ftyp('mif1', 'miaf', 'avif'), 'avif'],
    ['mif1 with both, avif last', ftyp('mif1', 'heic', 'avif'), 'avif'],
    ['an iPhone photo', ftyp('heic', 'mif1', 'MiHB', 'heic'), /HEIC.*convert it to JPEG.*Most Compatible/],
    ['mif1 with heic', ftyp('mif1', 'heic'), /HEIC/],
    ['msf1 with hevc', ftyp('msf1', 'hevc'), /HEIC/],
    ['heix', ftyp('heix'), /HEIC/],
    ['mif1 alone', ftyp('mif1'), /HEIC/],
    ['MP4', ftyp('isom', 'iso2', 'avc1', 'mp41'), /MP4 video/],
    ['QuickTime', ftyp('qt  '), /QuickTime video/],
    ['Canon CR3', ftyp('crx ', 'isom'), /camera raw/],
    ['a brand beyond the box', ftyp('isom'), /MP4 video/],
  ];
  for (const [name, bytes, want] of brands) {
    it(`tells ISO media files by their brands: ${name}`, () => {
      if (want instanceof RegExp) assert.match(refusal(bytes).message, want);
      else assert.equal(identifyImage(bytes), want);
    });
  }

  const refused: [string, string, RegExp][] = [
    ['SVG', '<svg xmlns="http://www.w3.org/2000/svg"/>', /an SVG drawing/],
    [
      'SVG after a byte order mark, a declaration and a comment',
      '\xef\xbb\xbf <?xml version="1.0"?>\n<!-- <a> -->\n<SVG width="1">',
      /an SVG/,
    ],
    ['HTML', '<!DOCTYPE html><title>404</title>', /an HTML page/],
    ['PDF', '%PDF-1.7\n', /a PDF document/],
    ['BMP', 'BM\x36\0\0\0\0\0\0\0\x36\0', /a BMP image/],
    ['PSD', '8BPS\0\x01', /Photoshop/],
    ['ICO', '\0\0\x01\0\x01\0', /ICO/],
    ['JPEG XL codestream', '\xff\x0a\xfa\x1f', /JPEG XL/],
    ['JPEG XL container', '\0\0\0\x0cJXL \r\n\x87\n', /JPEG XL/],
    ['JPEG 2000', '\0\0\0\x0cjP  \r\n\x87\n', /JPEG 2000/],
    ['JPEG 2000 codestream', '\xff\x4f\xff\x51\0', /JPEG 2000/],
    ['Canon CR2, which is a TIFF inside', 'II*\0\x10\0\0\0CR\x02\0', /camera raw/],
    ['old QuickTime', '\0\0\x10\0moov', /QuickTime/],
    ['WebM', '\x1a\x45\xdf\xa3', /WebM/],
    ['AVI', 'RIFF\0\0\0\0AVI LIST', /AVI video/],
    ['base64', encoded[0]![2].toString('base64'), /base64 text.*JSON/],
    ['a data URI', `data:image/png;base64,${encoded[1]![2].toString('base64')}`, /base64 text/],
    ['WAV, which is RIFF as WebP is', 'RIFF\0\0\0\0WAVEfmt ', /not an image in a known format/],
    ['plain text', 'hello', /not an image in a known format/],
    ['one byte', '\xff', /not an image in a known format/],
    ['a PNG mended by a text editor', '\x89PNG\n\x1a\n', /not an image in a known format/],
  ];
  for (const [name, text, want] of refused) {
    it(`refuses ${name} by its name, and lists what is accepted`, () => {
      const { code, message } = refusal(Buffer.from(text, 'latin1'));
      assert.equal(code, 'unsupported_image');
      assert.match(message, want);
      assert.match(message, /JPEG, PNG, WebP, AVIF, GIF, TIFF/);
    });
  }

  it('says that there is no image when there are no bytes', () => {
    const { code, message } = refusal(new Uint8Array(0));
    assert.equal(code, 'no_image');
    assert.match(message, /0 bytes/);
  });
});

describe('declaredSize', () => {
  for (const [name, , bytes] of encoded) {
    it(`reads ${name}`, () => assert.deepEqual(declaredSize(bytes), { width: 37, height: 23 }));
  }

  it('is the stored size, before orientation', async () => {
    const sideways = await open(picture).withMetadata({ orientation: 6 }).jpeg().toBuffer();
    assert.deepEqual(declaredSize(sideways), { width: 37, height: 23 });
  });

  it('believes a bomb, so that it can be refused', () => {
    assert.deepEqual(declaredSize(hollowPng(60000, 60000)), { width: 60000, height: 60000 });
  });

  it('needs no more than the header', async () => {
    const large = await open(texture(300, 200)).jpeg().toBuffer();
    assert.deepEqual(declaredSize(large.subarray(0, 700)), { width: 300, height: 200 });
  });

  it('is undefined for what it cannot read: text, refused formats, BigTIFF, a bare signature', () => {
    const unreadable = [
      '',
      'hello',
      '<svg width="10" height="10"/>',
      'BM\x36\0\0\0\0\0\0\0\x36\0',
      '\xff\xd8\xff',
    ];
    for (const text of unreadable) assert.equal(declaredSize(Buffer.from(text, 'latin1')), undefined);
    assert.equal(declaredSize(bigTiff), undefined);
    assert.equal(declaredSize(hollowPng(0, 10)), undefined);
  });

  it('never throws, and never answers anything but positive numbers, on damaged bytes', () => {
    const random = randomBytes(7);
    for (const [name, , whole] of encoded) {
      for (let round = 0; round < 200; round++) {
        const bytes = Buffer.from(whole.subarray(0, 1 + ((random() * 256 + random()) % whole.length)));
        // The first bytes stay, so that the format is still recognised and its reader is tried.
        for (let flips = round % 8; flips > 0; flips--) {
          const at = 16 + random();
          if (at < bytes.length) bytes[at] = random();
        }
        const size = declaredSize(bytes);
        assert.ok(!size || (size.width > 0 && size.height > 0), `${name}, round ${round}`);
      }
    }
  });
});
