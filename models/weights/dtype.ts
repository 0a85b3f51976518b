import { decodeBfloat16, decodeHalf } from './half.ts';

/** How a checkpoint stores an element, by safetensors' names. Little-endian. */
export type Dtype =
  | 'F64'
  | 'F32'
  | 'F16'
  | 'BF16'
  | 'I64'
  | 'U64'
  | 'I32'
  | 'U32'
  | 'I16'
  | 'U16'
  | 'I8'
  | 'U8'
  | 'BOOL';

/** Bytes an element takes. */
export const DTYPE_BYTES: ReadonlyMap<string, number> = new Map<Dtype, number>([
  ['F64', 8],
  ['F32', 4],
  ['F16', 2],
  ['BF16', 2],
  ['I64', 8],
  ['U64', 8],
  ['I32', 4],
  ['U32', 4],
  ['I16', 2],
  ['U16', 2],
  ['I8', 1],
  ['U8', 1],
  ['BOOL', 1],
]);

export const isDtype = (name: unknown): name is Dtype => typeof name === 'string' && DTYPE_BYTES.has(name);

/** Whether `value` is a whole number of at least 0 that a double holds exactly. */
export const isCount = (value: unknown): value is number =>
  Number.isSafeInteger(value) && (value as number) >= 0;

/** How many elements `shape` has, or undefined where that is beyond what a double counts exactly. */
export function elementCount(shape: readonly number[]): number | undefined {
  let count = 1;
  for (const size of shape) {
    count *= size;
    if (!isCount(count)) return undefined;
  }
  return count;
}

/**
 * Decodes all of `bytes` (whole elements, any alignment) to float32 of its own memory. Doubles and integers beyond
 * 2^24 are rounded to the nearest float32.
 */
export function decode(dtype: Dtype, bytes: Uint8Array): Float32Array {
  const size = DTYPE_BYTES.get(dtype) as number;
  if (dtype === 'F32') return new Float32Array(new Uint8Array(bytes).buffer);
  // Typed arrays demand alignment, the formats do not promise it.
  const { buffer, byteOffset } = bytes.byteOffset % size === 0 ? bytes : new Uint8Array(bytes);
  const length = bytes.length / size;
  switch (dtype) {
    case 'F64':
      return new Float32Array(new Float64Array(buffer, byteOffset, length));
    case 'F16':
      return decodeHalf(new Uint16Array(buffer, byteOffset, length));
    case 'BF16':
      return decodeBfloat16(new Uint16Array(buffer, byteOffset, length));
    case 'I64':
      return decodeLong(
        new Uint32Array(buffer, byteOffset, length * 2),
        new Int32Array(buffer, byteOffset, length * 2),
      );
    case 'U64': {
      const words = new Uint32Array(buffer, byteOffset, length * 2);
      return decodeLong(words, words);
    }
    case 'I32':
      return new Float32Array(new Int32Array(buffer, byteOffset, length));
    case 'U32':
      return new Float32Array(new Uint32Array(buffer, byteOffset, length));
    case 'I16':
      return new Float32Array(new Int16Array(buffer, byteOffset, length));
    case 'U16':
      return new Float32Array(new Uint16Array(buffer, byteOffset, length));
    case 'I8':
      return new Float32Array(new Int8Array(buffer, byteOffset, length));
    case 'U8':
    case 'BOOL':
      return new Float32Array(bytes);
  }
}

/** 64-bit integers without a BigInt an element: low words from one array, high words from the other. */
function decodeLong(low: Uint32Array, high: Uint32Array | Int32Array): Float32Array {
  const floats = new Float32Array(low.length / 2);
  for (let i = 0; i < floats.length; i++) {
    floats[i] = (high[i * 2 + 1] as number) * 2 ** 32 + (low[i * 2] as number);
  }
  return floats;
}
