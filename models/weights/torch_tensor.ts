import type { Tensor } from '../graph/tensor.ts';
import { tensor } from '../graph/tensor.ts';
import type { Dtype } from './dtype.ts';
import { DTYPE_BYTES, decode, elementCount, isCount } from './dtype.ts';
import { WeightsError } from './errors.ts';
import { PickleDict, PickleGlobal } from './pickle.ts';
import { quote } from './quote.ts';

/** A run of elements of one type that tensors of a PyTorch checkpoint look into. */
export interface TorchStorage {
  readonly key: string;
  readonly dtype: Dtype;
  readonly count: number;
}

/** A storage, or the part of one that old files name on its own. Offset and count are elements. */
class StorageView {
  readonly storage: TorchStorage;
  readonly offset: number;
  readonly count: number;

  constructor(storage: TorchStorage, offset: number, count: number) {
    this.storage = storage;
    this.offset = offset;
    this.count = count;
  }
}

/** The longest key of a storage. PyTorch numbers them, or takes an address. */
const MAX_KEY = 100;
/** PyTorch's own limit. */
const MAX_DIMENSIONS = 64;

/** A tensor as the pickle describes it: which elements of which storage, all of them inside it. */
export class TorchTensor {
  readonly storage: TorchStorage;
  /** The first element, and the distance to the next along each dimension; elements. */
  readonly offset: number;
  readonly shape: readonly number[];
  readonly strides: readonly number[];
  readonly count: number;

  /** @throws WeightsError where it is no such tensor, or reaches beyond its storage. */
  constructor(view: unknown, offset: unknown, shape: unknown, strides: unknown, file: string) {
    const refuse = (reason: string) => new WeightsError(`${file}: a tensor ${reason}`);
    if (!(view instanceof StorageView)) throw refuse('looks into something that is no storage');
    if (!isCount(offset)) throw refuse('begins at no whole number');
    if (!Array.isArray(shape) || !Array.isArray(strides) || shape.length !== strides.length) {
      throw refuse('has a shape and strides that do not match');
    }
    if (shape.length > MAX_DIMENSIONS)
      throw refuse(`has ${shape.length} dimensions; PyTorch has ${MAX_DIMENSIONS} at most`);
    if (!shape.every(isCount) || !strides.every(isCount))
      throw refuse('has a shape or strides that are no whole numbers');
    const count = elementCount(shape);
    if (count === undefined) throw refuse('has a shape beyond any memory');
    // Sums beyond 2^53 are inexact, but then far beyond every storage.
    const last = shape.reduce((sum, size, axis) => sum + (size - 1) * strides[axis], offset);
    if (count > 0 && !(last < view.count)) {
      throw refuse(`reaches element ${last} of storage ${quote(view.storage.key)}, which has ${view.count}`);
    }
    this.storage = view.storage;
    this.offset = view.offset + offset;
    // Copies: the pickle could append to its own lists afterwards.
    this.shape = [...shape];
    this.strides = [...strides];
    this.count = count;
  }
}

/** Types of storages by PyTorch's class names. An untyped one holds bytes. */
const STORAGE_TYPES: ReadonlyMap<string, Dtype> = new Map<string, Dtype>([
  ['torch.DoubleStorage', 'F64'],
  ['torch.FloatStorage', 'F32'],
  ['torch.HalfStorage', 'F16'],
  ['torch.BFloat16Storage', 'BF16'],
  ['torch.LongStorage', 'I64'],
  ['torch.IntStorage', 'I32'],
  ['torch.ShortStorage', 'I16'],
  ['torch.CharStorage', 'I8'],
  ['torch.ByteStorage', 'U8'],
  ['torch.BoolStorage', 'BOOL'],
  ['torch.storage.UntypedStorage', 'U8'],
]);

/** The storages that one checkpoint's pickle names, by their keys. */
export class TorchStorages {
  /** By `#id` of their keys. */
  readonly #storages = new Map<string, TorchStorage>();
  readonly #file: string;

  constructor(file: string) {
    this.#file = file;
  }

