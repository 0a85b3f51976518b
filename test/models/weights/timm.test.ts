// timm's names, shapes and numbers: its networks (version in the fixture) were given the seeded weights that are made here
// too, and recorded in double precision.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import type { Tensor } from '../../../models/graph/tensor.ts';
import { mapNamed } from '../../../models/weights/maps/maps.ts';
import { applyMap } from '../../../models/weights/maps/name_map.ts';
import { runNetwork } from '../../../server/inference/network_run.ts';
import { networkOf } from '../../../server/zoo/network.ts';
import type { ModelRecord } from '../../../server/zoo/record.ts';
import { mulberry32 } from '../../reference/noise.ts';

interface Sample {
  readonly shape: readonly number[];
  /** Every so many-th value is in `values`. */
  readonly every: number;
  /** Magnitude of the whole tensor. */
  readonly largest: number;
  readonly values: readonly number[];
}

const fixture = JSON.parse(readFileSync('test/fixtures/timm.json', 'utf8')) as {
  readonly models: readonly {
    readonly name: string;
    readonly backbone: string;
    readonly width: number;
    readonly map?: string;
    readonly parameters: number;
    readonly tensors: Readonly<Record<string, readonly number[]>>;
    readonly outputs: Readonly<Record<string, Sample>>;
  }[];
};

const SIDE = 96;
const CLASSES = 7;
const TOLERANCE = 1e-4;

/** FNV-1a: a seed out of a tensor's name. */
function seedOf(name: string): number {
  let hash = 0x811c9dc5;
  for (const byte of Buffer.from(name)) hash = Math.imul(hash ^ byte, 0x01000193) >>> 0;
  return hash;
}

/** Kernels that keep the signal's size; scales and variances of 0.5 to 1.5, the rest around 0. */
function seeded(name: string, shape: readonly number[]): Tensor {
  const size = (dimensions: readonly number[]) => dimensions.reduce((a, b) => a * b, 1);
  const random = mulberry32(seedOf(name));
  const wide = Math.sqrt(6 / size(shape.slice(1)));
  const value = (u: number) => {
    if (name.endsWith('num_batches_tracked')) return 0;
    if (shape.length > 1) return (2 * u - 1) * wide;
    return /running_var$|\.weight$/.test(name) ? 0.5 + u : (u - 0.5) * 0.5;
  };
  return { shape, data: Float32Array.from({ length: size(shape) }, () => value(random())) };
}

function input(): Float32Array {
  const random = mulberry32(seedOf('input'));
  return Float32Array.from({ length: 3 * SIDE * SIDE }, () => 2 * random() - 1);
}

describe('timm', () => {
  for (const {
    name,
    backbone,
    width,
    map: mapName = 'timm',
    parameters,
    tensors,
    outputs,
  } of fixture.models) {
    test(`${name}: names, shapes, outputs and taps`, async () => {
      const map = mapNamed(mapName);
      const styles = map.styles(backbone, 'classifier');
      const record: ModelRecord = {
        name: 'net',
        title: name,
        task: 'classification',
        head: 'classifier',
        backbone,
        width,
        outputStride: 32,
        input: { width: SIDE, height: SIDE },
        normalization: map.normalization(backbone),
        backboneStyle: styles.backbone,
        headStyle: styles.head,
        classColumns: CLASSES,
        dataset: 'custom',
        labels: [],
        licence: '',
        attribution: '',
        source: { kind: 'imported', file: '', bytes: 1, sha256: '', origin: '', map: mapName, leftOut: [] },
      };
      const checkpoint = new Map(Object.entries(tensors).map(([key, shape]) => [key, seeded(key, shape)]));
      const { graph } = networkOf(record);
      // Refuses whatever is missing, surplus or of another shape.
      const { weights, leftOut } = applyMap(map, { backbone, head: 'classifier', graph }, checkpoint, name);
      assert.ok(leftOut.every((key) => key.endsWith('.num_batches_tracked')));
      assert.equal(
        [...weights]
          .filter(([key]) => !key.includes('.running_'))
          .reduce((sum, [, { data }]) => sum + data.length, 0),
        parameters,
      );

      const taps = Object.keys(outputs).filter((key) => key !== 'logits');
      const given = await runNetwork(
        record,
        weights,
        { kind: 'tensor', data: input(), shape: [1, 3, SIDE, SIDE] },
        { taps, threads: 1 },
      );
      for (const [key, { shape, every, largest, values }] of Object.entries(outputs)) {
        const found = given.get(key) ?? assert.fail(`${key} is not there`);
        assert.deepEqual(found.shape, shape, key);
        values.forEach((value, at) => {
          const off = Math.abs((found.data[at * every] as number) - value) / largest;
          assert.ok(off <= TOLERANCE, `${key}, value ${at * every}: ${off}`);
        });
      }
    });
  }
});
