import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { GraphBuilder } from '../../../../models/graph/builder.ts';
import type { CalibratedJson } from '../../../../models/graph/quantization/calibrated.ts';
import { calibratedJson, readCalibrated } from '../../../../models/graph/quantization/calibrated.ts';
import { Calibration } from '../../../../models/graph/quantization/calibration.ts';
import { minMax } from '../../../../models/graph/quantization/estimators.ts';
import { planQuantization } from '../../../../models/graph/quantization/plan.ts';
import { quantize } from '../../../../models/graph/quantization/quantize.ts';
import { randomWeights } from '../../../reference/random_weights.ts';

function network() {
  const builder = new GraphBuilder('net');
  const x = builder.input('x', 'float32', [2, 4, 4]);
  const a = builder.activation('a', builder.conv('a.conv', x, { channels: 3, bias: true }), 'relu');
  const b = builder.conv('b', x, { channels: 3, bias: true });
  const joined = builder.concat('joined', [a, b], 0);
  return builder.build([builder.conv('c', joined, { channels: 2, bias: true })]);
}

const graph = network();
const plan = planQuantization(graph);

/** A calibration that has seen two samples of different sizes. */
function observed(): Calibration {
  const calibration = new Calibration(graph);
  for (const { name, shape } of calibration.graph.outputs) {
    const channels = shape[0] ?? 0;
    // Channel c holds c in the first sample and c - 1 in the second, which is three times as large.
    calibration.observe(
      name,
      Float32Array.from({ length: channels * 4 }, (_, i) => Math.floor(i / 4)),
    );
    calibration.observe(
      name,
      Float32Array.from({ length: channels * 12 }, (_, i) => Math.floor(i / 12) - 1),
    );
  }
  return calibration;
}

describe('a calibration', () => {
  test('asks for what has to be known: what is computed, not what only moves; and what convolutions read', () => {
    assert.deepEqual(
      [...plan.observed].sort(),
      ['a', 'b', 'c', 'x'],
      'a ReLU in place of its convolution, and no join',
    );
    const asked = new Calibration(graph).graph.outputs.map(({ name }) => name);
    assert.deepEqual([...asked].sort(), ['a', 'b', 'c', 'joined', 'x']);
  });

  test('gives ranges, and means of channels over all numbers seen', () => {
    const { ranges, means } = observed().calibrated(minMax);
    assert.deepEqual(ranges.get('x'), [-1, 1]);
    assert.deepEqual(ranges.get('a'), [-1, 2]);
    assert.equal(ranges.has('joined'), false);
    assert.deepEqual(means.get('x'), [-0.75, 0.25]);
    assert.deepEqual(means.get('joined'), [-0.75, 0.25, 1.25, 2.25, 3.25, 4.25]);
    assert.equal(means.has('b'), false);
  });

  test('says what it cannot take in', () => {
    const calibration = new Calibration(graph);
    assert.throws(() => calibration.calibrated(minMax), /'\w+' was never observed/);
    assert.throws(
      () => calibration.observe('a.conv', new Float32Array(3)),
      /'a\.conv' is no value that calibration asks for/,
    );
    assert.throws(
      () => calibration.observe('b', Float32Array.of(0, Number.NaN, 0)),
      /'b' cannot be calibrated: element 1 is NaN/,
    );
  });
});

describe('calibration data', () => {
  const json = (): CalibratedJson => calibratedJson(observed().calibrated(minMax));

  test('comes out of JSON as it went in', () => {
    const calibrated = observed().calibrated(minMax);
    const read = readCalibrated(JSON.parse(JSON.stringify(calibratedJson(calibrated))), plan);
    assert.deepEqual(read, calibrated);
    const weights = randomWeights(graph, 1);
    assert.deepEqual(quantize(graph, weights, read), quantize(graph, weights, calibrated));
  });

  const without = ({ ranges: { b: _, ...ranges }, means }: CalibratedJson) => ({ ranges, means });
  const faults: readonly (readonly [string, (data: CalibratedJson) => unknown, RegExp])[] = [
    ['nothing', () => null, /calibration data must be an object, not null/],
    ['a list', () => [1], /calibration data must be an object, not \[1\]/],
    ['no ranges', ({ means }) => ({ means }), /'ranges' must be an object, not undefined/],
    ['no means', ({ ranges }) => ({ ranges }), /'means' must be an object, not undefined/],
    ['a range left out', without, /the range of 'b' is missing/],
    [
      'a range of one number',
      ({ ranges, means }) => ({ ranges: { ...ranges, b: [1] }, means }),
      /the range of 'b' must be two numbers \[low, high\], not \[1\]/,
    ],
    [
      'a range of text',
      ({ ranges, means }) => ({ ranges: { ...ranges, b: ['0', '1'] }, means }),
      /the range of 'b' must be two numbers \[low, high\], not \["0","1"\]/,
    ],
    [
      'a range the wrong way round',
      ({ ranges, means }) => ({ ranges: { ...ranges, b: [2, 1] }, means }),
      /the range of 'b' goes from 2 down to 1/,
    ],
    [
      'an endless range',
      ({ ranges, means }) => ({ ranges: { ...ranges, b: [0, Number.POSITIVE_INFINITY] }, means }),
      /the range of 'b' must be finite, not 0 to Infinity/,
    ],
    [
      'a value of another network',
      ({ ranges, means }) => ({ ranges: { ...ranges, 'backbone.stem': [0, 1] }, means }),
      /'backbone\.stem' is no value of 'net': it was calibrated as another network/,
    ],
    [
      'more means than channels',
      ({ ranges, means }) => ({ ranges, means: { ...means, x: [1, 2, 3] } }),
      /'x' has 2 channels, and means for 3/,
    ],
    [
      'means that are none',
      ({ ranges, means }) => ({ ranges, means: { ...means, x: [1, null] } }),
      /the means of 'x' must be an array of numbers/,
    ],
  ];
  for (const [title, spoil, message] of faults) {
    test(`with ${title} is refused`, () => {
      assert.throws(() => readCalibrated(spoil(json()), plan), message);
    });
  }

  test('is checked by quantize as well, and weights too', () => {
    const weights = randomWeights(graph, 1);
    const { ranges, means } = observed().calibrated(minMax);
    const bad = new Map(ranges).set('a', [0, Number.NaN]);
    assert.throws(() => quantize(graph, weights, { ranges: bad, means }), /the range of 'a' must be finite/);
    const incomplete = new Map(weights);
    incomplete.delete('b.weight');
    assert.throws(() => quantize(graph, incomplete, { ranges, means }), /weight 'b\.weight' is missing/);
  });
});
