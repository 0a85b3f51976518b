import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { WeightsError } from '../../../models/weights/errors.ts';
import { encodeHalf, halfToFloat } from '../../../models/weights/half.ts';
import { readSafetensors, writeSafetensors } from '../../../models/weights/safetensors.ts';
import { mulberry32 } from '../../reference/noise.ts';
import { readFixture } from '../../safetensors.ts';

const fixtures = join('test', 'fixtures');

/** A file out of header text and data; `length` states another header length. */
function fileOf(header: string, data: Uint8Array = new Uint8Array(), length?: number | bigint): Uint8Array {
  const text = Buffer.from(header);
  const prefix = Buffer.alloc(8);
  prefix.writeBigUInt64LE(BigInt(length ?? text.length));
  return Buffer.concat([prefix, text, data]);
}
const entry = (dtype: string, shape: number[], begin: number, end: number) => ({
  dtype,
  shape,
  data_offsets: [begin, end],
});
const read = (header: object, data: Uint8Array) =>
  readSafetensors(fileOf(JSON.stringify(header), data), 'a.safetensors');
const bytesOf = (typed: ArrayBufferView<ArrayBuffer>) => new Uint8Array(typed.buffer);

describe('the safetensors reader', () => {
  test('gives the tensors of a real file, F16 and I64, bit for bit', () => {
    const file = 'mnasnet0_5.weights.safetensors';
    const golden = JSON.parse(readFileSync(join(fixtures, 'checkpoints', 'golden.json'), 'utf8'))[file];
    const { tensors } = readSafetensors(readFileSync(join(fixtures, file)), file);
    const found = [...tensors].map(([name, { shape, data }]) => {
      const digest = createHash('sha256').update(new Uint8Array(data.buffer)).digest('hex').slice(0, 16);
      return [name, [shape, digest]];
    });
    assert.equal(found.length, 314);
    assert.deepEqual(Object.fromEntries(found), golden);
  });

  test('gives float32 as it is, metadata included', () => {
    const file = join(fixtures, 'mnasnet0_5.activations.safetensors');
    const { tensors, metadata } = readSafetensors(readFileSync(file), file);
    const expected = readFixture(file);
    assert.deepEqual([...tensors.keys()].sort(), [...expected.keys()].sort());
    for (const [name, tensor] of tensors) assert.deepEqual({ ...tensor }, expected.get(name), name);
    assert.equal(metadata.model, 'mnasnet0_5');
  });

  for (const [dtype, stored, values] of [
    ['F64', Float64Array.of(0.1, -1e10), [Math.fround(0.1), -1e10]],
    ['F32', Float32Array.of(1.5, -0), [1.5, -0]],
    [
      'F16',
      Uint16Array.of(0x3c00, 0x8000, 0x7bff, 0x0001, 0xfc00),
      [1, -0, 65504, 2 ** -24, Number.NEGATIVE_INFINITY],
    ],
    ['BF16', Uint16Array.of(0x3f80, 0xc049, 0x8000, 0x7f80), [1, -3.140625, -0, Number.POSITIVE_INFINITY]],
    ['I64', BigInt64Array.of(7n, -1n, 2n ** 33n, -(2n ** 62n)), [7, -1, 2 ** 33, -(2 ** 62)]],
    ['U64', BigUint64Array.of(7n, 2n ** 63n), [7, 2 ** 63]],
    ['I32', Int32Array.of(-5, 2 ** 31 - 1), [-5, 2 ** 31]],
    ['U32', Uint32Array.of(5, 2 ** 31), [5, 2 ** 31]],
    ['I16', Int16Array.of(-300, 300), [-300, 300]],
    ['U16', Uint16Array.of(65535), [65535]],
    ['I8', Int8Array.of(-128, 127), [-128, 127]],
    ['U8', Uint8Array.of(0, 255), [0, 255]],
    ['BOOL', Uint8Array.of(0, 1), [0, 1]],
  ] as [string, Float32Array<ArrayBuffer>, number[]][]) {
    test(`decodes ${dtype}, aligned or not`, () => {
      const raw = bytesOf(stored);
      for (let shift = 0; shift < 8; shift++) {
        // White space moves the data, and a longer buffer around the file moves the file.
        const header = `${JSON.stringify({ w: entry(dtype, [values.length], 0, raw.length) })}${' '.repeat(shift)}`;
        const whole = Buffer.concat([Buffer.alloc(3), fileOf(header, raw)]);
        const { tensors, dtypes } = readSafetensors(whole.subarray(3), 'a.safetensors');
        assert.deepEqual([...dtypes], [['w', dtype]]);
        assert.deepEqual(tensors.get('w'), { shape: [values.length], data: Float32Array.from(values) });
      }
    });
  }

  test('takes scalars, empty tensors, any order, and names that JavaScript has a meaning for', () => {
    const header = `{"b":${JSON.stringify(entry('F32', [], 4, 8))},"__proto__":${JSON.stringify(entry('F32', [1], 0, 4))},
      "none":${JSON.stringify(entry('F32', [0, 3], 4, 4))},"__metadata__":{"__proto__":"x","a":"y"}}`;
    const { tensors, metadata } = readSafetensors(fileOf(header, bytesOf(Float32Array.of(1, 2))), 'f');
    assert.deepEqual([...tensors.keys()], ['__proto__', 'none', 'b']);
    assert.deepEqual(tensors.get('b'), { shape: [], data: Float32Array.of(2) });
    assert.deepEqual(tensors.get('none'), { shape: [0, 3], data: Float32Array.of() });
    assert.deepEqual(Object.entries(metadata), [
      ['__proto__', 'x'],
      ['a', 'y'],
    ]);
    assert.equal(({} as Record<string, unknown>).a, undefined);
  });

  test('gives tensors of their own memory', () => {
    const bytes = fileOf(
      JSON.stringify({ w: entry('F32', [1], 0, 4) }).padEnd(56),
      bytesOf(Float32Array.of(1)),
    );
    const { tensors } = readSafetensors(bytes, 'f');
    bytes.fill(0);
    assert.deepEqual([...(tensors.get('w')?.data ?? [])], [1]);
    assert.equal(tensors.get('w')?.data.buffer.byteLength, 4);
  });

  const eight = new Uint8Array(8);
  for (const [what, bytes, complaint] of [
    ['an empty file', new Uint8Array(), /^a\.safetensors: 0 bytes are too few/],
    [
      'a header beyond the file',
      fileOf('{}', eight, 17),
      /header ends at byte 25, the file at 18 \(truncated\?\)/,
    ],
    [
      'a header beyond the format',
      fileOf('{}', eight, 2n ** 63n),
      /a header of 9223372036854775808 bytes; this reader takes 16777216/,
    ],
    ['a header that is no JSON', fileOf('{"w":'), /the header is not JSON/],
    [
      'a header that is no UTF-8',
      Buffer.concat([fileOf('', new Uint8Array(), 7), Buffer.from('{"\xff":1}', 'latin1')]),
      /not JSON in UTF-8/,
    ],
    ['a header that is no object', fileOf('[]'), /no JSON object/],
    ['a header behind white space', fileOf(' {}'), /no JSON object/],
    ['a tensor that is no object', fileOf('{"w":[1]}'), /'w' is not described by an object/],
    [
      'a type unknown here',
      fileOf(JSON.stringify({ w: entry('F8_E4M3', [8], 0, 8) }), eight),
      /'w' is of type 'F8_E4M3'/,
    ],
    [
      'a type that has no text',
      fileOf('{"w":{"dtype":{"toString":1},"shape":[],"data_offsets":[0,0]}}'),
      /of type no name/,
    ],
    [
      'a negative size',
      fileOf(JSON.stringify({ w: entry('F32', [-2], 0, 8) }), eight),
      /'w' has a shape that/,
    ],
    [
      'a fraction of a size',
      fileOf(JSON.stringify({ w: entry('F32', [1.5], 0, 6) }), eight),
      /'w' has a shape that/,
    ],
    [
      'a size beyond a double',
      fileOf(JSON.stringify({ w: entry('F32', [2 ** 53], 0, 8) }), eight),
      /'w' has a shape that/,
    ],
    [
      'a shape that overflows',
      fileOf(JSON.stringify({ w: entry('U8', [2 ** 32, 2 ** 32], 0, 0) })),
      /beyond any memory/,
    ],
    [
      'a shape of another length',
      fileOf(JSON.stringify({ w: entry('F32', [3], 0, 8) }), eight),
      /takes 12 .* span 8$/,
    ],
    [
      'offsets the wrong way round',
      fileOf(JSON.stringify({ w: entry('F32', [2], 8, 0) }), eight),
      /span -8$/,
    ],
    ['a single offset', fileOf('{"w":{"dtype":"F32","shape":[2],"data_offsets":[8]}}', eight), /no pair/],
    [
      'a hole',
      fileOf(JSON.stringify({ w: entry('F32', [1], 4, 8) }), eight),
      /begins at byte 4 of the data, not 0: it leaves a hole/,
    ],
    [
      'an overlap',
      fileOf(JSON.stringify({ a: entry('F32', [2], 0, 8), b: entry('F32', [1], 4, 8) }), eight),
      /'b' begins at byte 4 of the data, not 8: it overlaps/,
    ],
    [
      'data missing',
      fileOf(JSON.stringify({ w: entry('F32', [3], 0, 12) }), eight),
      /take 12 bytes, the file holds 8 .*truncated/,
    ],
    [
      'data left over',
      fileOf(JSON.stringify({ w: entry('F32', [1], 0, 4) }), eight),
      /take 4 bytes, the file holds 8 after its header$/,
    ],
    [
      'a name listed twice',
      fileOf(
        `{"w":${JSON.stringify(entry('U8', [8], 0, 8))}, "\\u0077" :${JSON.stringify(entry('U8', [8], 0, 8))}}`,
        eight,
      ),
      /the header lists 'w' twice/,
    ],
    [
      'a shape given twice',
      fileOf('{"w":{"shape":[1],"dtype":"F64","shape":[1],"data_offsets":[0,8]}}', eight),
      /'shape' twice/,
    ],
    [
      'metadata that is no text',
      fileOf('{"__metadata__":{"a":1}}'),
      /__metadata__ holds 'a', which is no string/,
    ],
    ['metadata that is no object', fileOf('{"__metadata__":"a"}'), /__metadata__ must be an object/],
    [
      'a name that would write on the terminal',
      fileOf('{"\\u001b[2J":1}'),
      /^a\.safetensors: '\?\[2J' is not/,
    ],
  ] as [string, Uint8Array, RegExp][]) {
    test(`refuses ${what}`, () => {
      assert.throws(
        () => readSafetensors(bytes, 'a.safetensors'),
        (error) =>
          error instanceof WeightsError &&
          error.message.startsWith('a.safetensors: ') &&
          complaint.test(error.message),
      );
    });
  }

  test('a key may come again in another object, and as a value', () => {
    const header = {
      w: entry('U8', [1], 0, 1),
      dtype: entry('U8', [1], 1, 2),
      __metadata__: { w: 'w', '"\\': '"' },
    };
    assert.equal(read(header, Uint8Array.of(1, 2)).tensors.size, 2);
  });
});

