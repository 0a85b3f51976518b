import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  dequantizeWeight,
  quantizerOf,
  quantizeWeight,
} from '../../../../models/graph/quantization/quantizer.ts';
import { tensor } from '../../../../models/graph/tensor.ts';
import { mulberry32 } from '../../../reference/noise.ts';

/** What a number becomes in bytes and back, by ONNX's definition of QuantizeLinear and DequantizeLinear. */
function through({ scale, zeroPoint }: { scale: number; zeroPoint: number }, x: number): number {
  const byte = Math.min(255, Math.max(0, Math.round(x / scale) + zeroPoint));
  return (byte - zeroPoint) * scale;
}

describe('a range in bytes', () => {
  test('holds every number within half a step, zero exactly, and cuts off what is beyond', () => {
    const random = mulberry32(1);
    for (let round = 0; round < 200; round++) {
      const size = 10 ** (random() * 8 - 4);
      const low = -random() * size;
      const high = random() * size;
      const quantizer = quantizerOf([low, high]);
      assert.ok(Number.isInteger(quantizer.zeroPoint) && quantizer.zeroPoint >= 0);
      assert.equal(through(quantizer, 0), 0);
      // The zero point is rounded, so that the ends may be off by half a step too.
      const room = quantizer.scale * 1.001;
      for (let i = 0; i <= 50; i++) {
        const x = low + ((high - low) * i) / 50;
        assert.ok(Math.abs(through(quantizer, x) - x) <= room, `${x} of ${low} to ${high}`);
      }
      assert.ok(Math.abs(through(quantizer, high * 10) - high) <= room);
      assert.ok(Math.abs(through(quantizer, low * 10) - low) <= room);
    }
  });

  test('[0, 6] is a ReLU6', () => {
    const quantizer = quantizerOf([0, 6]);
    assert.equal(quantizer.zeroPoint, 0);
    for (const [x, expected] of [
      [-3, 0],
      [0, 0],
      [6, 6],
      [60, 6],
    ] as const) {
      assert.ok(Math.abs(through(quantizer, x) - expected) < 1e-6);
    }
  });

  test('is widened to hold zero, and may be nothing but zero', () => {
    assert.equal(through(quantizerOf([2, 4]), 0), 0);
    assert.ok(Math.abs(through(quantizerOf([2, 4]), 4) - 4) < 0.01);
    assert.ok(Math.abs(through(quantizerOf([-4, -2]), -4) + 4) < 0.01);
    assert.equal(through(quantizerOf([0, 0]), 0), 0);
  });
});

describe('a weight in bytes', () => {
  test('is off by half a step of its own channel at most', () => {
    const random = mulberry32(2);
    // Channels of very different size: one scale for all would lose the small ones.
    const sizes = [1e-4, 1, 30, 0.02];
    const data = Float32Array.from(
      { length: 4 * 18 },
      (_, i) => (random() * 2 - 1) * (sizes[Math.floor(i / 18)] as number),
    );
    const weight = tensor([4, 2, 3, 3], data);
    const quantized = quantizeWeight(weight);
    const back = dequantizeWeight(quantized);
    assert.deepEqual(back.shape, weight.shape);
    sizes.forEach((_, channel) => {
      const step = quantized.scales[channel] as number;
      const own = data.subarray(channel * 18, (channel + 1) * 18);
      assert.ok(Math.abs(step - Math.max(...own.map(Math.abs)) / 127) < 1e-6 * step);
      own.forEach((value, i) => {
        const error = Math.abs((back.data[channel * 18 + i] as number) - value);
        assert.ok(
          error <= step * 0.5001,
          `channel ${channel}: ${value} is off by ${error}, a step is ${step}`,
        );
      });
    });
    assert.ok(quantized.data.every((level) => level >= -127));
  });

  test('of zeros stays zeros', () => {
    const { data, scales } = quantizeWeight(tensor([2, 1, 1, 2], new Float32Array(4)));
    assert.deepEqual([...data], [0, 0, 0, 0]);
    assert.ok(scales.every((scale) => scale > 0));
  });

  test('has no smaller scale than it is told', () => {
    const { scales } = quantizeWeight(tensor([2, 1, 1, 1], Float32Array.of(1e-9, 127)), () => 0.5);
    assert.deepEqual([...scales], [0.5, 1]);
  });
});
