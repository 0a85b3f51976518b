/**
 * PyTorch's files by hand, for tests that need ones which PyTorch would not write: pickles opcode by opcode, zip
 * archives entry by entry, legacy files part by part.
 */

const encoder = new TextEncoder();

export const bytesOf = (...parts: readonly (Uint8Array | readonly number[] | string)[]): Uint8Array =>
  Buffer.concat(
    parts.map((part) => (typeof part === 'string' ? encoder.encode(part) : Uint8Array.from(part))),
  );

export function uint(value: number, bytes: 2 | 4 | 8): number[] {
  return Array.from({ length: bytes }, (_, index) => Math.floor(value / 256 ** index) % 256);
}

/** Opcodes with their arguments. */
export const op = {
  mark: [0x28],
  none: [0x4e],
  false: [0x89],
  emptyTuple: [0x29],
  tuple: [0x74],
  emptyList: [0x5d],
  appends: [0x65],
  emptyDict: [0x7d],
  setItem: [0x73],
  setItems: [0x75],
  reduce: [0x52],
  build: [0x62],
  persistentId: [0x51],
  stop: [0x2e],
  int: (value: number) => [0x4a, ...uint(value < 0 ? value + 2 ** 32 : value, 4)],
  long: (value: number) => [0x8a, 8, ...uint(value, 8)],
  text: (value: string) => [0x58, ...uint(encoder.encode(value).length, 4), ...encoder.encode(value)],
  global: (module: string, name: string) => [...encoder.encode(`c${module}\n${name}\n`)],
  put: (index: number) => [0x71, index],
  get: (index: number) => [0x68, index],
};

export const ints = (values: readonly number[]): number[] => [
  ...op.mark,
  ...values.flatMap((value) => (value < 2 ** 31 ? op.int(value) : op.long(value))),
  ...op.tuple,
];

export interface TensorPickle {
  key?: string;
  type?: string;
  /** Elements of the storage. */
  count?: number;
  offset?: number;
  shape?: readonly number[];
  strides?: readonly number[];
  /** Sixth item of a legacy persistent id. */
  view?: readonly number[];
}

/** A call of _rebuild_tensor_v2; by default for the two floats of storage '0'. */
export function tensorPickle(tensor: TensorPickle = {}): number[] {
  const {
    key = '0',
    type = 'FloatStorage',
    count = 2,
    offset = 0,
    shape = [2],
    strides = [1],
    view = [],
  } = tensor;
  return [
    ...op.global('torch._utils', '_rebuild_tensor_v2'),
    ...op.mark,
    ...[...op.mark, ...op.text('storage'), ...op.global('torch', type), ...op.text(key), ...op.text('cpu')],
    ...[...ints([count]).slice(1, -1), ...view, ...op.tuple, ...op.persistentId],
    ...[...ints([offset]).slice(1, -1), ...ints(shape), ...ints(strides), ...op.false],
    ...[...op.global('collections', 'OrderedDict'), ...op.emptyTuple, ...op.reduce],
    ...[...op.tuple, ...op.reduce],
  ];
}

/** A whole pickle of a dict. */
export function dictPickle(items: readonly (readonly [string, readonly number[]])[]): Uint8Array {
  const pairs = items.flatMap(([name, value]) => [...op.text(name), ...value]);
  return bytesOf([0x80, 2], op.emptyDict, op.mark, pairs, op.setItems, op.stop);
}

export interface ZipOptions {
  method?: number;
  flags?: number;
  /** Sizes and offsets in zip64 records, the 32-bit fields all ones. */
  zip64?: boolean;
  /** Added to the sizes that the directory states. */
  lie?: number;
}

/** A zip archive of stored entries. */
export function zipOf(
  entries: readonly (readonly [string, Uint8Array])[],
  options: ZipOptions = {},
): Uint8Array {
  const { method = 0, flags = 0, zip64 = false, lie = 0 } = options;
  const files: Uint8Array[] = [];
  const directory: Uint8Array[] = [];
  let at = 0;
  for (const [name, data] of entries) {
    const common = [...uint(20, 2), ...uint(flags, 2), ...uint(method, 2), ...uint(0, 8)];
    const nameBytes = encoder.encode(name);
    const size = data.length + lie;
    const sizes = zip64 ? Array(8).fill(0xff) : [...uint(size, 4), ...uint(size, 4)];
    const extra = zip64
      ? [...uint(1, 2), ...uint(24, 2), ...uint(size, 8), ...uint(size, 8), ...uint(at, 8)]
      : [];
    const file = bytesOf(
      'PK\x03\x04',
      common,
      sizes,
      uint(nameBytes.length, 2),
      uint(4, 2),
      nameBytes,
      'FB\0\0',
      data,
    );
    const lengths = [...uint(nameBytes.length, 2), ...uint(extra.length, 2), ...uint(0, 8), ...uint(0, 2)];
    const place = zip64 ? Array(4).fill(0xff) : uint(at, 4);
    directory.push(bytesOf('PK\x01\x02', uint(20, 2), common, sizes, lengths, place, nameBytes, extra));
    files.push(file);
    at += file.length;
  }
  const listed = bytesOf(...directory);
  const end = [
    ...uint(entries.length, 2),
    ...uint(entries.length, 2),
    ...uint(listed.length, 4),
    ...uint(at, 4),
    0,
    0,
  ];
  if (!zip64) return bytesOf(...files, listed, 'PK\x05\x06', uint(0, 4), end);
  const counts = [
    ...uint(entries.length, 8),
    ...uint(entries.length, 8),
    ...uint(listed.length, 8),
    ...uint(at, 8),
  ];
  const record = bytesOf('PK\x06\x06', uint(44, 8), uint(0, 4), uint(0, 8), counts);
  const locator = bytesOf('PK\x06\x07', uint(0, 4), uint(at + listed.length, 8), uint(1, 4));
  return bytesOf(...files, listed, record, locator, 'PK\x05\x06', uint(0, 4), Array(12).fill(0xff), [0, 0]);
}

export const floats = (...values: number[]): Uint8Array => new Uint8Array(Float32Array.from(values).buffer);

/** The zip form: data.pkl and storage '0' of two floats, unless told otherwise. */
export function zipPth(
  pickle: Uint8Array,
  storages: readonly (readonly [string, Uint8Array])[] = [['0', floats(1, 2)]],
  options?: ZipOptions,
): Uint8Array {
  const data = storages.map(([key, bytes]) => [`archive/data/${key}`, bytes] as const);
  return zipOf([['archive/data.pkl', pickle], ...data, ['archive/version', bytesOf('3\n')]], options);
}

export const MAGIC = [0x80, 2, 0x8a, 10, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19, 0x2e];
export const PROTOCOL = [0x80, 2, 0x4d, 0xe9, 0x03, 0x2e];

export interface LegacyStorage {
  key: string;
  data: Uint8Array;
  /** Elements, as stated before the data. */
  count: number;
}

/** The legacy form: storage '0' of two floats, unless told otherwise. */
export function legacyPth(
  pickle: Uint8Array,
  storages: readonly LegacyStorage[] = [{ key: '0', data: floats(1, 2), count: 2 }],
): Uint8Array {
  const keys = storages.flatMap(({ key }) => op.text(key));
  return bytesOf(
    MAGIC,
    PROTOCOL,
    [0x80, 2, ...op.emptyDict, ...op.stop],
    pickle,
    [0x80, 2, ...op.emptyList, ...op.mark, ...keys, ...op.appends, ...op.stop],
    ...storages.flatMap(({ count, data }) => [uint(count, 8), data]),
  );
}
