import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import sharp from 'sharp';
import { convertToSrgb, isSrgb, readMatrixProfile } from '../../../server/image/icc_profile.ts';
import { difference, open, paint } from './pictures.ts';

/** What IEC 61966-2-1 says of light, and its colorants as Hewlett-Packard's profile of 1998 has them. */
const srgbLight = (v: number) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
const SRGB = {
  rXYZ: [0.43607, 0.22249, 0.01392],
  gXYZ: [0.38515, 0.71687, 0.09708],
  bXYZ: [0.14307, 0.06061, 0.7141],
};
const ADOBE = {
  rXYZ: [0.60974, 0.31111, 0.01947],
  gXYZ: [0.20528, 0.62567, 0.06087],
  bXYZ: [0.14919, 0.06322, 0.74457],
};

const fixed = (...values: number[]) => {
  const bytes = Buffer.alloc(values.length * 4);
  for (const [i, value] of values.entries()) bytes.writeInt32BE(Math.round(value * 65536), i * 4);
  return bytes;
};
const text = (ascii: string) => Buffer.from(ascii, 'latin1');
const xyz = (values: readonly number[]) => Buffer.concat([text('XYZ \0\0\0\0'), fixed(...values)]);
const numbers = (values: readonly number[]) => {
  const bytes = Buffer.alloc(4 + 2 * values.length);
  bytes.writeUInt32BE(values.length, 0);
  for (const [i, value] of values.entries()) bytes.writeUInt16BE(value, 4 + 2 * i);
  return bytes;
};
const table = (entries: number, light: (v: number) => number) =>
  Buffer.concat([
    text('curv\0\0\0\0'),
    numbers(Array.from({ length: entries }, (_, i) => Math.round(light(i / (entries - 1)) * 65535))),
  ]);
const gamma = (value: number) => Buffer.concat([text('curv\0\0\0\0'), numbers([Math.round(value * 256)])]);
const parametric = (...parameters: number[]) =>
  Buffer.concat([text('para\0\0\0\0\0\x03\0\0'), fixed(...parameters)]);
const SRGB_CURVE = parametric(2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045);

/** A display's profile of three colorants and three curves (ICC.1, 8.4.3), which further tags change or add to. */
function profile(
  colorants: typeof SRGB,
  curves: readonly [red: Buffer, green: Buffer, blue: Buffer],
  more: Readonly<Record<string, Buffer>> = {},
): Buffer {
  const [rTRC, gTRC, bTRC] = curves;
  const tags = Object.entries({
    desc: Buffer.concat([text('desc\0\0\0\0\0\0\0\x02x\0'), Buffer.alloc(78)]),
    cprt: text('text\0\0\0\0none'),
    wtpt: xyz([0.9642, 1, 0.8249]),
    ...Object.fromEntries(Object.entries(colorants).map(([name, values]) => [name, xyz(values)])),
    rTRC,
    gTRC,
    bTRC,
    ...more,
  });
  const head = Buffer.alloc(132 + 12 * tags.length);
  head.write('\x02\x40\0\0mntrRGB XYZ ', 8, 'latin1');
  head.write('acsp', 36, 'latin1');
  fixed(0.9642, 1, 0.8249).copy(head, 68);
  head.writeUInt32BE(tags.length, 128);
  const parts: Buffer[] = [head];
  let at = head.length;
  tags.forEach(([name, data], i) => {
    head.write(name, 132 + 12 * i, 'latin1');
    head.writeUInt32BE(at, 136 + 12 * i);
    head.writeUInt32BE(data.length, 140 + 12 * i);
    const padding = Buffer.alloc(-data.length & 3);
    parts.push(data, padding);
    at += data.length + padding.length;
  });
  head.writeUInt32BE(at, 0);
  return Buffer.concat(parts);
}

const all = (curve: Buffer) => [curve, curve, curve] as const;
const builtIn = async (name: 'srgb' | 'p3') => {
  const bytes = await open(paint(1, 1, () => [0, 0, 0]))
    .withIccProfile(name)
    .png()
    .toBuffer();
  return (await sharp(bytes).metadata()).icc ?? assert.fail(`libvips has no profile ${name}`);
};

const BUILT_IN = { srgb: await builtIn('srgb'), p3: await builtIn('p3') };

/** The whole cube of colours, in steps. */
const cube = paint(81, 81, (x, y) => {
  const at = y * 81 + x;
  return [at % 18, Math.floor(at / 18) % 18, Math.floor(at / 324) % 18].map((step) => step * 15);
});

