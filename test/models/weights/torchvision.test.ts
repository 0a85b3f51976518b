// torchvision's names, at the widths of its own rule.
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { parametersOf } from '../../../models/graph/parameters.ts';
import type { Tensor } from '../../../models/graph/tensor.ts';
import { mapNamed } from '../../../models/weights/maps/maps.ts';
import { writeSafetensors } from '../../../models/weights/safetensors.ts';
import { trialRun } from '../../../server/inference/trial.ts';
import { readImported } from '../../../server/zoo/imported.ts';
import { importModel } from '../../../server/zoo/importer.ts';
import { networkOf } from '../../../server/zoo/network.ts';
import { ModelStore } from '../../../server/zoo/store.ts';

const SIDE = 64;

/** A record of one of torchvision's networks. */
function specOf(backbone: string, width = 1) {
  const map = mapNamed('torchvision');
  const styles = map.styles(backbone, 'classifier');
  return {
    name: backbone,
    head: 'classifier',
    backbone,
    width,
    outputStride: backbone.startsWith('squeezenet') ? 16 : 32,
    input: { width: SIDE, height: SIDE },
    normalization: map.normalization(backbone),
    backboneStyle: styles.backbone,
    headStyle: styles.head,
    classColumns: 10,
  } as const;
}

describe('a MobileNetV3 that is half as wide by the rule of torchvision', () => {
  // Shapes of mobilenet_v3_*(width_mult=0.5), torchvision 0.14: where the rule of TensorFlow and timm has others.
  for (const [backbone, shapes] of [
    [
      'mobilenet_v3_large',
      {
        'features.0.0.weight': [8, 3, 3, 3],
        'features.2.block.0.0.weight': [32, 8, 1, 1],
        'features.8.block.0.0.weight': [104, 40, 1, 1],
        'features.16.0.weight': [480, 80, 1, 1],
        'classifier.0.weight': [640, 480],
      },
    ],
    [
      'mobilenet_v3_small',
      {
        'features.0.0.weight': [8, 3, 3, 3],
        'features.2.block.0.0.weight': [40, 8, 1, 1],
        'features.12.0.weight': [288, 48, 1, 1],
        'classifier.0.weight': [512, 288],
      },
    ],
  ] as const) {
    test(`${backbone} is imported, and its record keeps the rule`, async () => {
      const spec = specOf(backbone, 0.5);
      const { graph } = networkOf(spec);
      const map = mapNamed('torchvision');
      const needed = new Map(parametersOf(graph).map(({ name, shape }) => [name, shape]));
      const checkpoint = new Map(
        map.recipes({ backbone, head: 'classifier', graph }).map(({ to, from }): [string, Tensor] => {
          const shape = needed.get(to) ?? [];
          // Kernels that keep a signal about as large as it is; scales and variances of a half.
          const data = new Float32Array(shape.reduce((a, b) => a * b, 1));
          data.fill(shape.length > 1 ? 0.5 / shape.slice(1).reduce((a, b) => a * b, 1) : 0.5);
          return [from[0] ?? '', { shape, data }];
        }),
      );
      for (const [name, shape] of Object.entries(shapes))
        assert.deepEqual(checkpoint.get(name)?.shape, shape, name);

      const home = await mkdtemp(join(tmpdir(), 'thinlens-torchvision-'));
      try {
        const file = join(home, 'half.safetensors');
        await writeFile(file, writeSafetensors(checkpoint));
        const { record } = await importModel(
          { file, name: 'half', backbone, width: 0.5, size: spec.input },
          new ModelStore(home),
          { trial: (onnx, size) => trialRun(onnx, size, 1) },
        );
        assert.deepEqual(readImported(home), { records: [record], faults: [] });
        assert.deepEqual(record.backboneStyle, spec.backboneStyle);
        assert.equal(record.backboneStyle.widthRule, 'torchvision');
      } finally {
        await rm(home, { recursive: true, force: true });
      }
    });
  }
});

