import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { WeightsError } from '../../../models/weights/errors.ts';
import { readPth } from '../../../models/weights/pth.ts';
import type { TensorPickle } from './torch_files.ts';
import {
  bytesOf,
  dictPickle,
  floats,
  ints,
  legacyPth,
  op,
  tensorPickle,
  zipOf,
  zipPth,
} from './torch_files.ts';

/** Checkpoints that PyTorch wrote, and what it reads in them: see generate.py there. */
const made = join('test', 'fixtures', 'checkpoints');
const json = (name: string) => JSON.parse(readFileSync(join(made, name), 'utf8'));

function refused(bytes: Uint8Array, complaint: RegExp): void {
  assert.throws(
    () => readPth(bytes, 'a.pth'),
    (error) => {
      assert.ok(error instanceof WeightsError, String(error));
      assert.match(error.message, complaint);
      assert.match(error.message, /^a\.pth: /);
      return true;
    },
  );
}

describe('the .pth reader, on what PyTorch wrote', () => {
  for (const [file, form] of [
    ['shufflenet_v2_x0_5.weights.pth', 'legacy'],
    ['mobilenet_v2_0.35.weights.pth', 'zip'],
  ] as const) {
    test(`gives every tensor of ${file} (${form}) bit for bit`, () => {
      const bytes = readFileSync(join('test', 'fixtures', file));
      const { tensors } = readPth(bytes, file);
      const found = [...tensors].map(([name, { shape, data }]) => {
        const digest = createHash('sha256').update(new Uint8Array(data.buffer)).digest('hex').slice(0, 16);
        return [name, [shape, digest]];
      });
      assert.deepEqual(found, Object.entries(json('golden.json')[file]));
    });
  }

  const expected = json('small.json') as Record<
    string,
    Record<string, { shape: number[]; values: number[] }>
  >;
  for (const [file, tensors] of Object.entries(expected)) {
    test(`reads ${file} as PyTorch does`, () => {
      const found = readPth(readFileSync(join(made, file)), file).tensors;
      assert.deepEqual([...found.keys()], Object.keys(tensors));
      for (const [name, { shape, values }] of Object.entries(tensors)) {
        assert.deepEqual(found.get(name), { shape, data: Float32Array.from(values) }, name);
      }
    });
  }

  test('a file that lies at any alignment in memory reads the same', () => {
    for (const file of ['kinds.zip.pth', 'kinds.legacy.pth']) {
      const bytes = readFileSync(join(made, file));
      for (let shift = 1; shift < 8; shift++) {
        const moved = Buffer.concat([Buffer.alloc(shift), bytes]).subarray(shift);
        assert.deepEqual(readPth(moved, file), readPth(bytes, file));
      }
    }
  });

  const reasons: [string, RegExp][] = [
    ['system', /'posix\.system' is not allowed in a checkpoint.*nothing was run/],
    ['eval', /'__builtin__\.eval' is not allowed/],
    ['module', /'torch\.nn\.modules\.linear\.Linear' is not allowed.*save its state_dict\(\)/],
    ['sparse', /'torch\._utils\._rebuild_sparse_tensor' is not allowed/],
    ['number', /'epoch' is the value 3; a state dict .* holds tensors only/],
    ['protocol4', /opcode (FRAME|SHORT_BINUNICODE) is not allowed.*protocol 2/],
  ];
  for (const file of readdirSync(made).filter((name) => name.startsWith('refused-'))) {
    test(`refuses ${file}, saying why`, () => {
      const [, reason] = reasons.find(([name]) => file.startsWith(`refused-${name}.`)) ?? [];
      assert.ok(reason);
      refused(readFileSync(join(made, file)), reason);
    });
  }
  test('every reason has its file', () => {
    const files = readdirSync(made);
    for (const [name] of reasons) assert.ok(files.includes(`refused-${name}.zip.pth`), name);
  });
});

