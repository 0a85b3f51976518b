// Sizes that photos are fitted to, and what makes one compiled network right for all of them.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { buildDeeplabv3 } from '../../../heads/deeplabv3/graph.ts';
import { alignedSide, fittedSize } from '../../../heads/deeplabv3/input_size.ts';
import { backbones } from '../../../models/backbones/registry.ts';
import { lower } from '../../../models/graph/lowering.ts';
import { mulberry32 } from '../../reference/noise.ts';

describe('fitted sizes', () => {
  for (const { photo, fitted } of [
    { photo: [640, 480], fitted: [513, 385] },
    { photo: [480, 640], fitted: [385, 513] },
    { photo: [1920, 1080], fitted: [513, 289] },
    { photo: [600, 600], fitted: [513, 513] },
    { photo: [1, 1], fitted: [513, 513] },
    // 342 lies between 337 and 353.
    { photo: [3000, 2000], fitted: [513, 337] },
    { photo: [5000, 3], fitted: [513, 17] },
  ] as const) {
    test(`${photo.join(' x ')} becomes ${fitted.join(' x ')}`, () => {
      const [width, height] = photo;
      assert.deepEqual(fittedSize({ width, height }, 513, 16), { width: fitted[0], height: fitted[1] });
    });
  }

  test('the long side is kept, the other is off by half a spacing at most', () => {
    const random = mulberry32(11);
    for (let i = 0; i < 1000; i++) {
      const width = 1 + Math.floor(random() * 5000);
      const height = 1 + Math.floor(random() * width);
      const spacing = random() < 0.5 ? 8 : 16;
      const fitted = fittedSize({ width, height }, 513, spacing);
      assert.equal(fitted.width, 513);
      assert.equal((fitted.height - 1) % spacing, 0);
      const exact = Math.max(spacing + 1, (512 * height) / width + 1);
      assert.ok(Math.abs(fitted.height - exact) <= spacing / 2, `${width} x ${height}: ${fitted.height}`);
    }
  });

  test('an aligned side stays, another goes to the nearest', () => {
    assert.deepEqual(
      [513, 512, 505, 504, 224, 1].map((side) => alignedSide(side, 16)),
      [513, 513, 513, 497, 225, 17],
    );
  });
});

describe('a network at two aligned sizes', () => {
  for (const backbone of backbones().filter(({ carriesHeads }) => carriesHeads)) {
    for (const outputStride of [8, 16] as const) {
      for (const form of ['mobile', 'aspp'] as const) {
        test(`${backbone.name}, ${form}, output stride ${outputStride}: what runs is the same`, () => {
          const nodesAt = (height: number, width: number, padding: 'same' | 'symmetric') => {
            const style = { ...backbone.style, padding };
            const { graph } = buildDeeplabv3({
              name: 'sized',
              backbone,
              form,
              outputStride,
              size: { height, width },
              classes: 3,
              input: { kind: 'tensor' },
              backboneStyle: style,
              headStyle: style,
            });
            return lower(graph).graph.nodes;
          };
          for (const padding of ['same', 'symmetric'] as const) {
            const large = nodesAt(513, 513, padding);
            assert.deepEqual(nodesAt(17, 97, padding), large);
            assert.deepEqual(nodesAt(897, 33, padding), large);
            assert.notDeepEqual(nodesAt(96, 134, 'same'), nodesAt(97, 129, 'same'));
          }
        });
      }
    }
  }
});