/** The cube as a JPEG with that profile: as libvips decodes it, and without the profile. */
async function converted(icc: Buffer): Promise<{ plain: Uint8Array; srgb: Uint8Array }> {
  const jpeg = await open(cube).jpeg({ quality: 100, chromaSubsampling: '4:4:4' }).toBuffer();
  const chunk = Buffer.concat([text('ICC_PROFILE\0\x01\x01'), icc]);
  const length = Buffer.alloc(2);
  length.writeUInt16BE(chunk.length + 2);
  const tagged = Buffer.concat([jpeg.subarray(0, 2), text('\xff\xe2'), length, chunk, jpeg.subarray(2)]);
  assert.deepEqual((await sharp(tagged).metadata()).icc, icc);
  const pixels = async (ignoreIcc: boolean) =>
    (await sharp(tagged, { ignoreIcc }).toColourspace('srgb').raw().toUint8Array()).data;
  return { plain: await pixels(true), srgb: await pixels(false) };
}

const read = (icc: Uint8Array) => readMatrixProfile(icc) ?? assert.fail('the profile could not be read');

describe('ICC profiles', () => {
  const same: [string, Buffer][] = [
    ["libvips' own", BUILT_IN.srgb],
    ['a table of 1024 steps, as most photos carry', profile(SRGB, all(table(1024, srgbLight)))],
    ['a table of 4096 steps', profile(SRGB, all(table(4096, srgbLight)))],
    ['a formula', profile(SRGB, all(SRGB_CURVE))],
    ['three curves of their own', profile(SRGB, [SRGB_CURVE, table(1024, srgbLight), SRGB_CURVE])],
  ];
  for (const [name, icc] of same) {
    it(`knows sRGB: ${name}; converting from it changes nothing`, async () => {
      assert.ok(isSrgb(read(icc)));
      const { plain, srgb } = await converted(icc);
      assert.ok(difference(plain, srgb) <= 1);
    });
  }

  const others: [string, Buffer][] = [
    ['Display P3', BUILT_IN.p3],
    ['Adobe RGB', profile(ADOBE, all(gamma(2.2)))],
    ["Adobe RGB's colorants with sRGB's curve", profile(ADOBE, all(SRGB_CURVE))],
    ["sRGB's colorants with a gamma of 2.2", profile(SRGB, all(table(1024, (v) => v ** 2.2)))],
    ['a gamma as a formula', profile(ADOBE, all(Buffer.concat([text('para\0\0\0\0\0\0\0\0'), fixed(1.8)])))],
    ['one curve that differs', profile(SRGB, [SRGB_CURVE, SRGB_CURVE, table(1024, (v) => v ** 1.8)])],
    ['red and green exchanged', profile({ ...SRGB, rXYZ: SRGB.gXYZ, gXYZ: SRGB.rXYZ }, all(SRGB_CURVE))],
  ];
  for (const [name, icc] of others) {
    it(`converts from another as libvips does: ${name}`, async () => {
      const profile = read(icc);
      assert.equal(isSrgb(profile), false);
      const { plain, srgb } = await converted(icc);
      assert.ok(difference(plain, srgb) > 5);
      convertToSrgb(plain, profile);
      assert.ok(difference(plain, srgb) <= 2, `${difference(plain, srgb)} levels apart`);
    });
  }

  const srgb = profile(SRGB, all(SRGB_CURVE));
  it('leaves profiles with tables from device to connection space to the converter', () => {
    const lut = { A2B0: text('mft1\0\0\0\0') };
    assert.equal(readMatrixProfile(profile(SRGB, all(SRGB_CURVE), lut)), undefined);
  });

  it('leaves other classes and colour spaces to the converter', () => {
    for (const [at, other] of [
      [12, 'spac'],
      [16, 'GRAY'],
      [20, 'Lab '],
    ] as const) {
      const changed = Buffer.from(srgb);
      changed.write(other, at, 'latin1');
      assert.equal(readMatrixProfile(changed), undefined);
    }
  });

  it('reads no profile that is cut short, or leads out of itself', () => {
    for (let length = 0; length < srgb.length; length++) {
      assert.equal(readMatrixProfile(srgb.subarray(0, length)), undefined, `${length} bytes`);
    }
    for (let tag = 0; tag < srgb.readUInt32BE(128); tag++) {
      const name = srgb.toString('latin1', 132 + 12 * tag, 136 + 12 * tag);
      if (!/XYZ|TRC/.test(name)) continue;
      const lost = Buffer.from(srgb);
      lost.writeUInt32BE(0xfffffff0, 136 + 12 * tag);
      assert.equal(readMatrixProfile(lost), undefined, name);
    }
    const many = Buffer.from(srgb);
    many.writeUInt32BE(0xffffffff, 128);
    assert.equal(readMatrixProfile(many), undefined);
  });

  it('looks at a view from where the view begins', () => {
    const shifted = Buffer.concat([text('12345'), srgb]);
    assert.ok(isSrgb(read(new Uint8Array(shifted.buffer, shifted.byteOffset + 5, srgb.length))));
  });
});
