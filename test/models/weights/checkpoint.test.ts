import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { readCheckpoint } from '../../../models/weights/checkpoint.ts';
import { WeightsError } from '../../../models/weights/errors.ts';
import { writeSafetensors } from '../../../models/weights/safetensors.ts';
import { bytesOf, dictPickle, legacyPth, tensorPickle, zipPth } from './torch_files.ts';

const pickle = dictPickle([['w', tensorPickle()]]);
const tensors = new Map([['w', { shape: [2], data: Float32Array.of(1, 2) }]]);

describe('the checkpoint reader', () => {
  for (const [form, bytes] of [
    ['safetensors', writeSafetensors(tensors)],
    ['zip', zipPth(pickle)],
    ['legacy', legacyPth(pickle)],
  ] as const) {
    test(`knows ${form} by its bytes, whatever its name`, () => {
      assert.deepEqual(readCheckpoint(bytes, 'weights.bin'), tensors);
    });
  }

  for (const [file, tensorCount, parameters] of [
    ['shufflenet_v2_x0_5.weights.pth', 338, 352_042],
    ['mobilenet_v2_0.35.weights.pth', 314, 408_938],
    ['mobilenet_v3_small.weights.pth', 244, 1_528_106],
    ['mnasnet0_5.weights.safetensors', 314, 950_322],
    ['squeezenet1_1.weights.safetensors', 52, 727_626],
    ['hf_deeplabv3_mobilenet_v2.weights.safetensors', 332, 591_477],
  ] as const) {
    test(`finds as many parameters in ${file} as PyTorch counts`, () => {
      const found = readCheckpoint(readFileSync(join('test', 'fixtures', file)), file);
      const learnt = [...found].filter(
        ([name]) => !/\.(running_mean|running_var|num_batches_tracked)$/.test(name),
      );
      assert.equal(found.size, tensorCount);
      assert.equal(
        learnt.reduce((sum, [, { data }]) => sum + data.length, 0),
        parameters,
      );
      for (const [name, { data }] of found) assert.ok(data.every(Number.isFinite), name);
    });
  }

  test('a safetensors header of 640 bytes, which begins as a pickle does, is one nevertheless', () => {
    const long = writeSafetensors(tensors, { metadata: { note: '' } });
    const missing = 640 - Number(Buffer.from(long).readBigUInt64LE());
    const bytes = writeSafetensors(tensors, { metadata: { note: 'x'.repeat(missing) } });
    assert.deepEqual([...bytes.subarray(0, 2)], [0x80, 2]);
    assert.deepEqual(readCheckpoint(bytes, 'w'), tensors);
  });

  for (const [what, bytes, complaint] of [
    [
      'an empty file',
      new Uint8Array(),
      /^w is empty; readable are safetensors and PyTorch's \.pth \(zip and legacy\)$/,
    ],
    ['noise', Uint8Array.of(1, 2, 3), /^w is of no format that is known here; readable are/],
    ['ONNX', bytesOf([8, 8, 0x12, 7], 'pytorch'), /^w looks like ONNX; readable/],
    ['ONNX without a producer', bytesOf([8, 7, 0x3a, 3, 0, 0, 0]), /looks like ONNX/],
    ['Keras', bytesOf([0x89], 'HDF\r\n\x1a\n', Array(20).fill(0)), /looks like HDF5 \(a Keras/],
    ['TensorFlow Lite', bytesOf([0x1c, 0, 0, 0], 'TFL3', Array(20).fill(0)), /looks like TensorFlow Lite/],
    ['gzip', bytesOf([0x1f, 0x8b, 8, 0]), /looks like gzip/],
    ['tar', bytesOf('weights', Array(250).fill(0), 'ustar'), /looks like a tar/],
    [
      'model.json',
      bytesOf('{"format": "graph-model"}'),
      /JSON \(a TF\.js model\.json is read together with its shards/,
    ],
    ['a web page', bytesOf('<!DOCTYPE html>'), /HTML/],
    ['a Git LFS pointer', bytesOf('version https://git-lfs.github.com/spec/v1\n'), /a Git LFS pointer/],
    [
      'half a safetensors file',
      writeSafetensors(tensors).subarray(0, 30),
      /^w: the header ends at byte .*truncated/,
    ],
  ] as [string, Uint8Array, RegExp][]) {
    test(`refuses ${what} by what it looks like`, () => {
      assert.throws(
        () => readCheckpoint(bytes, 'w'),
        (error) => {
          assert.ok(error instanceof WeightsError, String(error));
          assert.match(error.message, complaint);
          return true;
        },
      );
    });
  }
});