  /** V8 hashes strings of digits by their number, which a file could make collide; others it hashes with a secret. */
  static #id(key: string): string {
    return `storage ${key}`;
  }

  /** The storage that the pickle mentioned by that key. */
  find(key: unknown): TorchStorage | undefined {
    return typeof key === 'string' && key.length <= MAX_KEY
      ? this.#storages.get(TorchStorages.#id(key))
      : undefined;
  }

  /**
   * The storage of a persistent id ('storage', type, key, device, count[, (key of the view, offset, count) or None]).
   * @throws WeightsError
   */
  resolve(id: unknown): StorageView {
    const refuse = (reason: string) => new WeightsError(`${this.#file}: a storage ${reason}`);
    if (!Array.isArray(id) || id[0] !== 'storage')
      throw refuse("whose persistent id is not ('storage', ...)");
    const [, type, key, , count, part = null] = id as unknown[];
    const dtype = type instanceof PickleGlobal ? STORAGE_TYPES.get(type.name) : undefined;
    if (!dtype) throw refuse('of a type that this reader does not know');
    if (typeof key !== 'string' || !isCount(count)) throw refuse('without key or element count');
    // A key is compared with those before it each time that the memo repeats it.
    if (key.length > MAX_KEY) throw refuse(`whose key has ${key.length} characters; ${MAX_KEY} are read`);
    const known = this.find(key);
    if (known && (known.dtype !== dtype || known.count !== count)) {
      throw refuse(`${quote(key)} is described in two ways that differ`);
    }
    const storage = known ?? { key, dtype, count };
    if (!known) this.#storages.set(TorchStorages.#id(key), storage);
    if (part === null) return new StorageView(storage, 0, count);
    const [, offset, length] = Array.isArray(part) ? part : [];
    if (!isCount(offset) || !isCount(length) || offset + length > count) {
      throw refuse(`${quote(key)} is viewed beyond its ${count} elements`);
    }
    return new StorageView(storage, offset, length);
  }
}

/**
 * The Python names that a state dict mentions, and what stands for them here.
 * Reference: torch/_utils.py (_rebuild_*), torch/_tensor.py (__reduce_ex__).
 */
export function torchGlobals(file: string): ReadonlyMap<string, PickleGlobal> {
  const tensorOf = ([storage, offset, shape, strides]: readonly unknown[]) =>
    new TorchTensor(storage, offset, shape, strides, file);
  const calls: [string, (args: readonly unknown[]) => unknown][] = [
    ['collections.OrderedDict', ([pairs = []]) => orderedDict(pairs, file)],
    // Until PyTorch 0.4; since then with requires_grad and hooks, which weights have no use for.
    ['torch._utils._rebuild_tensor', tensorOf],
    ['torch._utils._rebuild_tensor_v2', tensorOf],
    [
      'torch._utils._rebuild_parameter',
      ([data]) => {
        if (data instanceof TorchTensor) return data;
        throw new WeightsError(`${file}: a parameter that holds no tensor`);
      },
    ],
    [
      'torch.Size',
      ([sizes]) => {
        if (Array.isArray(sizes)) return sizes;
        throw new WeightsError(`${file}: a torch.Size that holds no tuple`);
      },
    ],
  ];
  return new Map([
    ...calls.map(([name, call]) => [name, new PickleGlobal(name, call)] as const),
    ...[...STORAGE_TYPES.keys()].map((name) => [name, new PickleGlobal(name)] as const),
  ]);
}

/** Python 2 hands an OrderedDict its items when it is made, Python 3 sets them afterwards. */
function orderedDict(pairs: unknown, file: string): PickleDict {
  const isPair = (pair: unknown): pair is [string, unknown] =>
    Array.isArray(pair) && pair.length === 2 && typeof pair[0] === 'string';
  if (!Array.isArray(pairs) || !pairs.every(isPair)) {
    throw new WeightsError(`${file}: an OrderedDict made of something other than pairs of name and value`);
  }
  const dict = new PickleDict();
  for (const [name, value] of pairs) dict.entries.push([name, value]);
  return dict;
}

/** The elements of `described` out of its storage's `bytes`, row-major, as float32. */
export function decodeTorchTensor(described: TorchTensor, bytes: Uint8Array): Tensor {
  const { storage, offset, shape, strides, count } = described;
  const size = DTYPE_BYTES.get(storage.dtype) as number;
  const raw = isContiguous(shape, strides)
    ? bytes.subarray(offset * size, (offset + count) * size)
    : gather(bytes, size, described);
  return tensor(shape, decode(storage.dtype, raw));
}

function isContiguous(shape: readonly number[], strides: readonly number[]): boolean {
  let expected = 1;
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    const size = shape[axis] as number;
    if (size !== 1 && strides[axis] !== expected) return false;
    expected *= size;
  }
  return true;
}

/** Copies strided elements of `size` bytes into a row of their own. */
function gather(bytes: Uint8Array, size: number, { offset, shape, strides, count }: TorchTensor): Uint8Array {
  const row = new Uint8Array(count * size);
  const index = shape.map(() => 0);
  let from = offset * size;
  for (let to = 0; to < row.length; ) {
    for (let byte = 0; byte < size; byte++) row[to++] = bytes[from + byte] as number;
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      const step = (strides[axis] as number) * size;
      from += step;
      index[axis] = (index[axis] as number) + 1;
      if ((index[axis] as number) < (shape[axis] as number)) break;
      from -= step * (shape[axis] as number);
      index[axis] = 0;
    }
  }
  return row;
}
