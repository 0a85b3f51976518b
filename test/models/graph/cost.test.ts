import assert from 'node:assert/strict';
import { test } from 'node:test';
import { buildSsdlite } from '../../../heads/ssdlite/graph.ts';
import { buildClassifier } from '../../../models/backbones/classifier.ts';
import { mobilenetV2 } from '../../../models/backbones/mobilenet_v2.ts';
import { cost } from '../../../models/graph/cost.ts';
import { MINUS_ONE_TO_ONE } from '../../../models/graph/image_input.ts';

// Million MAdds as printed by tensorflow/models research/slim/nets/mobilenet/README.md.
const PRINTED: readonly (readonly [
  width: number,
  cells: readonly (readonly [resolution: number, millions: number])[],
])[] = [
  [1.4, [[224, 582]]],
  [1.3, [[224, 509]]],
  [
    1,
    [
      [224, 300],
      [192, 221],
      [160, 154],
      [128, 99],
      [96, 56],
    ],
  ],
  [
    0.75,
    [
      [224, 209],
      [192, 153],
      [160, 107],
      [128, 69],
      [96, 39],
    ],
  ],
  [
    0.5,
    [
      [224, 97],
      [192, 71],
      [160, 50],
      [128, 32],
      [96, 18],
    ],
  ],
  [
    0.35,
    [
      [224, 59],
      [192, 43],
      [160, 30],
      [128, 20],
      [96, 11],
    ],
  ],
];

for (const [width, cells] of PRINTED) {
  for (const [resolution, millions] of cells) {
    test(`MobileNetV2 ${width} at ${resolution} takes ${millions} million MAdds`, () => {
      const { madds } = cost(buildClassifier(mobilenetV2, { width, resolution }));
      assert.equal(Math.floor(madds / 1e6), millions);
    });
  }
}

test('MobileNetV2 1.0 at 224 has the parameters that torchvision counts', () => {
  const { madds, parameters } = cost(buildClassifier(mobilenetV2));
  assert.equal(parameters, 3_504_872);
  assert.equal(madds, 300_774_272);
});

test('SSDLite MobileNetV2 at 300x300 with 91 classes: 749.504 M MAdds, 4.501 M parameters, 4.475 M folded', () => {
  const { graph } = buildSsdlite({
    name: 'ssdlite',
    backbone: mobilenetV2,
    resolution: 300,
    classes: 91,
    input: { kind: 'pixels', normalization: MINUS_ONE_TO_ONE },
    backboneStyle: mobilenetV2.style,
    headStyle: mobilenetV2.style,
  });
  const { madds, parameters, parametersFolded, layers } = cost(graph);
  assert.equal((madds / 1e6).toFixed(3), '749.504');
  assert.equal((parameters / 1e6).toFixed(3), '4.501');
  // OpenVINO's open_model_zoo states 4.475 M for the same network without batch normalisation.
  assert.equal((parametersFolded / 1e6).toFixed(3), '4.475');
  assert.equal(
    layers.reduce((sum, layer) => sum + layer.madds, 0),
    madds,
  );
});

test('work grows with the square of the resolution where strides divide it', () => {
  const at = (resolution: number) => cost(buildClassifier(mobilenetV2, { resolution })).madds - 1280 * 1000;
  assert.equal(at(448), 4 * at(224));
});