const one = (tensor?: TensorPickle) => dictPickle([['w', tensorPickle(tensor)]]);
const both: readonly (readonly [string, (pickle: Uint8Array) => Uint8Array])[] = [
  ['zip', (pickle) => zipPth(pickle)],
  ['legacy', (pickle) => legacyPth(pickle)],
];

for (const [form, wrap] of both) {
  describe(`the .pth reader, on ${form} files by hand`, () => {
    const values = (pickle: Uint8Array) => readPth(wrap(pickle), 'a.pth').tensors.get('w');

    test('reads what it is told', () => {
      assert.deepEqual(values(one()), { shape: [2], data: Float32Array.of(1, 2) });
      assert.deepEqual(values(one({ shape: [2, 3], strides: [1, 0] })), {
        shape: [2, 3],
        data: Float32Array.of(1, 1, 1, 2, 2, 2),
      });
      assert.deepEqual(values(one({ shape: [], strides: [], offset: 1 })), {
        shape: [],
        data: Float32Array.of(2),
      });
      assert.deepEqual(values(one({ shape: [1, 2, 1], strides: [99, 1, 5] }))?.data, Float32Array.of(1, 2));
      assert.deepEqual(
        values(one({ shape: [0, 2 ** 40], strides: [1, 1], offset: 2 }))?.data,
        Float32Array.of(),
      );
    });

    test('reads strings and OrderedDicts as Python 2 pickled them', () => {
      const name = [0x55, 1, ...bytesOf('w')];
      const dict = [...op.global('collections', 'OrderedDict'), ...op.mark, ...op.emptyList, ...op.mark];
      const pair = [...op.emptyList, ...op.mark, ...name, ...tensorPickle(), ...op.appends];
      const pickle = bytesOf([0x80, 2], dict, pair, op.appends, op.tuple, op.reduce, op.stop);
      assert.deepEqual(values(pickle)?.data, Float32Array.of(1, 2));
    });

    test('a pickle that appends to a shape after the tensor was checked changes nothing', () => {
      const shape = [...op.emptyList, ...op.put(9), ...op.mark, ...op.int(2), ...op.appends];
      const [head = [], tail = []] = split(tensorPickle(), ints([2]));
      const state = bytesOf(
        [0x80, 2, ...op.emptyDict, ...op.mark, ...op.text('w'), ...head, ...shape, ...tail, ...op.setItems],
        // As an attribute, which is skipped.
        [...op.get(9), ...op.mark, ...op.int(1000), ...op.appends, ...op.build, ...op.stop],
      );
      assert.deepEqual(values(state), { shape: [2], data: Float32Array.of(1, 2) });
    });

    for (const [what, tensor, complaint] of [
      ['one element too many', { shape: [3] }, /reaches element 2 of storage '0', which has 2/],
      ['an offset too far', { offset: 1 }, /reaches element 2/],
      ['a stride too far', { strides: [2] }, /reaches element 2/],
      [
        'strides that reach beyond a double',
        { shape: [2 ** 30, 2], strides: [2 ** 50, 1] },
        /reaches element/,
      ],
      [
        'a huge shape of one element',
        { shape: [2 ** 40], strides: [0] },
        /would take \d+ bytes, beyond 8 times/,
      ],
      ['a shape that overflows', { shape: [2 ** 30, 2 ** 30], strides: [0, 0] }, /a shape beyond any memory/],
      ['a negative size', { shape: [-1] }, /no whole numbers/],
      ['a negative stride', { strides: [-1], offset: 1 }, /no whole numbers/],
      ['fewer strides than sizes', { strides: [] }, /shape and strides that do not match/],
      ['65 dimensions', { shape: Array(65).fill(1), strides: Array(65).fill(1) }, /65 dimensions.*64/],
      [
        'a storage type that is no type',
        { type: 'Size' },
        /a storage of a type that this reader does not know/,
      ],
      [
        'a storage longer than its data',
        { count: 3 },
        /storage '0' (should take 12 bytes and takes 8|ends at byte)/,
      ],
      [
        'a storage shorter than its data',
        { count: 1, shape: [1] },
        /storage '0' should (take 4 bytes|have 1 elements)/,
      ],
      [
        'a storage that is not there',
        { key: '1' },
        /no entry for storage '1'|'0' as a storage key, which no tensor has/,
      ],
    ] as [string, TensorPickle, RegExp][]) {
      test(`refuses ${what}`, () => refused(wrap(one(tensor)), complaint));
    }

    test('refuses many whole views of one storage that together are too much', () => {
      const names = Array.from({ length: 250 }, (_, index) => `w${index}`);
      const big = new Uint8Array(4 * 4096);
      const views = names.map((name) => [name, tensorPickle({ count: 4096, shape: [4096] })] as const);
      const pickle = dictPickle(views);
      const bytes =
        form === 'zip'
          ? zipPth(pickle, [['0', big]])
          : legacyPth(pickle, [{ key: '0', data: big, count: 4096 }]);
      refused(bytes, /would take 4096000 bytes, beyond 8 times the file's/);
    });

    for (const [what, body, complaint] of [
      [
        'os.system',
        [...op.global('os', 'system'), ...op.text('echo'), 0x85, ...op.reduce],
        /'os\.system' is not allowed/,
      ],
      ['a torch function', op.global('torch.hub', 'load'), /'torch\.hub\.load' is not allowed/],
      ['a name that would write on the terminal', op.global('\x1b[2J', 'x'), /'\?\[2J\.x' is not allowed/],
      [
        'calling a storage type',
        [...op.global('torch', 'FloatStorage'), ...op.emptyTuple, ...op.reduce],
        /'torch\.FloatStorage' must not be called/,
      ],
      ['calling what is no name', [...op.text('x'), ...op.emptyTuple, ...op.reduce], /something is called/],
      ['INST', [...op.mark, 0x69, ...bytesOf('os\nsystem\n')], /opcode INST is not allowed/],
      ['OBJ', [...op.mark, 0x6f], /opcode OBJ is not allowed/],
      ['STACK_GLOBAL', [...op.text('os'), ...op.text('system'), 0x93], /opcode STACK_GLOBAL is not allowed/],
      ['NEWOBJ', [...op.emptyTuple, 0x81], /opcode NEWOBJ is not allowed/],
      ['EXT1', [0x82, 1], /opcode EXT1 is not allowed/],
      ['a byte that is no opcode', [0xff], /opcode 0xff is not allowed/],
      ['a reference to nothing', op.get(7), /its object 7, which it does not have/],
      [
        'taking from below a mark',
        [...op.global('torch', 'Size'), ...op.emptyTuple, ...op.mark, ...op.reduce],
        /finds nothing on the stack/,
      ],
      ['a tuple without a mark', op.tuple, /finds no mark/],
      ['setting in a list', [...op.emptyList, ...op.none, ...op.none, ...op.setItem], /no dict/],
      ['appending to a dict', [...op.emptyDict, ...op.mark, ...op.none, ...op.appends], /no list/],
      [
        'a dict as a key',
        [...op.emptyDict, ...op.emptyDict, ...op.none, ...op.setItem],
        /a key is no string or number/,
      ],
      ['attributes of a string', [...op.text('x'), ...op.emptyDict, ...op.build], /attributes are set on/],
      ['a string beyond the file', [0x58, 0xff, 0xff, 0xff, 0xff], /truncated\?/],
      ['a string that is no UTF-8', [0x58, 1, 0, 0, 0, 0xff], /not UTF-8/],
      ['an integer of 200 bytes', [0x8a, 200], /an integer of 200 bytes/],
      [
        'a persistent id of a module',
        [...op.mark, ...op.text('module'), ...op.tuple, ...op.persistentId],
        /persistent id/,
      ],
      ['a bare number', op.int(3), /holds the value 3, not a state dict/],
      ['values left over', [...op.none, ...op.none], /values left over/],
    ] as [string, number[], RegExp][]) {
      test(`refuses ${what}`, () => refused(wrap(bytesOf([0x80, 2], body, op.stop)), complaint));
    }

    test('refuses what would need much memory for few bytes', () => {
      refused(
        wrap(bytesOf([0x80, 2], new Uint8Array(300_000).fill(0x7d), op.stop)),
        /more than 250000 dicts/,
      );
      // One list of 1000 pairs, made into a dict again and again.
      const names = Array.from({ length: 1000 }, (_, index) => [
        ...op.text(`k${index}`),
        ...op.none,
        0x86,
      ]).flat();
      const pairs = [...op.emptyList, ...op.mark, ...names, ...op.appends, 0x85, ...op.put(0)];
      const call = [...op.global('collections', 'OrderedDict'), ...op.get(0), ...op.reduce];
      refused(wrap(bytesOf([0x80, 2], pairs, ...Array(300).fill(call), op.stop)), /more than 250000 dicts/);
    });

    test('charges a call for the list that it walks, though little comes of it', () => {
      // One pair a thousand times, and a dict of it again and again: each would have one entry.
      const pair = [...op.text('k'), ...op.none, 0x86, ...op.put(1)];
      const head = [...op.emptyList, ...op.mark, ...pair, ...Array(999).fill(op.get(1)).flat()];
      const args = [...head, ...op.appends, 0x85, ...op.put(0)];
      const call = [...op.global('collections', 'OrderedDict'), ...op.get(0), ...op.reduce];
      refused(wrap(bytesOf([0x80, 2], args, ...Array(300).fill(call), op.stop)), /more than 250000 dicts/);
      // A call that is refused whatever its list has is charged first, too.
      const long = [...op.emptyList, ...op.mark, ...Array(300_000).fill(op.none[0]), ...op.appends, 0x85];
      const once = [...op.global('collections', 'OrderedDict'), ...long, ...op.reduce];
      refused(wrap(bytesOf([0x80, 2], once, op.stop)), /more than 250000 dicts/);
    });

    test('refuses more entries of dicts than any state dict has', () => {
      const entries = new Uint8Array(2 * 250_000).fill(op.none[0] as number);
      refused(
        wrap(bytesOf([0x80, 2], op.emptyDict, op.mark, entries, op.setItems, op.stop)),
        /more than 250000 dicts, their entries/,
      );
    });

    test('refuses a name that a state dict has twice, and a wrapper that a checkpoint has twice', () => {
      const twice = [
        ['w', tensorPickle()],
        ['w', tensorPickle()],
      ] as const;
      refused(wrap(dictPickle(twice)), /a dict has 'w' twice/);
      const inner = [...op.emptyDict, ...op.text('w'), ...tensorPickle(), ...op.setItem];
      const wrapped = [
        ['model', inner],
        ['model', inner],
      ] as const;
      refused(wrap(dictPickle(wrapped)), /a dict has 'model' twice/);
      const pair = [...op.text('w'), ...tensorPickle(), 0x86];
      const pairs = [...op.emptyList, ...op.mark, ...pair, ...pair, ...op.appends, 0x85];
      const ordered = bytesOf([0x80, 2], op.global('collections', 'OrderedDict'), pairs, op.reduce, op.stop);
      refused(wrap(ordered), /a dict has 'w' twice/);
    });

    test('refuses numbers of objects that no pickler counts to', () => {
      const put = [0x72, 0xff, 0xff, 0xff, 0xff];
      refused(wrap(bytesOf([0x80, 2], op.emptyDict, put, op.stop)), /numbers an object 4294967295 after/);
    });

    test('refuses the key of a storage that is no key', () => {
      refused(wrap(one({ key: '0'.repeat(101) })), /a storage whose key has 101 characters; 100 are read/);
    });

    test('reads past what is beside the state dict, whatever its keys are', () => {
      const beside = [...op.emptyDict, ...op.int(1), ...op.none, ...op.setItem];
      const pickle = dictPickle([
        ['optimizer', beside],
        ['model', [...op.emptyDict, ...op.text('w'), ...tensorPickle(), ...op.setItem]],
      ]);
      assert.deepEqual(values(pickle)?.data, Float32Array.of(1, 2));
    });

    test('refuses a pickle that is longer than any state dict needs', () => {
      const long = new Uint8Array(9 * 2 ** 20).fill(0x4e);
      refused(wrap(bytesOf([0x80, 2], long, op.stop)), /longer than 8388608 bytes/);
    });

    test('refuses tensors without number that a few bytes repeat', () => {
      const repeated = [...op.global('torch._utils', '_rebuild_tensor_v2'), ...op.get(0), ...op.reduce];
      const tuple = tensorPickle().slice(op.global('torch._utils', '_rebuild_tensor_v2').length, -1);
      const pickle = bytesOf([0x80, 2], tuple, op.put(0), ...Array(100_000).fill(repeated), op.stop);
      refused(wrap(pickle), /more than 250000 dicts, their entries, lists, tuples and tensors/);
    });

    test('nesting as deep as the file allows is refused or read, without recursion', () => {
      const deep = bytesOf([0x80, 2], op.none, new Uint8Array(100_000).fill(0x85), op.stop);
      refused(wrap(deep), /holds a list, not a state dict/);
    });

    test('names a leaf that is no tensor, inside a wrapper too', () => {
      refused(wrap(dictPickle([['w', op.text('x')]])), /'w' is the string 'x'; a state dict \(or one under/);
      const inner = [...op.emptyDict, ...op.text('w'), ...op.none, ...op.setItem];
      refused(
        wrap(dictPickle([['model', inner]])),
        /'w' is None; the state dict under 'model' holds tensors only/,
      );
      refused(wrap(dictPickle([['net', inner]])), /'net' is a dict; a state dict/);
      refused(
        wrap(bytesOf([0x80, 2], op.emptyDict, op.int(1), op.none, op.setItem, op.stop)),
        /the value 1 as a name/,
      );
    });

    test('an entry named model that is a tensor is a tensor', () => {
      const { tensors } = readPth(wrap(dictPickle([['model', tensorPickle()]])), 'a.pth');
      assert.deepEqual([...tensors.keys()], ['model']);
    });
  });
}

/** The parts of `bytes` before and after `inner`. */
function split(bytes: readonly number[], inner: readonly number[]): [number[], number[]] | [] {
  for (let at = 0; at + inner.length <= bytes.length; at++) {
    if (inner.every((byte, index) => bytes[at + index] === byte))
      return [bytes.slice(0, at), bytes.slice(at + inner.length)];
  }
  return [];
}

describe('the zip form', () => {
  const pickle = one();
  const archive = [
    ['a/data.pkl', pickle],
    ['a/data/0', floats(1, 2)],
  ] as const;

  test('is read with its places in zip64 records and behind a comment', () => {
    const expected = { shape: [2], data: Float32Array.of(1, 2) };
    assert.deepEqual(readPth(zipOf(archive, { zip64: true }), 'a.pth').tensors.get('w'), expected);
    const commented = Buffer.concat([zipOf(archive), Buffer.from('PK\x05\x06 a comment')]);
    commented.writeUInt16LE(14, commented.length - 16);
    assert.deepEqual(readPth(commented, 'a.pth').tensors.get('w'), expected);
  });

  for (const [what, bytes, complaint] of [
    [
      'a truncated archive',
      zipOf(archive).subarray(0, -1),
      /without its directory at the end \(truncated\?\)/,
    ],
    ['compressed entries', zipOf(archive, { method: 8 }), /'a\/data\.pkl' is compressed \(method 8\)/],
    ['encrypted entries', zipOf(archive, { flags: 1 }), /'a\/data\.pkl' is encrypted/],
    ['entries longer than the archive', zipOf(archive, { lie: 2 ** 20 }), /'a\/data\.pkl' ends at byte/],
    ['entries beyond a double', zipOf(archive, { lie: 2 ** 60, zip64: true }), /'a\/data\.pkl' ends at byte/],
    ['an entry listed twice', zipOf([...archive, ...archive]), /lists 'a\/data\.pkl' twice/],
    [
      'an archive of something else',
      zipOf([['word/document.xml', floats(1)]]),
      /with no data\.pkl is not of torch\.save/,
    ],
    ['two checkpoints in one', zipOf([...archive, ['b/data.pkl', pickle]]), /with several data\.pkl/],
    [
      'TorchScript',
      zipOf([...archive, ['a/constants.pkl', pickle]]),
      /a TorchScript archive.*torch\.save\(torch\.jit\.load\('model\.pt'\)\.state_dict\(\)/,
    ],
    [
      'TorchScript that is compressed, for what it is',
      zipOf([...archive, ['a/code/__torch__.py', pickle]], { method: 8 }),
      /a TorchScript archive/,
    ],
    ['a name of over a kilobyte', zipOf([['a'.repeat(1025), pickle]]), /has a name of over 1024 bytes/],
    ['big-endian numbers', zipOf([...archive, ['a/byteorder', bytesOf('big')]]), /big-endian/],
    ['a storage missing', zipOf(archive.slice(0, 1)), /no entry for storage '0'/],
  ] as [string, Uint8Array, RegExp][]) {
    test(`refuses ${what}`, () => refused(bytes, complaint));
  }

  test('refuses a directory entry that reaches beyond the directory', () => {
    const bytes = Buffer.from(zipOf(archive));
    bytes.writeUInt16LE(5000, bytes.lastIndexOf('PK\x01\x02', undefined, 'latin1') + 32);
    refused(bytes, /zip directory is damaged at its entry 2/);
  });

  test('says little-endian itself', () => {
    assert.equal(readPth(zipOf([...archive, ['a/byteorder', bytesOf('little')]]), 'a.pth').tensors.size, 1);
  });
});

describe('the legacy form', () => {
  test('reads views of storages, and only the part that they name', () => {
    const view = [...op.mark, ...op.text('v'), ...op.int(1), ...op.int(1), ...op.tuple];
    const pickle = one({ view, shape: [1] });
    assert.deepEqual(readPth(legacyPth(pickle), 'a.pth').tensors.get('w'), {
      shape: [1],
      data: Float32Array.of(2),
    });
    refused(legacyPth(one({ view })), /reaches element 1 of storage '0', which has 1/);
    const beyond = [...op.mark, ...op.text('v'), ...op.int(1), ...op.int(2), ...op.tuple];
    refused(legacyPth(one({ view: beyond, shape: [1] })), /viewed beyond its 2 elements/);
  });

  const data = floats(1, 2);
  const whole = legacyPth(one());
  for (const [what, bytes, complaint] of [
    [
      'a truncated file',
      whole.subarray(0, -1),
      /storage '0' ends at byte \d+, the file at \d+ \(truncated\?\)/,
    ],
    ['bytes left over', bytesOf(whole, [0]), /storages end at byte/],
    [
      'another count before the data',
      legacyPth(one(), [{ key: '0', data, count: 1 }]),
      /should have 2 elements and has 1/,
    ],
    [
      'a key listed twice',
      legacyPth(one(), [
        { key: '0', data, count: 2 },
        { key: '0', data, count: 2 },
      ]),
      /lists the string '0' as a storage key, twice/,
    ],
    ['a storage left out', legacyPth(one(), []), /storage '0' is not in the file's list/],
    ['another pickle', bytesOf([0x80, 2], op.none, op.stop), /a pickle, but not one that torch\.save wrote/],
    [
      'a harmful pickle',
      bytesOf([0x80, 2], op.global('os', 'system'), op.stop),
      /'os\.system' is not allowed/,
    ],
  ] as [string, Uint8Array, RegExp][]) {
    test(`refuses ${what}`, () => refused(bytes, complaint));
  }

  test('refuses one storage described in two ways', () => {
    const pickle = dictPickle([
      ['a', tensorPickle()],
      ['b', tensorPickle({ type: 'HalfStorage' })],
    ]);
    refused(legacyPth(pickle), /'0' is described in two ways/);
  });
});
