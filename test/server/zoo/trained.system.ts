// The weights that this project trained and serves: what PyTorch computes with them, and what they reach on COCO photos.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { catalog } from '../../../server/zoo/catalog.ts';
import { readFixture } from '../../safetensors.ts';
import { home, thinlens } from '../child.ts';

const EVAL = '../shared/eval';
const ZOO = '../shared/zoo/weights';
const TOLERANCE = 1e-4;
/** AP may differ by as much as another resize of the photos makes of it. */
const POINTS = 0.003;

/** Writes seeded pixels, and what the kit's PyTorch network gives for them. */
const REFERENCE = `
import sys
sys.path.insert(0, 'training')
from export import drawn_pixels, reference_outputs
from network import INPUT
from tensors import write_tensors
from weights import load_exported
net, _ = load_exported(sys.argv[1])
write_tensors(sys.argv[2], reference_outputs(net, drawn_pixels(INPUT[net.task])), {})
`;

const trained = catalog.filter(({ source }) => source.kind === 'package').map(({ name }) => name);

async function ok(args: readonly string[]): Promise<string> {
  const { exit, stdout, stderr } = await thinlens(args);
  assert.deepEqual(exit, [0, null], stderr);
  return stdout;
}

async function averagePrecision(model: string): Promise<number> {
  const files = ['--images', `${EVAL}/images`, '--annotations', `${EVAL}/instances.json`];
  const { AP, images } = JSON.parse(await ok(['eval', 'detection', '--model', model, ...files, '--json']));
  assert.equal(images, 155);
  return AP;
}

const recordedAp = (path: string): number => JSON.parse(readFileSync(path, 'utf8')).measured.AP;

describe('the trained weights', () => {
  for (const name of trained) {
    test(`${name} gives what it gives in PyTorch`, async () => {
      const reference = join(home, `${name}.reference.safetensors`);
      execFileSync('/usr/bin/python3', ['-c', REFERENCE, `weights/${name}.safetensors`, reference]);
      const out = join(home, `${name}.out.safetensors`);
      await ok(['run', name, '--input', reference, '--out', out]);
      const recorded = readFixture(reference);
      for (const [key, { shape, data }] of readFixture(out)) {
        const golden = recorded.get(key);
        assert.deepEqual(shape, golden?.shape);
        const wanted = golden?.data as Float32Array;
        const largest = wanted.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
        const furthest = wanted.reduce(
          (most, value, at) => Math.max(most, Math.abs(value - Number(data[at]))),
          0,
        );
        assert.ok(largest > 0 && furthest <= TOLERANCE * largest, `${key}: ${furthest / largest}`);
      }
    });

    test(`${name} reaches the AP that its record states`, async () => {
      const recorded = recordedAp(`weights/${name}.json`);
      const AP = await averagePrecision(name);
      assert.ok(Math.abs(AP - recorded) <= POINTS, `AP ${AP}, the record says ${recorded}`);
    });

    test(`${name}'s first weights, imported, reach the AP that theirs states`, async () => {
      await ok(['import', `${ZOO}/${name}.safetensors`, '--name', `first_${name}`]);
      const recorded = recordedAp(`${ZOO}/${name}.json`);
      const AP = await averagePrecision(`first_${name}`);
      assert.ok(Math.abs(AP - recorded) <= POINTS, `AP ${AP}, the record says ${recorded}`);
    });
  }
});
