import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { buildClassifier } from '../../../models/backbones/classifier.ts';
import { shufflenetV2 } from '../../../models/backbones/shufflenet_v2.ts';
import { cost } from '../../../models/graph/cost.ts';

describe('ShuffleNetV2', () => {
  // Parameters and multiply-accumulates of torchvision 0.14's modules. Table 5 of the paper prints 41, 146, 299 and 591
  // million, up to 1.4 % more; what else it counts it does not say.
  for (const [width, parameters, madds] of [
    [0.5, 1_366_792, 40_476_448],
    [1, 2_278_604, 144_907_992],
    [1.5, 3_503_624, 295_759_392],
    [2, 7_393_996, 583_253_464],
  ] as const) {
    test(`${width} at 224 has torchvision's ${parameters} parameters and ${madds} MAdds`, () => {
      const counted = cost(buildClassifier(shufflenetV2, { width }));
      assert.deepEqual([counted.parameters, counted.madds], [parameters, madds]);
    });
  }

  test('leads the first half of the channels past every unit but the first of a stage, and the second through it', () => {
    const { nodes } = buildClassifier(shufflenetV2);
    const slices = new Map(nodes.flatMap((node) => (node.op === 'slice' ? [[node.name, node]] : [])));
    const read = (name: string) => {
      const { start, end } = slices.get(nodes.find((node) => node.name === name)?.inputs[0] ?? '') ?? {};
      return [start, end];
    };
    for (const [stage, units, channels] of [
      [2, 4, 116],
      [3, 8, 232],
      [4, 4, 464],
    ] as const) {
      for (let unit = 1; unit < units; unit++) {
        const name = `backbone.stage${stage}.${unit}`;
        assert.deepEqual(read(`${name}.concat`), [0, channels / 2], name);
        assert.deepEqual(read(`${name}.reduce.conv`), [channels / 2, channels], name);
      }
    }
  });

  test('refuses a width that has no table, listing those that have', () => {
    assert.throws(() => buildClassifier(shufflenetV2, { width: 0.75 }), {
      name: 'RangeError',
      message: /ShuffleNetV2 has no channel table for width 0\.75: the published widths are 0\.5, 1, 1\.5, 2/,
    });
  });
});
