import type { Stats } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import type { Weights } from '../../models/graph/tensor.ts';
import { readCheckpoint } from '../../models/weights/checkpoint.ts';
import { WeightsError } from '../../models/weights/errors.ts';
import { jsonFault } from '../../models/weights/json.ts';
import { quote } from '../../models/weights/quote.ts';
import { readTfjsWeights, tfjsShards } from '../../models/weights/tfjs.ts';

/** A checkpoint that cannot be imported as it was asked. The message is a sentence for the person who asked. */
export class ImportError extends Error {
  override readonly name = 'ImportError';
}

/** Networks of this kind have some 50 MB; a file of more is something else, and is not read. */
export const MAX_CHECKPOINT_BYTES = 512 * 1024 * 1024;
const MAX_JSON_BYTES = 16 * 1024 * 1024;
const MAX_JSON_DEPTH = 64;

/**
 * A file's bytes.
 * @throws ImportError where it is missing, no plain file, or larger than `most`
 */
export async function readBounded(path: string, most: number): Promise<Buffer> {
  let info: Stats;
  try {
    info = await stat(path);
  } catch (error) {
    throw new ImportError(`${path} cannot be read: ${(error as Error).message}`);
  }
  if (!info.isFile()) throw new ImportError(`${path} is not a file`);
  if (info.size > most) throw new ImportError(`${path} has ${info.size} bytes; at most ${most} are read`);
  return readFile(path);
}

/** A JSON file. @throws ImportError naming the file where it is missing, too large, or not JSON */
export async function readJson(path: string): Promise<unknown> {
  return parseJson((await readBounded(path, MAX_JSON_BYTES)).toString('utf8'), path);
}

/** @throws ImportError naming the file where `text` is not JSON, nests too deep, or gives one key twice */
export function parseJson(text: string, path: string): unknown {
  const fault = jsonFault(text, MAX_JSON_DEPTH);
  try {
    // What is not JSON at all is said to be that.
    if (!fault || 'repeated' in fault) {
      const value: unknown = JSON.parse(text);
      if (!fault) return value;
    }
  } catch (error) {
    throw new ImportError(`${path} is not JSON: ${(error as Error).message}`);
  }
  throw new ImportError(
    'repeated' in fault
      ? `${path} gives ${quote(fault.repeated)} twice in one object`
      : `${path} nests deeper than ${fault.deeperThan} levels`,
  );
}

/**
 * The tensors of a checkpoint: safetensors, PyTorch, or a TF.js model.json with its shards beside it.
 * @throws ImportError where a file is missing or too large, WeightsError where it is not what it should be
 */
export async function readCheckpointFile(path: string): Promise<Weights> {
  const file = basename(path);
  if (!path.endsWith('.json')) {
    return readCheckpoint(await readBounded(path, MAX_CHECKPOINT_BYTES), file);
  }
  const model = await readJson(path);
  const shards = new Map<string, Uint8Array>();
  let left = MAX_CHECKPOINT_BYTES;
  for (const name of tfjsShards(model, file)) {
    const bytes = await readBounded(join(dirname(path), name), left);
    left -= bytes.length;
    shards.set(name, bytes);
  }
  const tensors = readTfjsWeights(model, shards, file);
  if (tensors.size === 0) throw new WeightsError(`${file} lists no weights`);
  return tensors;
}
