import type { Tensor } from '../graph/tensor.ts';
import { DTYPE_BYTES } from './dtype.ts';
import { WeightsError } from './errors.ts';
import type { PickleHost } from './pickle.ts';
import { PickleDict, unpickle } from './pickle.ts';
import { quote } from './quote.ts';
import type { TorchStorage } from './torch_tensor.ts';
import { decodeTorchTensor, TorchStorages, TorchTensor, torchGlobals } from './torch_tensor.ts';
import { storedEntries } from './zip.ts';

/** First pickle of a legacy file, and the second. */
const MAGIC_NUMBER = 0x1950a86a20f9469cfc6cn;
const PROTOCOL_VERSION = 1001;

/** Entries of a training checkpoint that hold the state dict, the averaged weights before the plain ones. */
const WRAPPERS = ['state_dict_ema', 'state_dict', 'model'] as const;

/** Float32 bytes that the tensors may take, for every byte of the file: int8 takes 4, and some share a storage. */
const MAX_GROWTH = 8;

/** The raw bytes of a storage. */
type StorageReader = (storage: TorchStorage) => Uint8Array;

/** A checkpoint's root object, and what finds the storages that it mentions: for a root that proved to be right. */
interface Checkpoint {
  readonly root: unknown;
  openStorages(): StorageReader;
}

/** Whether `bytes` begin as a zip archive does. */
export const isZip = (bytes: Uint8Array): boolean =>
  bytes[0] === 0x50 && bytes[1] === 0x4b && bytes[2] === 3 && bytes[3] === 4;

/**
 * Reads the state dict of a PyTorch checkpoint, every type as float32: the zip form (PyTorch 1.6 and later) and the
 * legacy form (pickles, then raw storages). It may lie in a training checkpoint under `state_dict_ema`, `state_dict` or
 * `model` (the first of them that is there). Strided tensors are made contiguous; nothing of the file is executed, and
 * Python names beyond those of tensors are refused. The tensors take at most 8 times the file's size.
 * Reference: PyTorch's torch/serialization.py (_load, _legacy_load).
 * @param file name used in errors
 * @returns the tensors in the state dict's order
 * @throws WeightsError naming the file and what does not fit.
 */
export function readPth(bytes: Uint8Array, file: string): { tensors: Map<string, Tensor> } {
  const { root, openStorages } = isZip(bytes) ? readZip(bytes, file) : readLegacy(bytes, file);
  const described = stateDictOf(root, file);
  let decoded = 0;
  for (const { count } of described.values()) decoded += count * 4;
  if (decoded > MAX_GROWTH * bytes.length) {
    throw new WeightsError(
      `${file}: its tensors would take ${decoded} bytes, beyond ${MAX_GROWTH} times the file's ${bytes.length} ` +
        '(expanded or shared views? save clones of them)',
    );
  }
  const bytesOf = openStorages();
  const tensors = new Map<string, Tensor>();
  for (const [name, tensor] of described)
    tensors.set(name, decodeTorchTensor(tensor, bytesOf(tensor.storage)));
  return { tensors };
}

function stateDictOf(root: unknown, file: string): Map<string, TorchTensor> {
  if (!(root instanceof PickleDict))
    throw new WeightsError(`${file}: holds ${kindOf(root)}, not a state dict`);
  const rootByName = byName(root, file);
  const wrapper = WRAPPERS.find((key) => rootByName.get(key) instanceof PickleDict);
  const stateDict = wrapper ? (rootByName.get(wrapper) as PickleDict) : root;
  const other = stateDict.entries.find(([key]) => typeof key !== 'string');
  if (other) throw new WeightsError(`${file}: the state dict has ${kindOf(other[0])} as a name`);
  const tensors = new Map<string, TorchTensor>();
  for (const [name, value] of wrapper ? byName(stateDict, file) : rootByName) {
    if (!(value instanceof TorchTensor)) {
      const places = wrapper
        ? `the state dict under '${wrapper}'`
        : `a state dict (or one under ${WRAPPERS.join(', ')})`;
      throw new WeightsError(`${file}: ${quote(name)} is ${kindOf(value)}; ${places} holds tensors only`);
    }
    tensors.set(name, value);
  }
  return tensors;
}

/** What a dict has under strings. @throws WeightsError naming one that it has twice */
function byName(dict: PickleDict, file: string): Map<string, unknown> {
  const values = new Map<string, unknown>();
  for (const [name, value] of dict.entries) {
    if (typeof name !== 'string') continue;
    if (values.has(name)) throw new WeightsError(`${file}: a dict has ${quote(name)} twice`);
    values.set(name, value);
  }
  return values;
}

function kindOf(value: unknown): string {
  if (value === null) return 'None';
  if (value instanceof TorchTensor) return 'a tensor';
  if (value instanceof PickleDict) return 'a dict';
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'string') return `the string ${quote(value)}`;
  if (typeof value === 'object') return 'an object';
  return `the value ${value}`;
}

