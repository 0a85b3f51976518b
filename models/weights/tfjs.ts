import type { Tensor } from '../graph/tensor.ts';
import { tensor } from '../graph/tensor.ts';
import type { Dtype } from './dtype.ts';
import { DTYPE_BYTES, decode, elementCount, isCount } from './dtype.ts';
import { WeightsError } from './errors.ts';
import { isRecord } from './json.ts';
import { quote } from './quote.ts';

/** One weight of a TF.js manifest. */
interface ManifestWeight {
  readonly name: string;
  readonly shape: readonly number[];
  readonly dtype: string;
  readonly quantization?: { readonly dtype: string; readonly scale?: number; readonly min?: number };
}

interface ManifestGroup {
  readonly paths: readonly string[];
  readonly weights: readonly ManifestWeight[];
}

/** How an element is stored, by the manifest's dtype (or the quantised one). */
const STORED_AS: ReadonlyMap<string, Dtype> = new Map<string, Dtype>([
  ['float32', 'F32'],
  ['int32', 'I32'],
  ['float16', 'F16'],
  ['uint16', 'U16'],
  ['uint8', 'U8'],
  ['bool', 'U8'],
]);

function checkWeight(value: unknown, file: string): ManifestWeight {
  if (!isRecord(value) || typeof value.name !== 'string' || typeof value.dtype !== 'string') {
    throw new WeightsError(`${file}: a weight of the manifest has no name or dtype`);
  }
  const { name, dtype, shape, quantization } = value;
  if (!Array.isArray(shape) || !shape.every(isCount)) {
    throw new WeightsError(`${file}: the shape of ${quote(name)} must be an array of whole numbers`);
  }
  if (quantization !== undefined && (!isRecord(quantization) || typeof quantization.dtype !== 'string')) {
    throw new WeightsError(`${file}: the quantization of ${quote(name)} has no dtype`);
  }
  for (const part of ['scale', 'min'] as const) {
    if (isRecord(quantization) && !['number', 'undefined'].includes(typeof quantization[part])) {
      throw new WeightsError(`${file}: the quantization of ${quote(name)} has a ${part} that is no number`);
    }
  }
  return {
    name,
    dtype,
    shape,
    ...(isRecord(quantization) && {
      quantization: quantization as unknown as NonNullable<ManifestWeight['quantization']>,
    }),
  };
}

/** The weight groups that a model.json lists. @throws WeightsError naming `file` where it is no TF.js manifest. */
function manifestOf(model: unknown, file: string): ManifestGroup[] {
  const groups = isRecord(model) ? model.weightsManifest : undefined;
  if (!Array.isArray(groups))
    throw new WeightsError(`${file}: no weightsManifest; a TF.js model.json has one`);
  return groups.map((group: unknown) => {
    if (!isRecord(group) || !Array.isArray(group.paths) || !Array.isArray(group.weights)) {
      throw new WeightsError(`${file}: a group of the weightsManifest has no paths or weights`);
    }
    if (group.paths.some((path) => typeof path !== 'string' || path.includes('/') || path.includes('\\'))) {
      throw new WeightsError(`${file}: shard paths must be plain file names beside the manifest`);
    }
    return {
      paths: group.paths as string[],
      weights: group.weights.map((weight) => checkWeight(weight, file)),
    };
  });
}

/** File names of the shards that belong to a model.json, in order. @throws WeightsError */
export function tfjsShards(model: unknown, file: string): string[] {
  return manifestOf(model, file).flatMap(({ paths }) => paths);
}

function decodeWeight({ quantization }: ManifestWeight, dtype: Dtype, bytes: Uint8Array): Float32Array {
  const values = decode(dtype, bytes);
  const { scale = 1, min = 0 } = quantization ?? {};
  if (dtype !== 'U8' && dtype !== 'U16') return values;
  for (let i = 0; i < values.length; i++) values[i] = (values[i] as number) * scale + min;
  return values;
}

/**
 * Reads the weights of a TF.js graph or layers model (model.json and its binary shards), dequantised to float32.
 * Format: tensorflow/tfjs tfjs-core/src/io/types.ts (WeightsManifestConfig). Lengths are checked before anything is
 * allocated; no shard is used twice, so the tensors take at most four times the shards' bytes.
 * @param model the parsed model.json
 * @param shards the shard files by name, see `tfjsShards`
 * @param file name used in errors
 * @throws WeightsError naming the file and what does not fit.
 */
export function readTfjsWeights(
  model: unknown,
  shards: ReadonlyMap<string, Uint8Array>,
  file: string,
): Map<string, Tensor> {
  const tensors = new Map<string, Tensor>();
  const used = new Set<string>();
  for (const group of manifestOf(model, file)) {
    const parts = group.paths.map((path) => {
      const bytes = shards.get(path);
      if (!bytes) throw new WeightsError(`${file}: shard ${quote(path)} is missing`);
      // Else a short manifest could make much of a small shard.
      if (used.has(path)) throw new WeightsError(`${file}: shard ${quote(path)} is listed twice`);
      used.add(path);
      return bytes;
    });
    const bytes = Buffer.concat(parts);
    let at = 0;
    for (const weight of group.weights) {
      const stored = weight.quantization?.dtype ?? weight.dtype;
      const dtype = STORED_AS.get(stored);
      if (!dtype) {
        throw new WeightsError(
          `${file}: ${quote(weight.name)} is of type ${quote(stored)}, which this reader does not know`,
        );
      }
      const count = elementCount(weight.shape) ?? Number.POSITIVE_INFINITY;
      const end = at + count * (DTYPE_BYTES.get(dtype) as number);
      if (!(end <= bytes.length)) {
        throw new WeightsError(
          `${file}: ${quote(weight.name)} ends at byte ${end}, but its shards hold ${bytes.length} (truncated?)`,
        );
      }
      if (tensors.has(weight.name)) throw new WeightsError(`${file}: ${quote(weight.name)} is listed twice`);
      tensors.set(weight.name, tensor(weight.shape, decodeWeight(weight, dtype, bytes.subarray(at, end))));
      at = end;
    }
    if (at !== bytes.length) {
      throw new WeightsError(`${file}: the shards hold ${bytes.length} bytes, the manifest describes ${at}`);
    }
  }
  return tensors;
}
