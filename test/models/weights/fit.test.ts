import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { convBlock } from '../../../models/backbones/blocks.ts';
import { GraphBuilder } from '../../../models/graph/builder.ts';
import type { Tensor } from '../../../models/graph/tensor.ts';
import { tensor } from '../../../models/graph/tensor.ts';
import { checkFit } from '../../../models/weights/fit.ts';
import { depthwiseToOihw, hwioToOihw, scaleChannels } from '../../../models/weights/layout.ts';

const zeros = (...shape: number[]): Tensor =>
  tensor(shape, new Float32Array(shape.reduce((a, b) => a * b, 1)));

const builder = new GraphBuilder('net');
const x = builder.input('x', 'float32', [4, 8, 8]);
const graph = builder.build([
  convBlock(builder, 'b', x, { channels: 6 }, { padding: 'same', epsilon: 1e-3, activation: 'relu' }),
]);
const whole = (): Map<string, Tensor> =>
  new Map([
    ['b.conv.weight', zeros(6, 4, 1, 1)],
    ['b.bn.weight', zeros(6)],
    ['b.bn.bias', zeros(6)],
    ['b.bn.running_mean', zeros(6)],
    ['b.bn.running_var', zeros(6)],
  ]);

describe('checkFit', () => {
  test('takes a checkpoint with its statistics, and one that was folded before', () => {
    checkFit(graph, whole(), 'a.pth');
    checkFit(
      graph,
      new Map([
        ['b.conv.weight', zeros(6, 4, 1, 1)],
        ['b.conv.bias', zeros(6)],
      ]),
      'b.pth',
    );
  });

  test('names all that is wrong at once', () => {
    const weights = whole();
    weights.delete('b.bn.bias');
    weights.delete('b.bn.running_mean');
    weights.set('extra', zeros(1));
    weights.set('b.conv.weight', zeros(6, 4, 3, 3));
    weights.set('b.bn.weight', tensor([6], new Float32Array(6).fill(Number.NaN)));
    assert.throws(() => checkFit(graph, weights, 'a.pth'), {
      name: 'WeightsError',
      message:
        "a.pth does not fit net: missing: 'b.bn.bias', 'b.bn.running_mean'. surplus: 'extra'. " +
        "of another shape: 'b.conv.weight' is [6, 4, 3, 3] and should be [6, 4, 1, 1]. not finite: 'b.bn.weight'",
    });
  });

  test('names a variance below 0, which folding would make NaN, and takes one of 0', () => {
    const weights = whole();
    weights.set('b.bn.running_var', tensor([6], Float32Array.of(1, 1, 0, 1, -1e-3, 1)));
    const message = "a.pth does not fit net: negative variance: 'b.bn.running_var'";
    assert.throws(() => checkFit(graph, weights, 'a.pth'), { name: 'WeightsError', message });
    // What may well be negative.
    const mean = whole().set('b.bn.running_mean', tensor([6], new Float32Array(6).fill(-1)));
    checkFit(graph, mean, 'a.pth');
  });

  test('writes no control character of a name, and of a long shape the beginning', () => {
    const weights = whole().set('\x1b[2Jgone', zeros(1));
    weights.set('b.bn.bias', zeros(...Array(40).fill(1)));
    const strange = { surplus: ['\x9b31mred'], namesOf: (name: string) => [`\x1b]0;${name}`, name] };
    assert.throws(() => checkFit(graph, weights, 'a.pth', strange), {
      message:
        "a.pth does not fit net: surplus: '?]0;?[2Jgone' and '?[2Jgone', '?31mred'. " +
        "of another shape: '?]0;b.bn.bias' and 'b.bn.bias' is [1, 1, 1, 1, 1, 1, 1, 1, ... 40 dimensions] " +
        'and should be [6]',
    });
  });
});

describe('kernel layouts', () => {
  test('[h, w, in, out] becomes [out, in, h, w], element by element', () => {
    const [h, w, i, o] = [2, 3, 4, 5];
    const source = tensor(
      [h, w, i, o],
      Float32Array.from({ length: h * w * i * o }, (_, index) => index),
    );
    const turned = hwioToOihw(source);
    assert.deepEqual(turned.shape, [o, i, h, w]);
    // Output 3, input 2, row 1, column 2.
    assert.equal(turned.data[((3 * i + 2) * h + 1) * w + 2], ((1 * w + 2) * i + 2) * o + 3);
    assert.deepEqual(
      [...turned.data].sort((a, b) => a - b),
      [...source.data],
    );
  });

  test('depthwise [h, w, channels, multiplier] becomes one filter a channel', () => {
    const source = tensor(
      [1, 2, 3, 2],
      Float32Array.from({ length: 12 }, (_, index) => index),
    );
    assert.deepEqual(depthwiseToOihw(source), {
      shape: [6, 1, 1, 2],
      data: Float32Array.of(0, 6, 1, 7, 2, 8, 3, 9, 4, 10, 5, 11),
    });
  });

  test('factors multiply output channels', () => {
    const scaled = scaleChannels(
      tensor([2, 1, 1, 2], Float32Array.of(1, 2, 3, 4)),
      tensor([2], Float32Array.of(10, 100)),
    );
    assert.deepEqual([...scaled.data], [10, 20, 300, 400]);
  });
});
