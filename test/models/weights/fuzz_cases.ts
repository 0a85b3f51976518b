/**
 * Damaged and lying checkpoints, one for every seed, and the worker thread that gives them to the readers.
 * A file is a few kilobytes at most, or a megabyte of the same few opcodes, so that a reader whose work is linear answers
 * at once, and one whose work is quadratic never.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { isMainThread, parentPort, workerData } from 'node:worker_threads';
import type { Tensor } from '../../../models/graph/tensor.ts';
import { WeightsError } from '../../../models/weights/errors.ts';
import { readPth } from '../../../models/weights/pth.ts';
import { readSafetensors, writeSafetensors } from '../../../models/weights/safetensors.ts';
import { readTfjsWeights, tfjsShards } from '../../../models/weights/tfjs.ts';
import { mulberry32 } from '../../reference/noise.ts';
import type { TensorPickle, ZipOptions } from './torch_files.ts';
import { bytesOf, dictPickle, legacyPth, op, tensorPickle, zipPth } from './torch_files.ts';

export const FILE = 'fuzzed.bin';
/** The readers, and three that fail on purpose, to see that the test notices. */
export const SUBJECTS = ['safetensors', 'zip', 'legacy', 'tfjs', 'throws', 'grows', 'hangs'] as const;
export type Subject = (typeof SUBJECTS)[number];

/** What a worker is told. `progress[0]` is the seed that it is at. */
export interface Task {
  subject: Subject;
  count: number;
  progress: Int32Array<SharedArrayBuffer>;
}

/** What it answers. */
export interface Outcome {
  read: number;
  refused: number;
  /** The first case that went wrong. */
  failure?: string;
}

/** A case: bytes that go in, and the reading. */
interface Case {
  size: number;
  read: () => ReadonlyMap<string, Tensor>;
}

/** Draws from one seeded sequence. */
class Draw {
  readonly unit: () => number;

  constructor(seed: number) {
    this.unit = mulberry32(seed);
  }

  below(limit: number): number {
    return Math.floor(this.unit() * limit);
  }

  of<Item>(items: readonly Item[]): Item {
    return items[this.below(items.length)] as Item;
  }

  chance(probability: number): boolean {
    return this.unit() < probability;
  }
}

/** Numbers at the edges of what fits somewhere. */
const EDGES = [
  0,
  1,
  2,
  3,
  255,
  256,
  65535,
  65536,
  2 ** 31 - 1,
  2 ** 31,
  2 ** 32 - 1,
  2 ** 32,
  2 ** 40,
  2 ** 52,
  2 ** 53,
];

/** Truncates, flips bits, overwrites with edges, and splices parts of `others` in, up to four times. */
function damage(draw: Draw, file: Uint8Array, others: readonly Uint8Array[]): Uint8Array {
  let bytes = Buffer.from(file);
  for (let times = 1 + draw.below(4); times > 0; times--) {
    const at = draw.below(bytes.length + 1);
    const kind = draw.below(5);
    if (kind === 0) bytes = bytes.subarray(0, at);
    if (kind === 1 && at < bytes.length) bytes[at] = (bytes[at] as number) ^ (1 << draw.below(8));
    if (kind === 2 && at + 8 <= bytes.length) {
      const width = draw.of([1, 2, 4, 6]);
      bytes.writeUIntLE(draw.of(EDGES) % 256 ** width, at, width);
    }
    if (kind === 3 && at < bytes.length) {
      const end = Math.min(at + 1 + draw.below(8), bytes.length);
      bytes.fill(draw.of([0, 0xff, draw.below(256)]), at, end);
    }
    if (kind === 4) {
      const other = draw.of(others);
      const from = draw.below(other.length);
      const part = other.subarray(from, from + 1 + draw.below(64));
      const cut = draw.chance(0.5) ? part.length : draw.below(64);
      bytes = Buffer.concat([bytes.subarray(0, at), part, bytes.subarray(at + cut)]);
    }
  }
  return bytes;
}

