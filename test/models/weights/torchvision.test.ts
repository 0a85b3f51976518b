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
          const data = new Float32Array(shape.reduce((a, b) => a * b, 1)).fill(0.5);
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