/** Before anything else is said of such an archive: it compresses its code, which would be refused for that. */
function refuseTorchScript(names: Iterable<string>, file: string): void {
  for (const name of names) {
    if (!/^[^/]+\/(constants\.pkl$|code\/)/.test(name)) continue;
    throw new WeightsError(
      `${file}: a TorchScript archive, a program with its weights (torch.jit.save); only weights are read. Save its ` +
        "state dict instead: torch.save(torch.jit.load('model.pt').state_dict(), 'model.pth')",
    );
  }
}

function readZip(bytes: Uint8Array, file: string): Checkpoint {
  const entries = storedEntries(bytes, file, (names) => refuseTorchScript(names, file));
  const [pickle, ...others] = [...entries.keys()].filter((name) => /^[^/]+\/data\.pkl$/.test(name));
  if (pickle === undefined || others.length > 0) {
    throw new WeightsError(
      `${file}: a zip archive with ${pickle ? 'several' : 'no'} data.pkl is not of torch.save`,
    );
  }
  const folder = pickle.slice(0, -'data.pkl'.length);
  const order = entries.get(`${folder}byteorder`);
  if (order && Buffer.from(order).toString('latin1') !== 'little') {
    throw new WeightsError(`${file}: was saved on a big-endian machine; save it on a little-endian one`);
  }
  const storages = new TorchStorages(file);
  const { value: root } = unpickle(entries.get(pickle) as Uint8Array, 0, hostOf(storages, file), file);
  return {
    root,
    openStorages: () => (storage) => {
      const { key, dtype, count } = storage;
      const found = entries.get(`${folder}data/${key}`);
      if (!found) throw new WeightsError(`${file}: the archive has no entry for storage ${quote(key)}`);
      const expected = count * (DTYPE_BYTES.get(dtype) as number);
      if (found.length === expected) return found;
      throw new WeightsError(
        `${file}: storage ${quote(key)} should take ${expected} bytes and takes ${found.length}`,
      );
    },
  };
}

function readLegacy(bytes: Uint8Array, file: string): Checkpoint {
  const storages = new TorchStorages(file);
  const plain = hostOf(undefined, file);
  let at = 0;
  const next = (host = plain): unknown => {
    const { value, end } = unpickle(bytes, at, host, file);
    at = end;
    return value;
  };
  if (next() !== MAGIC_NUMBER) throw new WeightsError(`${file}: a pickle, but not one that torch.save wrote`);
  const version = next();
  if (version !== PROTOCOL_VERSION) {
    throw new WeightsError(
      `${file}: is of torch.save's protocol ${kindOf(version)}, not ${PROTOCOL_VERSION}`,
    );
  }
  // Sizes of the writer's C types; the storages are little-endian whatever it says.
  next();
  const root = next(hostOf(storages, file));
  return {
    root,
    openStorages() {
      const keys = next();
      if (Array.isArray(keys)) return legacyStorages(bytes, at, keys, storages, file);
      throw new WeightsError(`${file}: has ${kindOf(keys)} where the storage keys belong`);
    },
  };
}

/** The storages from byte `start` on: an element count, then the elements, in the order of `keys`. */
function legacyStorages(
  bytes: Uint8Array,
  start: number,
  keys: readonly unknown[],
  storages: TorchStorages,
  file: string,
): StorageReader {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const contents = new Map<TorchStorage, Uint8Array>();
  let at = start;
  for (const key of keys) {
    const storage = storages.find(key);
    if (!storage || contents.has(storage)) {
      const fault = storage ? 'twice' : 'which no tensor has';
      throw new WeightsError(`${file}: lists ${kindOf(key)} as a storage key, ${fault}`);
    }
    const { count, dtype } = storage;
    const begin = at + 8;
    const end = begin + count * (DTYPE_BYTES.get(dtype) as number);
    if (!(end <= bytes.length)) {
      throw new WeightsError(
        `${file}: storage ${quote(storage.key)} ends at byte ${end}, the file at ${bytes.length} (truncated?)`,
      );
    }
    const found = view.getBigInt64(at, true);
    if (found !== BigInt(count)) {
      throw new WeightsError(
        `${file}: storage ${quote(storage.key)} should have ${count} elements and has ${found}`,
      );
    }
    contents.set(storage, bytes.subarray(begin, end));
    at = end;
  }
  if (at !== bytes.length) {
    throw new WeightsError(`${file}: the storages end at byte ${at}, the file at ${bytes.length}`);
  }
  return (storage) => {
    const found = contents.get(storage);
    if (found) return found;
    throw new WeightsError(`${file}: storage ${quote(storage.key)} is not in the file's list of storages`);
  };
}

/** What a checkpoint's pickles may mention; without `storages` plain values only. */
function hostOf(storages: TorchStorages | undefined, file: string): PickleHost {
  const globals = torchGlobals(file);
  return {
    global: (name) => (storages ? globals.get(name) : undefined),
    persistent(id) {
      if (storages) return storages.resolve(id);
      throw new WeightsError(`${file}: a storage is mentioned before the checkpoint's object`);
    },
  };
}