/** A JSON value with some of its parts replaced by what does not belong there. */
function lyingJson(draw: Draw, value: unknown, probability: number): unknown {
  if (draw.chance(probability)) {
    if (typeof value === 'number' && draw.chance(0.7))
      return draw.of([value + 1, value - 1, value * 2, ...EDGES]);
    return draw.of<unknown>([
      null,
      -1,
      0.5,
      1e300,
      'F16',
      '',
      [],
      {},
      [[]],
      { toString: 1, valueOf: 1 },
      true,
      ...EDGES,
    ]);
  }
  if (Array.isArray(value)) {
    const items = value.map((item) => lyingJson(draw, item, probability));
    if (draw.chance(probability))
      items.splice(draw.below(items.length + 1), draw.below(2), ...items.slice(0, 1));
    return items;
  }
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).map(([key, item]) => [
    draw.chance(probability) ? draw.of(['__proto__', '__metadata__', 'shape', '', key]) : key,
    lyingJson(draw, item, probability),
  ]);
  return Object.fromEntries(entries);
}

const small = new Map([
  ['conv.weight', { shape: [2, 3], data: Float32Array.of(1, 2, 3, 4, 5, 6) }],
  ['conv.bias', { shape: [2], data: Float32Array.of(-1, 1) }],
  ['scalar', { shape: [], data: Float32Array.of(7) }],
]);
const safetensorsSeeds = [
  writeSafetensors(small, { metadata: { format: 'pt' } }),
  writeSafetensors(small, { dtype: 'F16' }),
];

function safetensorsCase(draw: Draw): Case {
  let bytes = draw.of(safetensorsSeeds);
  if (draw.chance(0.5)) bytes = damage(draw, bytes, safetensorsSeeds);
  else {
    const start = 8 + Number(Buffer.from(bytes).readBigUInt64LE());
    const header = JSON.parse(Buffer.from(bytes.subarray(8, start)).toString());
    if (draw.chance(0.3))
      header['conv.bias'].dtype = draw.of(['F64', 'F32', 'F16', 'BF16', 'I64', 'U8', 'BOOL', 'I16']);
    const text = Buffer.from(JSON.stringify(lyingJson(draw, header, 0.05)));
    const prefix = Buffer.alloc(8);
    prefix.writeBigUInt64LE(BigInt(draw.chance(0.1) ? draw.of(EDGES) : text.length));
    bytes = Buffer.concat([prefix, text, bytes.subarray(start)]);
  }
  return { size: bytes.length, read: () => readSafetensors(bytes, FILE).tensors };
}

const TYPES = [
  'FloatStorage',
  'HalfStorage',
  'DoubleStorage',
  'LongStorage',
  'CharStorage',
  'BFloat16Storage',
  'Size',
];

/** A tensor of storage `key`, right or a little wrong. */
function lyingTensor(draw: Draw, key: string): TensorPickle {
  const tensor: TensorPickle = { key };
  const number = () => (draw.chance(0.5) ? draw.below(4) : draw.of(EDGES.concat(-1)));
  const lie = draw.below(8);
  if (lie === 0) tensor.count = number();
  if (lie === 1) tensor.offset = number();
  if (lie === 2 || lie === 3) {
    const rank = draw.below(5);
    tensor.shape = Array.from({ length: rank }, number);
    tensor.strides = Array.from({ length: draw.chance(0.9) ? rank : draw.below(70) }, () =>
      draw.of([0, 0, 1, number()]),
    );
  }
  if (lie === 4) tensor.type = draw.of(TYPES);
  if (lie === 5)
    tensor.view = [
      ...op.mark,
      ...op.text('v'),
      ...op.int(draw.below(4)),
      ...op.int(draw.below(4)),
      ...op.tuple,
    ];
  if (lie === 6) tensor.key = draw.of(['0', '1', '', '../0', '__proto__']);
  return tensor;
}

/** Pieces of pickles in any order: what random bytes would hardly ever spell. */
function lyingPickle(draw: Draw): Uint8Array {
  const pieces = [
    ...[
      op.mark,
      op.none,
      op.false,
      op.emptyTuple,
      op.tuple,
      op.emptyList,
      op.appends,
      op.emptyDict,
      op.setItem,
    ],
    ...[
      op.setItems,
      op.reduce,
      op.build,
      op.persistentId,
      [0x61],
      [0x85],
      [0x86],
      [0x87],
      op.put(1),
      op.get(1),
    ],
    ...[
      op.text('w'),
      op.text('storage'),
      op.int(2),
      op.long(2 ** 52),
      op.global('collections', 'OrderedDict'),
    ],
    ...[
      op.global('torch', 'Size'),
      op.global('torch', 'FloatStorage'),
      op.global('torch._utils', '_rebuild_parameter'),
    ],
    ...[
      op.global('torch._utils', '_rebuild_tensor_v2'),
      op.global('os', 'system'),
      tensorPickle(),
      [0x93],
      op.stop,
    ],
  ];
  const middle = Array.from({ length: draw.below(12) }, () => draw.of(pieces)).flat();
  if (draw.chance(0.5)) return dictPickle([['w', [...tensorPickle(), ...middle]]]);
  return bytesOf([0x80, 2], middle, op.stop);
}

