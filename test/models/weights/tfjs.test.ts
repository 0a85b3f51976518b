import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { WeightsError } from '../../../models/weights/errors.ts';
import { readTfjsWeights, tfjsShards } from '../../../models/weights/tfjs.ts';
import { mulberry32 } from '../../reference/noise.ts';

interface Entry {
  name: string;
  shape: number[];
  dtype: string;
  quantization?: { dtype: string; scale?: number; min?: number };
}

const manifest = (weights: Entry[], paths = ['a.bin']) => ({ weightsManifest: [{ paths, weights }] });
const read = (model: unknown, ...shards: [string, Uint8Array][]) =>
  readTfjsWeights(model, new Map(shards), 'model.json');
const floats = (...values: number[]) => new Uint8Array(Float32Array.from(values).buffer);

describe('the TF.js weight reader', () => {
  test('reads float32 and int32 one after another, across shards that cut a number in two', () => {
    const bytes = Buffer.concat([floats(1.5, -2, 3), new Uint8Array(Int32Array.of(7, -8).buffer)]);
    const model = manifest(
      [
        { name: 'w', shape: [3, 1], dtype: 'float32' },
        { name: 'n', shape: [2], dtype: 'int32' },
      ],
      ['a.bin', 'b.bin'],
    );
    assert.deepEqual(tfjsShards(model, 'model.json'), ['a.bin', 'b.bin']);
    const tensors = read(model, ['a.bin', bytes.subarray(0, 6)], ['b.bin', bytes.subarray(6)]);
    assert.deepEqual(tensors.get('w'), { shape: [3, 1], data: Float32Array.of(1.5, -2, 3) });
    assert.deepEqual([...(tensors.get('n')?.data ?? [])], [7, -8]);
  });

  test('dequantises uint8, uint16 and float16', () => {
    const quantised = (dtype: string, bytes: Uint8Array, scale?: number, min?: number) => {
      const quantization = {
        dtype,
        ...(scale !== undefined && { scale }),
        ...(min !== undefined && { min }),
      };
      const count = bytes.length / (dtype === 'uint8' ? 1 : 2);
      return [
        ...(read(manifest([{ name: 'w', shape: [count], dtype: 'float32', quantization }]), [
          'a.bin',
          bytes,
        ]).get('w')?.data ?? []),
      ];
    };
    assert.deepEqual(quantised('uint8', Uint8Array.of(0, 1, 255), 0.5, -1), [-1, -0.5, 126.5]);
    assert.deepEqual(
      quantised('uint16', new Uint8Array(Uint16Array.of(0, 4, 65535).buffer), 0.25, 2),
      [2, 3, 16385.75],
    );
    // 1, -2, largest finite, smallest subnormal, infinity, negative zero.
    const halves = new Uint8Array(Uint16Array.of(0x3c00, 0xc000, 0x7bff, 0x0001, 0x7c00, 0x8000).buffer);
    assert.deepEqual(quantised('float16', halves), [1, -2, 65504, 2 ** -24, Number.POSITIVE_INFINITY, -0]);
  });

  const weight: Entry = { name: 'w', shape: [2], dtype: 'float32' };
  for (const [what, model, shards, complaint] of [
    ['a layers file without manifest', { modelTopology: {} }, [], /model\.json: no weightsManifest/],
    ['null', null, [], /no weightsManifest/],
    ['a missing shard', manifest([weight]), [], /shard 'a\.bin' is missing/],
    [
      'a truncated shard',
      manifest([weight]),
      [['a.bin', floats(1)]],
      /'w' ends at byte 8, but its shards hold 4/,
    ],
    [
      'bytes that nothing describes',
      manifest([weight]),
      [['a.bin', floats(1, 2, 3)]],
      /hold 12 bytes, the manifest describes 8/,
    ],
    ['a shape that is no shape', manifest([{ ...weight, shape: [-1] }]), [], /shape of 'w'/],
    [
      'a shape beyond all memory',
      manifest([{ ...weight, shape: [2 ** 40, 2 ** 40] }]),
      [['a.bin', floats(1)]],
      /'w' ends at byte/,
    ],
    [
      'an unknown type',
      manifest([{ ...weight, dtype: 'complex64' }]),
      [['a.bin', floats(1, 2)]],
      /'w' is of type 'complex64'/,
    ],
    [
      'a name listed twice',
      manifest([weight, weight]),
      [['a.bin', floats(1, 2, 3, 4)]],
      /'w' is listed twice/,
    ],
    [
      'a shard listed twice',
      manifest([{ ...weight, shape: [4] }], ['a.bin', 'a.bin']),
      [['a.bin', floats(1, 2)]],
      /shard 'a\.bin' is listed twice/,
    ],
    [
      'a scale that is no number',
      {
        weightsManifest: [
          { paths: ['a.bin'], weights: [{ ...weight, quantization: { dtype: 'uint8', scale: {} } }] },
        ],
      },
      [['a.bin', Uint8Array.of(1, 2)]],
      /quantization of 'w' has a scale that is no number/,
    ],
    ['a shard path that leaves the folder', manifest([weight], ['../a.bin']), [], /plain file names/],
  ] as [string, unknown, [string, Uint8Array][], RegExp][]) {
    test(`refuses ${what}`, () => {
      assert.throws(
        () => read(model, ...shards),
        (error) => error instanceof WeightsError && complaint.test(error.message),
      );
    });
  }

  test('damaged files are refused or read, never worse', () => {
    const random = mulberry32(11);
    const text = JSON.stringify(
      manifest([
        weight,
        { name: 'q', shape: [4], dtype: 'float32', quantization: { dtype: 'uint8', scale: 1, min: 0 } },
      ]),
    );
    const bytes = Buffer.concat([floats(1, 2), Uint8Array.of(1, 2, 3, 4)]);
    let refused = 0;
    for (let i = 0; i < 1000; i++) {
      const damaged = Buffer.from(text);
      for (let flips = 0; flips < 3; flips++)
        damaged[Math.floor(random() * damaged.length)] = 32 + Math.floor(random() * 95);
      let model: unknown;
      try {
        model = JSON.parse(damaged.toString());
      } catch {
        continue;
      }
      try {
        read(model, ['a.bin', bytes.subarray(0, Math.floor(random() * (bytes.length + 1)))]);
      } catch (error) {
        assert.ok(error instanceof WeightsError, String(error));
        assert.match(error.message, /^model\.json: /);
        refused++;
      }
    }
    assert.ok(refused > 100, `${refused} refused`);
  });
});
