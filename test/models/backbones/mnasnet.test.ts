import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { buildClassifier } from '../../../models/backbones/classifier.ts';
import { mnasnetA1, mnasnetB1, mnasnetSmall } from '../../../models/backbones/mnasnet.ts';
import { cost } from '../../../models/graph/cost.ts';
import { elementCount } from '../../../models/graph/graph.ts';

// Million parameters and MAdds as printed by tensorflow/tpu models/official/mnasnet/README.md, by width and resolution.
const PRINTED_A1 = {
  1.4: { parameters: '6.1', madds: { 224: 591.5, 192: 435.1, 160: 302.8, 128: 194.5, 96: 110.3 } },
  1: { parameters: '3.9', madds: { 224: 315.2, 192: 232.0, 160: 161.6, 128: 104.1, 96: 59.3 } },
  0.75: { parameters: '2.9', madds: { 224: 226.7, 192: 166.9, 160: 116.4, 128: 75.0, 96: 42.9 } },
  0.5: { parameters: '2.1', madds: { 224: 105.2, 192: 77.6, 160: 54.4, 128: 35.3, 96: 20.5 } },
  0.35: { parameters: '1.7', madds: { 224: 63.2, 192: 46.8, 160: 32.9, 128: 21.6, 96: 12.7 } },
};

describe('MnasNet-A1', () => {
  test('1.0 at 224 has 3 887 038 parameters, and the 312 million MAdds of the paper', () => {
    const { parameters, madds } = cost(buildClassifier(mnasnetA1));
    assert.equal(parameters, 3_887_038);
    assert.equal(Math.round(madds / 1e6), 312);
  });

  for (const [width, printed] of Object.entries(PRINTED_A1)) {
    for (const [resolution, millions] of Object.entries(printed.madds)) {
      // The table, unlike the same page's text, counts more than convolutions: its excess over them is the same share of
      // the number of their outputs in every row, so work on single elements is in it.
      test(`${width} at ${resolution} takes ${millions} million MAdds with 0.58 for every output of a convolution`, () => {
        const graph = buildClassifier(mnasnetA1, { width: Number(width), resolution: Number(resolution) });
        const { madds, parameters, layers } = cost(graph);
        const outputs = layers
          .filter(({ op }) => op === 'conv')
          .reduce((sum, { shape }) => sum + elementCount(shape), 0);
        assert.equal((parameters / 1e6).toFixed(1), printed.parameters);
        const counted = (madds + 0.58 * outputs) / 1e6;
        assert.ok(Math.abs(counted - millions) < 0.005 * millions, `${counted} is not ${millions}`);
      });
    }
  }
});

describe('MnasNet-B1', () => {
  // Parameters and multiply-accumulates of torchvision 0.14's MNASNet(width).
  for (const [width, parameters, madds] of [
    [0.35, 1_788_232, 58_878_912],
    [0.5, 2_218_512, 104_455_968],
    [0.75, 3_170_208, 215_493_104],
    [1, 4_383_312, 314_415_872],
    [1.3, 6_282_256, 526_362_432],
    [1.4, 7_115_728, 588_799_408],
  ] as const) {
    test(`${width} at 224 has torchvision's ${parameters} parameters and ${madds} MAdds`, () => {
      const counted = cost(buildClassifier(mnasnetB1, { width }));
      assert.deepEqual([counted.parameters, counted.madds], [parameters, madds]);
    });
  }
});

test("MnasNet-small has timm's 2.03 million parameters and tensorflow/tpu's 68 million MAdds", () => {
  const { parameters, madds } = cost(buildClassifier(mnasnetSmall));
  assert.equal((parameters / 1e6).toFixed(2), '2.03');
  assert.equal(Math.round(madds / 1e6), 68);
});