const repeat = (piece: readonly number[], times: number): Uint8Array =>
  Buffer.alloc(piece.length * times, Uint8Array.from(piece));

/** A long list of one thing out of the memo, and an opcode or a call that takes it whole, again and again. */
function repetitivePickle(draw: Draw): Uint8Array {
  const [list, item, name] = [op.get(0), op.get(1), op.get(2)];
  const pair = [...op.text('k'), ...op.none, 0x86];
  const orderedDict = op.global('collections', 'OrderedDict');
  const call = [...name, ...list, ...op.reduce];
  // The one that walks it, or any other: the list alone, as the only argument, or as all that there may be.
  const walks = draw.chance(0.5);
  const named = walks
    ? orderedDict
    : draw.of([
        orderedDict,
        op.global('torch', 'Size'),
        op.global('torch._utils', '_rebuild_parameter'),
        op.global('torch._utils', '_rebuild_tensor_v2'),
      ]);
  const repeated = walks
    ? pair
    : draw.of([pair, op.int(1), [...op.emptyList, 0x85], op.text('storage'), tensorPickle()]);
  const whole = walks ? [0x85] : draw.of([[], [0x85], [...op.put(3), ...op.get(3), 0x86]]);
  const use = walks
    ? call
    : draw.of([
        call,
        [...list, ...op.persistentId],
        [...op.emptyDict, ...list, ...op.build],
        [...op.emptyDict, ...op.text('k'), ...list, ...op.setItem],
        [...op.emptyList, ...list, 0x61],
        [...list, 0x85],
      ]);
  return bytesOf(
    [0x80, 2, ...named, ...op.put(2), ...repeated, ...op.put(1), ...op.emptyList, ...op.mark],
    repeat(item, 100_000 + draw.below(100_000)),
    [...op.appends, ...whole, ...op.put(0)],
    repeat(use, 100_000 + draw.below(100_000)),
    op.stop,
  );
}

const fixture = (name: string) => readFileSync(join('test', 'fixtures', 'checkpoints', name));
const torchSeeds = {
  zip: ['kinds', 'training', 'averaged'].map((name) => fixture(`${name}.zip.pth`)),
  legacy: ['kinds', 'training', 'averaged'].map((name) => fixture(`${name}.legacy.pth`)),
};

function torchCase(draw: Draw, form: 'zip' | 'legacy'): Case {
  const seeds = torchSeeds[form];
  let bytes: Uint8Array;
  if (draw.chance(0.01)) {
    const pickle = repetitivePickle(draw);
    bytes = form === 'zip' ? zipPth(pickle) : legacyPth(pickle);
  } else if (draw.chance(0.5)) bytes = damage(draw, draw.of(seeds), seeds);
  else {
    const items = ['0', '1', '2'].map(
      (key) => [`w${key}`, tensorPickle(draw.chance(0.4) ? lyingTensor(draw, key) : { key })] as const,
    );
    const pickle = draw.chance(0.6) ? dictPickle(items) : lyingPickle(draw);
    const data = () => new Uint8Array(draw.chance(0.9) ? 8 : draw.below(17)).fill(draw.below(256));
    if (form === 'zip') {
      const options: ZipOptions = { zip64: draw.chance(0.3) };
      if (draw.chance(0.1)) options.lie = draw.of(EDGES.slice(1)) - 1;
      bytes = zipPth(
        pickle,
        ['0', '1', '2'].map((key) => [key, data()] as const),
        options,
      );
    } else {
      const count = () => (draw.chance(0.95) ? 2 : draw.of(EDGES));
      bytes = legacyPth(
        pickle,
        ['0', '1', '2'].map((key) => ({ key, data: data(), count: count() })),
      );
    }
    if (draw.chance(0.1)) bytes = damage(draw, bytes, seeds);
  }
  return { size: bytes.length, read: () => readPth(bytes, FILE).tensors };
}

