import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { SsdliteOptions } from '../../../heads/ssdlite/graph.ts';
import { buildSsdlite } from '../../../heads/ssdlite/graph.ts';
import type { Backbone } from '../../../models/backbones/backbone.ts';
import { convBlock } from '../../../models/backbones/blocks.ts';
import { mnasnetA1 } from '../../../models/backbones/mnasnet.ts';
import { mobilenetV1 } from '../../../models/backbones/mobilenet_v1.ts';
import { mobilenetV2 } from '../../../models/backbones/mobilenet_v2.ts';
import { mobilenetV3Large, mobilenetV3Small } from '../../../models/backbones/mobilenet_v3.ts';
import { makeDivisible } from '../../../models/backbones/width.ts';
import { cost } from '../../../models/graph/cost.ts';

const options: SsdliteOptions = {
  name: 'ssdlite',
  backbone: mobilenetV2,
  resolution: 320,
  classes: 81,
  input: { kind: 'tensor' },
  backboneStyle: mobilenetV2.style,
  headStyle: mobilenetV2.style,
};

const costOf = (more: Partial<SsdliteOptions>) => cost(buildSsdlite({ ...options, ...more }).graph);

/** The part that the nodes of the head have in a network's cost. */
function headOf(more: Partial<SsdliteOptions>) {
  const layers = costOf(more).layers.filter(({ name }) => name.startsWith('head.'));
  const sum = (key: 'madds' | 'parameters') => layers.reduce((total, layer) => total + layer[key], 0);
  return { millions: (sum('parameters') / 1e6).toFixed(3), billions: (sum('madds') / 1e9).toFixed(3) };
}

describe('heads on MobileNetV2 at 320x320 for 80 classes and the background, Table 5 of arXiv 1801.04381', () => {
  test('plain SSD: 14.78 M parameters, 1.259 B MAdds (printed: 14.8 and 1.25)', () => {
    assert.deepEqual(headOf({ form: 'ssd' }), { millions: '14.777', billions: '1.259' });
  });

  // The table prints 0.35 B MAdds: about twice this, as if multiplications and additions had been counted one by one.
  test('SSDLite: 2.113 M parameters, 0.178 B MAdds', () => {
    assert.deepEqual(headOf({}), { millions: '2.113', billions: '0.178' });
  });
});

/** TensorFlow's detection models scale the final convolution and the extra layers with the rest; its classifiers do not. */
const allScaled = (backbone: Backbone, width: number): Partial<SsdliteOptions> => ({
  width,
  extraWidth: width,
  backbone: {
    ...backbone,
    features(builder, x, given) {
      const features = backbone.features(builder, x, given);
      const channels = makeDivisible(1280 * width);
      const final = convBlock(builder, 'backbone.narrow', features.bottleneck, { channels }, given.style);
      return { ...features, final };
    },
  },
});

describe('whole detectors at 320x320', () => {
  // Table 6 of arXiv 1801.04381: 80 classes and the background, batch normalisation counted.
  for (const [backbone, millions, billions] of [
    [mobilenetV1, '5.1', '1.3'],
    [mobilenetV2, '4.3', '0.8'],
  ] as const) {
    test(`${backbone.title}: ${millions} M parameters, ${billions} B MAdds`, () => {
      const { parameters, madds } = costOf({ backbone });
      assert.equal((parameters / 1e6).toFixed(1), millions);
      assert.equal((madds / 1e9).toFixed(1), billions);
    });
  }

  // Table 6 of arXiv 1905.02244: its figures are those of 91 columns, without batch normalisation. Where the print differs,
  // the count stands here and the print beside it.
  for (const [title, options, millions, billions] of [
    ['MnasNet-A1', { backbone: mnasnetA1 }, 4.88, 0.84],
    ['MobileNetV3-Large', { backbone: mobilenetV3Large }, 4.97, 0.613], // 0.62 in print
    ['MobileNetV3-Small', { backbone: mobilenetV3Small }, 2.49, 0.21],
    ['MobileNetV2 0.5', allScaled(mobilenetV2, 0.5), 1.54, 0.27],
    ['MobileNetV2 0.35', allScaled(mobilenetV2, 0.35), 0.93, 0.167], // 0.16 in print, cut off
    ['MnasNet-A1 0.5', allScaled(mnasnetA1, 0.5), 1.68, 0.29],
    ['MnasNet-A1 0.35', allScaled(mnasnetA1, 0.35), 1.02, 0.177], // 0.18 in print, rounded
  ] as const satisfies readonly (readonly [string, Partial<SsdliteOptions>, number, number])[]) {
    test(`${title}: within 1 % of ${millions} M parameters and ${billions} B MAdds`, () => {
      const { parametersFolded, madds } = costOf({ ...options, classes: 91 });
      const off = (value: number, wanted: number) => Math.abs(value / wanted - 1);
      assert.ok(off(parametersFolded / 1e6, millions) < 0.01, `${parametersFolded}`);
      assert.ok(off(madds / 1e9, billions) < 0.01, `${madds}`);
    });
  }

  test('width alone narrows neither the final convolution nor the extra layers', () => {
    const shapes = (more: Partial<SsdliteOptions>) =>
      new Map(costOf(more).layers.map(({ name, shape }) => [name, shape[0]]));
    const narrow = shapes({ width: 0.35 });
    assert.equal(narrow.get('backbone.final.conv'), 1280);
    assert.equal(narrow.get('head.extras.0.project.conv'), 512);
    assert.equal(shapes({ extraWidth: 0.05 }).get('head.extras.3.reduce.conv'), 16);
  });
});

describe('the two forms', () => {
  test('give outputs of the same shapes on the same grids', () => {
    const [lite, plain] = [buildSsdlite(options), buildSsdlite({ ...options, form: 'ssd' })];
    assert.deepEqual(plain.grids, lite.grids);
    assert.deepEqual(plain.graph.outputs, lite.graph.outputs);
  });

  test('plain SSD has no depthwise convolution in its head', () => {
    const grouped = buildSsdlite({ ...options, form: 'ssd' }).graph.nodes.filter(
      (node) => node.op === 'conv' && node.name.startsWith('head.') && node.groups > 1,
    );
    assert.deepEqual(grouped, []);
  });
});

test('taps come after the two outputs, in the order asked for', () => {
  const { graph } = buildSsdlite({ ...options, taps: ['backbone.stage6.0', 'head.extras.1'] });
  assert.deepEqual(
    graph.outputs.map(({ name }) => name),
    ['box_encodings', 'class_logits', 'backbone.stage6.0.project.bn', 'head.extras.1.project.act'],
  );
});
