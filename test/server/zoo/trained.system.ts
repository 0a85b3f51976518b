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

/** How each task is measured, and how far a figure may lie from the recorded one: another resize of the photos is in it. */
const MEASURES = {
  detection: {
    metric: 'AP',
    images: 155,
    difference: 0.003,
    args: ['--images', `${EVAL}/images`, '--annotations', `${EVAL}/instances.json`],
    // The kit measures as the server does.
    asTheKit: [],
  },
  segmentation: {
    metric: 'mIoU',
    images: 142,
    difference: 0.005,
    args: ['--images', `${EVAL}/images`, '--masks', `${EVAL}/masks`],
    asTheKit: ['--padded'],
  },
} as const;

const trained = catalog.filter(({ source }) => source.kind === 'package');

async function ok(args: readonly string[]): Promise<string> {
  const { exit, stdout, stderr } = await thinlens(args);
  assert.deepEqual(exit, [0, null], stderr);
  return stdout;
}

describe('the trained weights', () => {
  for (const { name, task } of trained) {
    if (task === 'classification') throw new Error(`${name}: nothing here measures a classifier`);
    const { metric, images, difference, args, asTheKit } = MEASURES[task];
    /** @param extra options of the measurement */
    const reaches = async (model: string, recorded: string, extra: readonly string[]) => {
      const wanted: number = JSON.parse(readFileSync(recorded, 'utf8')).measured[metric];
      const figures = JSON.parse(await ok(['eval', task, '--model', model, ...args, ...extra, '--json']));
      assert.equal(figures.images, images);
      const reached = figures[metric];
      assert.ok(Math.abs(reached - wanted) <= difference, `${metric} ${reached}, ${recorded} says ${wanted}`);
    };

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

    test(`${name} reaches the ${metric} that its record states`, () =>
      reaches(name, `weights/${name}.json`, []));

    test(`${name}'s first weights, imported, reach the ${metric} that theirs states`, async () => {
      await ok(['import', `${ZOO}/${name}.safetensors`, '--name', `first_${name}`]);
      await reaches(`first_${name}`, `${ZOO}/${name}.json`, asTheKit);
    });
  }
});