const tfjsModel = {
  weightsManifest: [
    {
      paths: ['a.bin', 'b.bin'],
      weights: [
        { name: 'w', shape: [2, 2], dtype: 'float32' },
        { name: 'q', shape: [4], dtype: 'float32', quantization: { dtype: 'uint8', scale: 0.5, min: -1 } },
        { name: 'h', shape: [2], dtype: 'float32', quantization: { dtype: 'float16' } },
      ],
    },
    { paths: ['c.bin'], weights: [{ name: 'n', shape: [], dtype: 'int32' }] },
  ],
};

function tfjsCase(draw: Draw): Case {
  const model = lyingJson(draw, tfjsModel, 0.03);
  const shards = new Map<string, Uint8Array>();
  const lengths: readonly [string, number][] = [
    ['a.bin', 13],
    ['b.bin', 11],
    ['c.bin', 4],
  ];
  for (const [name, length] of lengths) {
    const actual = draw.chance(0.9) ? length : draw.below(20);
    if (draw.chance(0.98))
      shards.set(
        name,
        Uint8Array.from({ length: actual }, () => draw.below(256)),
      );
  }
  const size =
    JSON.stringify(model).length + [...shards.values()].reduce((sum, { length }) => sum + length, 0);
  const read = () => {
    tfjsShards(model, FILE);
    return readTfjsWeights(model, shards, FILE);
  };
  return { size, read };
}

const kept: unknown[] = [];

function caseOf(subject: Subject, seed: number): Case {
  const draw = new Draw(seed * SUBJECTS.length + SUBJECTS.indexOf(subject));
  switch (subject) {
    case 'safetensors':
      return safetensorsCase(draw);
    case 'zip':
    case 'legacy':
      return torchCase(draw, subject);
    case 'tfjs':
      return tfjsCase(draw);
    case 'throws':
      return {
        size: 100,
        read: () => (null as unknown as Map<string, Map<string, Tensor>>).get('') as Map<string, Tensor>,
      };
    case 'grows':
      return {
        size: 100,
        read: () => {
          kept.push(new Float32Array(2 ** 20));
          return new Map();
        },
      };
    case 'hangs':
      return {
        size: 100,
        read: () => {
          for (;;);
        },
      };
  }
}

/** Bytes that buffers may take beyond the tensors: the table of halves, and what the reader copies. */
const SLACK = 2 ** 20;

/** Runs one case. @returns what went wrong, or whether it was read. */
function run({ size, read }: Case): boolean | string {
  const before = process.memoryUsage().arrayBuffers;
  let tensors: ReadonlyMap<string, Tensor> | undefined;
  try {
    tensors = read();
  } catch (error) {
    if (!(error instanceof WeightsError)) return `threw ${error instanceof Error ? error.stack : error}`;
    if (!error.message.startsWith(`${FILE}: `)) return `does not name the file: ${error.message}`;
    if (error.message.length > 2000) return `has a message of ${error.message.length} characters`;
  }
  const grown = process.memoryUsage().arrayBuffers - before;
  if (grown > SLACK + 16 * size) return `took ${grown} bytes for a file of ${size}`;
  let total = 0;
  for (const [name, { shape, data }] of tensors ?? []) {
    const count = shape.reduce((product, length) => product * length, 1);
    if (data.length !== count) return `gave ${name} of shape [${shape}] with ${data.length} elements`;
    if (data.buffer.byteLength !== data.byteLength) return `gave ${name} as part of a larger buffer`;
    total += data.byteLength;
  }
  if (total > 8 * size) return `gave ${total} bytes of tensors for a file of ${size}`;
  return tensors !== undefined;
}

if (!isMainThread && parentPort) {
  const { subject, count, progress } = workerData as Task;
  const outcome: Outcome = { read: 0, refused: 0 };
  for (let seed = 1; seed <= count && !outcome.failure; seed++) {
    progress[0] = seed;
    const result = run(caseOf(subject, seed));
    if (typeof result === 'string') outcome.failure = `${subject}, seed ${seed}: ${result}`;
    else if (result) outcome.read++;
    else outcome.refused++;
  }
  parentPort.postMessage(outcome);
}
