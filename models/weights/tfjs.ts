import type { Tensor } from '../graph/tensor.ts';
import { tensor } from '../graph/tensor.ts';
import { WeightsError } from './errors.ts';

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

/** Bytes an element as stored, by the manifest's dtype (or the quantised one). */
const ELEMENT_BYTES: Readonly<Record<string, number>> = {
  float32: 4,
  int32: 4,
  float16: 2,
  uint16: 2,
  uint8: 1,
  bool: 1,
};

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null;

function checkWeight(value: unknown, file: string): ManifestWeight {
  if (!isRecord(value) || typeof value.name !== 'string' || typeof value.dtype !== 'string') {
    throw new WeightsError(`${file}: a weight of the manifest has no name or dtype`);
  }
  const { name, dtype, shape, quantization } = value;
  if (!Array.isArray(shape) || shape.some((size) => !Number.isSafeInteger(size) || size < 0)) {
    throw new WeightsError(`${file}: the shape of '${name}' must be an array of whole numbers`);
  }
  if (quantization !== undefined && (!isRecord(quantization) || typeof quantization.dtype !== 'string')) {
    throw new WeightsError(`${file}: the quantization of '${name}' has no dtype`);
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

/** IEEE half precision to single. */
function halfToFloat(half: number): number {
  const sign = half & 0x8000 ? -1 : 1;
  const exponent = (half >> 10) & 0x1f;
  const fraction = half & 0x3ff;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

function decodeWeight(weight: ManifestWeight, view: DataView, count: number, file: string): Float32Array {
  const stored = weight.quantization?.dtype ?? weight.dtype;
  const { scale = 1, min = 0 } = weight.quantization ?? {};
  const values = new Float32Array(count);
  for (let i = 0; i < count; i++) {
    switch (stored) {
      case 'float32':
        values[i] = view.getFloat32(i * 4, true);
        break;
      case 'int32':
        values[i] = view.getInt32(i * 4, true);
        break;
      case 'float16':
        values[i] = halfToFloat(view.getUint16(i * 2, true));
        break;
      case 'uint16':
        values[i] = view.getUint16(i * 2, true) * scale + min;
        break;
      case 'uint8':
      case 'bool':
        values[i] = view.getUint8(i) * scale + min;
        break;
      default:
        throw new WeightsError(
          `${file}: '${weight.name}' is of type ${stored}, which this reader does not know`,
        );
    }
  }
  return values;
}

/**
 * Reads the weights of a TF.js graph or layers model (model.json and its binary shards), dequantised to float32.
 * Format: tensorflow/tfjs tfjs-core/src/io/types.ts (WeightsManifestConfig). Lengths are checked before anything is
 * allocated; nothing of the file is executed.
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
  for (const group of manifestOf(model, file)) {
    const parts = group.paths.map((path) => {
      const bytes = shards.get(path);
      if (!bytes) throw new WeightsError(`${file}: shard '${path}' is missing`);
      return bytes;
    });
    const bytes = Buffer.concat(parts);
    let at = 0;
    for (const weight of group.weights) {
      const stored = weight.quantization?.dtype ?? weight.dtype;
      const size = ELEMENT_BYTES[stored];
      if (!size)
        throw new WeightsError(
          `${file}: '${weight.name}' is of type ${stored}, which this reader does not know`,
        );
      const count = weight.shape.reduce((product, dimension) => product * dimension, 1);
      const end = at + count * size;
      if (!(end <= bytes.length)) {
        throw new WeightsError(
          `${file}: '${weight.name}' ends at byte ${end}, but its shards hold ${bytes.length} (truncated?)`,
        );
      }
      if (tensors.has(weight.name)) throw new WeightsError(`${file}: '${weight.name}' is listed twice`);
      const view = new DataView(bytes.buffer, bytes.byteOffset + at, count * size);
      tensors.set(weight.name, tensor(weight.shape, decodeWeight(weight, view, count, file)));
      at = end;
    }
    if (at !== bytes.length) {
      throw new WeightsError(`${file}: the shards hold ${bytes.length} bytes, the manifest describes ${at}`);
    }
  }
  return tensors;
}