describe('every module that torchvision 0.14 runs can be tapped', () => {
  // How many it runs, and what some of them give out of a photo of 64 x 64.
  for (const [backbone, modules, values] of [
    [
      'mobilenet_v2',
      212,
      {
        features: ['backbone.final.act', 1280, 2, 2],
        'features.0.0': ['backbone.stem.conv', 32, 32, 32],
        'features.0.2': ['backbone.stem.act', 32, 32, 32],
        'features.3.conv': ['backbone.stage2.1.project.bn', 24, 16, 16],
        'features.3': ['backbone.stage2.1.add', 24, 16, 16],
        'features.3.conv.0.1': ['backbone.stage2.1.expand.bn', 144, 16, 16],
        'features.3.conv.1.2': ['backbone.stage2.1.depthwise.act', 144, 16, 16],
        'classifier.0': ['flatten', 1280],
      },
    ],
    [
      'mobilenet_v3_large',
      254,
      {
        avgpool: ['classifier.pool', 960, 1, 1],
        'features.4.block.2': ['backbone.stage3.0.se.scale', 72, 8, 8],
        'features.4.block.2.fc1': ['backbone.stage3.0.se.reduce', 24, 1, 1],
        'features.5.block': ['backbone.stage3.1.project.bn', 40, 8, 8],
        'features.5.block.3': ['backbone.stage3.1.project.bn', 40, 8, 8],
        'classifier.2': ['classifier.act', 1280],
        classifier: ['classifier.output', 10],
      },
    ],
    ['mobilenet_v3_small', 208, { features: ['backbone.final.act', 576, 2, 2] }],
    [
      'shufflenet_v2',
      191,
      {
        conv1: ['backbone.stem.act', 24, 32, 32],
        'conv5.2': ['backbone.final.act', 1024, 2, 2],
        'stage2.0.branch1.4': ['backbone.stage2.0.left_pointwise.act', 58, 8, 8],
        'stage2.1.branch2.4': ['backbone.stage2.1.depthwise.bn', 58, 8, 8],
        stage3: ['backbone.stage3.7.shuffle', 232, 4, 4],
        fc: ['classifier', 10],
      },
    ],
    [
      'mnasnet_b1',
      181,
      {
        layers: ['backbone.final.act', 1280, 2, 2],
        'layers.5': ['backbone.stage1.0.depthwise.act', 32, 32, 32],
        'layers.8': ['backbone.stage2.2.add', 24, 16, 16],
        'layers.8.1.layers': ['backbone.stage2.1.project.bn', 24, 16, 16],
        'layers.16': ['backbone.final.act', 1280, 2, 2],
      },
    ],
    [
      'squeezenet_1_0',
      67,
      {
        'features.2': ['backbone.pool1', 96, 14, 14],
        'features.3.expand3x3_activation': ['backbone.fire2.expand3.act', 64, 14, 14],
        'classifier.2': ['classifier.act', 10, 3, 3],
        classifier: ['classifier.pool', 10, 1, 1],
      },
    ],
    ['squeezenet_1_1', 67, { features: ['backbone.fire9.concat', 512, 3, 3] }],
  ] as const) {
    test(`${backbone}: ${modules}`, () => {
      const spec = specOf(backbone);
      const { graph } = networkOf(spec);
      const taps = mapNamed('torchvision').taps({ backbone, head: 'classifier', graph });
      assert.equal(taps.size, modules);
      const wanted = [...new Set(taps.values())];
      // Throws where one of them is not there.
      const tapped = networkOf(spec, { taps: wanted });
      for (const [module, [value, ...shape]] of Object.entries(values)) {
        const name = tapped.outputs.get(taps.get(module) ?? '');
        const found = tapped.graph.values.get(name ?? '');
        assert.deepEqual([module, name, found?.shape], [module, value, shape]);
      }
    });
  }
});
