// What holds for every backbone at every width and output stride, read off the graphs.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Backbone, Features, OutputStride } from '../../../models/backbones/backbone.ts';
import { featuresOf } from '../../../models/backbones/backbone.ts';
import { backboneNamed, backbones, registerBackbone } from '../../../models/backbones/registry.ts';
import { GraphBuilder } from '../../../models/graph/builder.ts';
import type { Graph, Value } from '../../../models/graph/graph.ts';
import { valueNamed } from '../../../models/graph/graph.ts';
import { parametersOf } from '../../../models/graph/parameters.ts';

// Even and odd: odd sizes are what a stride must round up.
const HEIGHT = 225;
const WIDTH = 320;

function build(backbone: Backbone, width: number, outputStride: OutputStride) {
  const builder = new GraphBuilder('structure');
  const image = builder.input('image', 'float32', [3, HEIGHT, WIDTH]);
  const features = featuresOf(backbone, builder, image, { width, outputStride, style: backbone.style });
  return { features, graph: builder.build([features.final]) };
}

/** Input pixels a cell: the power of 2 next to the ratio of sizes, as maps without padding are a little smaller. */
const strideOf = ({ shape }: Value) => 2 ** Math.round(Math.log2(HEIGHT / (shape[1] ?? 0)));

/** SqueezeNet's maps lose a border, so that only their nearest stride can be said. */
const padded = (backbone: Backbone) => !backbone.name.startsWith('squeezenet');

function checkFeatures(backbone: Backbone, features: Features, outputStride: OutputStride) {
  const strides = [2, 4, 8, 16, 32].filter((stride) => stride <= outputStride);
  assert.deepEqual([...features.byStride.keys()], strides);
  for (const [stride, value] of features.byStride) {
    assert.equal(strideOf(value), stride, value.name);
    const size = [Math.ceil(HEIGHT / stride), Math.ceil(WIDTH / stride)];
    if (padded(backbone)) assert.deepEqual(value.shape.slice(1), size, value.name);
  }
  assert.equal(features.byStride.get(outputStride), features.final);
  assert.equal(strideOf(features.expansion), Math.min(16, outputStride));
  assert.deepEqual(features.bottleneck.shape.slice(1), features.final.shape.slice(1));
}

/** Every layer at `outputStride` against the same layer where no stride gives way. */
function checkDilation(plain: Graph, dilated: Graph, outputStride: OutputStride) {
  assert.deepEqual(
    dilated.nodes.map(({ name }) => name),
    plain.nodes.map(({ name }) => name),
  );
  for (const node of dilated.nodes) {
    const before = strideOf(valueNamed(plain, node.inputs[0] ?? ''));
    const after = strideOf(valueNamed(plain, node.name));
    // Means over the whole map, and the factors made of them, have no stride.
    const [, height = 0, width = 0] = valueNamed(plain, node.name).shape;
    if (height === 1 && width === 1) continue;
    assert.equal(strideOf(valueNamed(dilated, node.name)), Math.min(after, outputStride), node.name);
    if (node.op !== 'conv' || node.kernel[0] === 1) continue;
    assert.equal(node.dilation, Math.max(1, before / outputStride), `dilation of ${node.name}`);
  }
  const parameters = (graph: Graph) => parametersOf(graph).map(({ name, shape }) => [name, ...shape]);
  assert.deepEqual(parameters(dilated), parameters(plain));
}

for (const backbone of backbones()) {
  describe(backbone.name, () => {
    const last = Math.max(...backbone.outputStrides) as OutputStride;
    for (const width of backbone.widths) {
      for (const outputStride of backbone.outputStrides) {
        test(`${width} at output stride ${outputStride}: maps, dilation, same weights as at ${last}`, () => {
          const { features, graph } = build(backbone, width, outputStride);
          checkFeatures(backbone, features, outputStride);
          checkDilation(build(backbone, width, last).graph, graph, outputStride);
        });
      }
    }

    test('names every node after its block', () => {
      for (const { name, block } of build(backbone, 1, last).graph.nodes) {
        if (block === undefined) assert.match(name, /^backbone\.(stem|final|pool\d?)(\.(conv|bn|act))?$/);
        else assert.ok(name.startsWith(`${block}.`), `${name} is in ${block}`);
      }
    });
  });
}

describe("SSDLite's and DeepLabv3's maps at width 1, at 320x320", () => {
  for (const [name, expansion, bottleneck, final] of [
    ['mobilenet_v1', 512, 1024, 1024],
    ['mobilenet_v2', 576, 320, 1280],
    ['mobilenet_v3_large', 672, 160, 960],
    ['mobilenet_v3_small', 288, 96, 576],
    ['mnasnet_a1', 672, 320, 1280],
    ['mnasnet_b1', 576, 320, 1280],
    ['mnasnet_small', 192, 144, 1280],
    ['shufflenet_v2', 232, 464, 1024],
  ] as const) {
    test(`${name}: ${expansion} channels at stride 16, ${bottleneck} and ${final} at 32`, () => {
      const builder = new GraphBuilder(name);
      const image = builder.input('image', 'float32', [3, 320, 320]);
      const backbone = backboneNamed(name);
      const { style } = backbone;
      const features = featuresOf(backbone, builder, image, { width: 1, outputStride: 32, style });
      assert.deepEqual(features.expansion.shape, [expansion, 20, 20]);
      assert.deepEqual(features.bottleneck.shape, [bottleneck, 10, 10]);
      assert.deepEqual(features.final.shape, [final, 10, 10]);
    });
  }
});

describe('the registry', () => {
  test('has every family', () => {
    assert.deepEqual(
      backbones().map(({ name }) => name),
      [
        'mobilenet_v1',
        'mobilenet_v2',
        'mobilenet_v3_large',
        'mobilenet_v3_small',
        'shufflenet_v1_g1',
        'shufflenet_v1_g2',
        'shufflenet_v1_g3',
        'shufflenet_v1_g4',
        'shufflenet_v1_g8',
        'shufflenet_v2',
        'mnasnet_a1',
        'mnasnet_b1',
        'mnasnet_small',
        'squeezenet_1_0',
        'squeezenet_1_1',
      ],
    );
  });

  test('refuses a name twice, and lists what it has for one that it has not', () => {
    assert.throws(() => registerBackbone(backboneNamed('mnasnet_a1')), /'mnasnet_a1' is registered already/);
    assert.throws(() => backboneNamed('resnet'), /no backbone 'resnet'; known are mobilenet_v1, /);
  });

  test('refuses an output stride that a network does not have', () => {
    assert.throws(
      () => build(backboneNamed('squeezenet_1_0'), 1, 32),
      /squeezenet_1_0 has no output stride 32: it can have 8, 16/,
    );
  });
});

test('MobileNetV3 of half the width keeps the 16 channels of its stem, as its published checkpoint does', () => {
  for (const [width, channels] of [
    [0.5, 16],
    [0.75, 16],
    [1, 16],
    [1.5, 24],
  ] as const) {
    const { graph } = build(backboneNamed('mobilenet_v3_small'), width, 32);
    assert.equal(valueNamed(graph, 'backbone.stem.conv').shape[0], channels);
  }
});
