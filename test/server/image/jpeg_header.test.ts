import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import sharp, { type Sharp } from 'sharp';
import { readJpegHeader } from '../../../server/image/jpeg_header.ts';
import { open, randomBytes, scene, texture } from './pictures.ts';

const picture = open(scene(37, 23));
const plain = await picture.clone().jpeg().toBuffer();

/** A segment put right behind the first marker. */
function withSegment(jpeg: Buffer, marker: number, data: Buffer): Buffer {
  const head = Buffer.from([0xff, marker, (data.length + 2) >> 8, (data.length + 2) & 255]);
  return Buffer.concat([jpeg.subarray(0, 2), head, data, jpeg.subarray(2)]);
}

/** The place of the first segment of that marker. */
function placeOf(jpeg: Buffer, marker: number): number {
  for (let at = 2; at < jpeg.length; at += 2 + jpeg.readUInt16BE(at + 2))
    if (jpeg[at + 1] === marker) return at;
  return assert.fail(`no segment ${marker}`);
}

describe('readJpegHeader', () => {
  const encoders: [string, (image: Sharp) => Sharp][] = [
    ['baseline', (image) => image.jpeg()],
    ['progressive', (image) => image.jpeg({ progressive: true })],
    ['mozjpeg', (image) => image.jpeg({ mozjpeg: true })],
    ['4:4:4', (image) => image.jpeg({ chromaSubsampling: '4:4:4' })],
    ['grey', (image) => image.greyscale().jpeg()],
    ['CMYK', (image) => image.toColourspace('cmyk').jpeg()],
    ['with a profile', (image) => image.withIccProfile('p3').jpeg()],
    ['with an orientation', (image) => image.withMetadata({ orientation: 6 }).jpeg()],
  ];
  for (const [name, encode] of encoders) {
    it(`says what the decoder says: ${name}`, async () => {
      const jpeg = await encode(picture.clone()).toBuffer();
      const { width, height, channels, exif, icc } = await sharp(jpeg).metadata();
      const header = readJpegHeader(jpeg) ?? assert.fail('nothing was read');
      assert.deepEqual(
        { ...header, profile: header.profile && Buffer.from(header.profile) },
        { width, height, components: channels, exif: exif !== undefined, profile: icc },
      );
    });
  }

  it('says nothing of what is out of the ordinary', () => {
    const frame = placeOf(plain, 0xc0);
    const changed = (at: number, ...bytes: number[]) => {
      const other = Buffer.from(plain);
      other.set(bytes, at);
      return other;
    };
    const half = Buffer.from('ICC_PROFILE\0\x01\x02rest', 'latin1');
    const whole = Buffer.from('ICC_PROFILE\0\x01\x01rest', 'latin1');
    const odd: [string, Buffer][] = [
      ['12 bits', changed(frame + 4, 12)],
      ['no height yet', changed(frame + 5, 0, 0)],
      ['no width', changed(frame + 7, 0, 0)],
      ['a lossless frame', changed(frame + 1, 0xc3)],
      ['arithmetic coding', changed(frame + 1, 0xc9)],
      ['two frames', withSegment(plain, 0xc0, plain.subarray(frame + 4, frame + 19))],
      [
        'a stray byte between segments',
        Buffer.concat([plain.subarray(0, 2), Buffer.of(0), plain.subarray(2)]),
      ],
      ['an unknown marker', withSegment(plain, 0xf0, Buffer.of(1))],
      ['a segment shorter than its length', changed(4, 0, 1)],
      ['a profile in two segments', withSegment(plain, 0xe2, half)],
      ['two profiles', withSegment(withSegment(plain, 0xe2, whole), 0xe2, whole)],
    ];
    assert.ok(readJpegHeader(plain));
    for (const [name, bytes] of odd) assert.equal(readJpegHeader(bytes), undefined, name);
  });

  it('takes any APP1 segment for Exif data, wherever it stands', () => {
    assert.equal(readJpegHeader(plain)?.exif, false);
    assert.equal(readJpegHeader(withSegment(plain, 0xe1, Buffer.from('http://ns.adobe.com/')))?.exif, true);
    const scan = placeOf(plain, 0xda);
    const late = Buffer.concat([
      plain.subarray(0, scan),
      Buffer.from([0xff, 0xe1, 0, 2]),
      plain.subarray(scan),
    ]);
    assert.equal(readJpegHeader(late)?.exif, true);
  });

  it('says nothing of a header that is cut short', () => {
    const scan = placeOf(plain, 0xda);
    for (let length = 0; length < scan + 4; length++) {
      assert.equal(readJpegHeader(plain.subarray(0, length)), undefined);
    }
  });

  it('never throws on damaged bytes, and never says a size that the decoder does not', async () => {
    const random = randomBytes(7);
    const jpeg = await open(texture(40, 30)).withMetadata({ orientation: 3 }).jpeg().toBuffer();
    for (let round = 0; round < 300; round++) {
      const bytes = Buffer.from(jpeg);
      for (let i = 0; i < 3; i++) bytes[2 + ((random() % 900) % (bytes.length - 2))] = random() & 255;
      const header = readJpegHeader(bytes);
      const decoder = await sharp(bytes, { limitInputPixels: false, failOn: 'error' })
        .metadata()
        .catch(() => undefined);
      if (!header || !decoder) continue;
      assert.deepEqual([header.width, header.height], [decoder.width, decoder.height]);
      if (!header.exif) assert.equal(decoder.orientation, undefined);
    }
  });
});