describe('the safetensors writer', () => {
  const tensors = new Map([
    ['b', { shape: [2, 1], data: Float32Array.of(1.5, -0) }],
    ['10', { shape: [], data: Float32Array.of(3) }],
    ['__proto__', { shape: [0], data: Float32Array.of() }],
    ['ä"', { shape: [1], data: Float32Array.of(1e-3) }],
  ]);

  test('what is written is read back, whatever the order, always to the same bytes', () => {
    const metadata = { format: 'pt', a: 'ü' };
    const bytes = writeSafetensors(tensors, { metadata });
    const back = readSafetensors(bytes, 'f');
    assert.deepEqual(new Map([...back.tensors].sort()), new Map([...tensors].sort()));
    assert.deepEqual({ ...back.metadata }, metadata);
    const turned = writeSafetensors(new Map([...tensors].reverse()), { metadata: { a: 'ü', format: 'pt' } });
    assert.deepEqual(turned, bytes);
    const headerLength = Number(Buffer.from(bytes).readBigUInt64LE());
    assert.equal(headerLength % 8, 0);
    assert.match(
      Buffer.from(bytes.subarray(8, 8 + headerLength)).toString(),
      /^\{"__metadata__":\{"a".*\} *$/,
    );
    assert.equal(readSafetensors(writeSafetensors(new Map()), 'f').tensors.size, 0);
  });

  test('as F16 it takes half the bytes and gives the nearest halves', () => {
    const bytes = writeSafetensors(tensors, { dtype: 'F16' });
    const { tensors: back } = readSafetensors(bytes, 'f');
    assert.deepEqual([...(back.get('b')?.data ?? [])], [1.5, -0]);
    // 1e-3 lies between 0x1418 and 0x1419.
    assert.deepEqual([...(back.get('ä"')?.data ?? [])], [halfToFloat(0x1419)].map(Math.fround));
  });

  test('writes a tensor that is a window of a larger array', () => {
    const window = Float32Array.of(1, 2, 3, 4).subarray(1, 3);
    for (const dtype of ['F32', 'F16'] as const) {
      const bytes = writeSafetensors(new Map([['w', { shape: [2], data: window }]]), { dtype });
      assert.deepEqual([...(readSafetensors(bytes, 'f').tensors.get('w')?.data ?? [])], [2, 3]);
    }
  });

  test('refuses what the format cannot say', () => {
    const one = (name: string, value: number) =>
      new Map([[name, { shape: [1], data: Float32Array.of(value) }]]);
    assert.throws(() => writeSafetensors(one('w', 65520), { dtype: 'F16' }), /^RangeError: 'w' holds 65520/);
    assert.throws(() => writeSafetensors(one('__metadata__', 1)), /^RangeError: .*__metadata__/);
    const infinite = writeSafetensors(one('w', Number.POSITIVE_INFINITY), { dtype: 'F16' });
    assert.deepEqual(
      [...(readSafetensors(infinite, 'f').tensors.get('w')?.data ?? [])],
      [Number.POSITIVE_INFINITY],
    );
  });
});

describe('half precision', () => {
  const encode = (value: number) => encodeHalf(Float32Array.of(value))[0] as number;

  test('every half survives decoding and encoding', () => {
    for (let half = 0; half < 0x10000; half++) {
      const value = halfToFloat(half);
      if (Number.isNaN(value)) assert.ok(Number.isNaN(halfToFloat(encode(value))));
      else assert.equal(encode(value), half);
    }
  });

  test('between two halves the nearer one wins, in the middle the even one', () => {
    for (let half = 0; half < 0x7c00; half++) {
      // Beyond the largest half the next would be 2^16.
      const next = half === 0x7bff ? 2 ** 16 : halfToFloat(half + 1);
      const middle = (halfToFloat(half) + next) / 2;
      const step = middle * 2 ** -23;
      assert.equal(encode(middle), half + (half & 1));
      assert.equal(encode(-middle), 0x8000 | (half + (half & 1)));
      assert.equal(encode(middle - step), half);
      assert.equal(encode(middle + step), half + 1);
    }
  });

  test('random numbers go to the nearest half', () => {
    const random = mulberry32(3);
    for (let i = 0; i < 10_000; i++) {
      const value = Math.fround((random() - 0.5) * 2 ** Math.floor(random() * 40 - 24));
      const half = encode(value);
      const distance = Math.abs(halfToFloat(half) - value);
      if (Math.abs(value) >= 65504) continue;
      // Beside zero there is NaN, which is no nearer.
      for (const other of [half - 1, half + 1])
        assert.ok(!(Math.abs(halfToFloat(other & 0xffff) - value) < distance));
    }
  });
});
