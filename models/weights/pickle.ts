import { WeightsError } from './errors.ts';
import { quote } from './quote.ts';

/** A Python name that a pickle may mention: an opaque class, or one with a harmless meaning when called. */
export class PickleGlobal {
  readonly name: string;
  readonly call: ((args: readonly unknown[]) => unknown) | undefined;

  constructor(name: string, call?: (args: readonly unknown[]) => unknown) {
    this.name = name;
    this.call = call;
  }
}

/**
 * A dict, as the entries that it was given, in order. Not a Map: keys out of a file can be chosen to share one hash, and
 * then every look-up walks them all. Whoever reads a dict refuses what it says twice.
 */
export class PickleDict {
  readonly entries: (readonly [key: unknown, value: unknown])[] = [];
}

/** What a pickle's names and persistent ids stand for. Both functions throw WeightsError for what they refuse. */
export interface PickleHost {
  global(name: string): PickleGlobal | undefined;
  persistent(id: unknown): unknown;
}

/** The longest pickle. A tensor takes about 150 bytes of it, and its numbers are elsewhere. */
const MAX_PICKLE_BYTES = 8 * 2 ** 20;
/**
 * The most objects of one pickle, entries of dicts among them. Three bytes may make one that takes a kilobyte, so this
 * bounds memory and work; a tensor counts for about ten.
 */
const MAX_OBJECTS = 250_000;
/** The longest integer, in bytes. Python's seeds and torch's magic number have 8 to 10. */
const MAX_INTEGER_BYTES = 16;

/** Opcodes by name: those that `unpickle` knows, and for error messages those that it refuses. */
const OPCODES =
  /* biome-ignore format: a table */
  new Map([
    [0x80, 'PROTO'], [0x28, 'MARK'], [0x2e, 'STOP'], [0x4e, 'NONE'], [0x88, 'NEWTRUE'], [0x89, 'NEWFALSE'],
    [0x4a, 'BININT'], [0x4b, 'BININT1'], [0x4d, 'BININT2'], [0x8a, 'LONG1'], [0x47, 'BINFLOAT'],
    [0x58, 'BINUNICODE'], [0x54, 'BINSTRING'], [0x55, 'SHORT_BINSTRING'],
    [0x29, 'EMPTY_TUPLE'], [0x74, 'TUPLE'], [0x85, 'TUPLE1'], [0x86, 'TUPLE2'], [0x87, 'TUPLE3'],
    [0x5d, 'EMPTY_LIST'], [0x61, 'APPEND'], [0x65, 'APPENDS'],
    [0x7d, 'EMPTY_DICT'], [0x73, 'SETITEM'], [0x75, 'SETITEMS'],
    [0x71, 'BINPUT'], [0x72, 'LONG_BINPUT'], [0x68, 'BINGET'], [0x6a, 'LONG_BINGET'],
    [0x63, 'GLOBAL'], [0x52, 'REDUCE'], [0x62, 'BUILD'], [0x51, 'BINPERSID'],
    [0x30, 'POP'], [0x31, 'POP_MARK'], [0x32, 'DUP'], [0x46, 'FLOAT'], [0x49, 'INT'], [0x4c, 'LONG'], [0x8b, 'LONG4'],
    [0x50, 'PERSID'], [0x53, 'STRING'], [0x56, 'UNICODE'], [0x64, 'DICT'], [0x6c, 'LIST'], [0x67, 'GET'], [0x70, 'PUT'],
    [0x69, 'INST'], [0x6f, 'OBJ'], [0x81, 'NEWOBJ'], [0x92, 'NEWOBJ_EX'], [0x93, 'STACK_GLOBAL'],
    [0x82, 'EXT1'], [0x83, 'EXT2'], [0x84, 'EXT4'], [0x42, 'BINBYTES'], [0x43, 'SHORT_BINBYTES'], [0x8e, 'BINBYTES8'],
    [0x8c, 'SHORT_BINUNICODE'], [0x8d, 'BINUNICODE8'], [0x8f, 'EMPTY_SET'], [0x90, 'ADDITEMS'], [0x91, 'FROZENSET'],
    [0x94, 'MEMOIZE'], [0x95, 'FRAME'], [0x96, 'BYTEARRAY8'], [0x97, 'NEXT_BUFFER'], [0x98, 'READONLY_BUFFER'],
  ]);

/** Keys that a dict may have. Nobody looks at any but strings. */
const isKey = (value: unknown): boolean =>
  value === null || ['string', 'number', 'bigint', 'boolean'].includes(typeof value);

/**
 * Interprets one pickle: the opcodes that torch.save writes (protocol 2) for a state dict, and no others. Dicts become
 * PickleDicts, lists and tuples arrays, None null, integers numbers (bigints beyond 2^53). Nothing is looked up or called
 * but through `host`. Work and memory are linear in the pickle's length: an opcode takes constant time, or time in
 * its own bytes, or in values that an opcode each had put on the stack; a call, which may walk a list that the memo
 * repeats, is charged for that list before it begins, and all charges of a pickle have one limit.
 * Format: CPython's Lib/pickletools.py.
 * @param start where in `bytes` the pickle begins
 * @returns its value, and where it ends
 * @throws WeightsError naming the file and the opcode or Python name that is refused.
 */
export function unpickle(
  bytes: Uint8Array,
  start: number,
  host: PickleHost,
  file: string,
): { value: unknown; end: number } {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
  /** No value is undefined. */
  const memo: unknown[] = [];
  const stack: unknown[] = [];
  const marks: number[] = [];
  let at = start;
  let objects = 0;

  const broken = (reason: string) => new WeightsError(`${file}: a broken pickle: ${reason}`);
  /** Moves past the next `length` bytes, and says where they begin. */
  const take = (length: number): number => {
    if (length > bytes.length - at) throw broken('it ends in the middle (truncated?)');
    if (at + length > start + MAX_PICKLE_BYTES) throw broken(`it is longer than ${MAX_PICKLE_BYTES} bytes`);
    at += length;
    return at - length;
  };
  const string = (length: number): string => {
    const begin = take(length);
    try {
      return utf8.decode(bytes.subarray(begin, at));
    } catch {
      throw broken('a string is not UTF-8');
    }
  };
  const line = (): string => {
    const end = bytes.indexOf(0x0a, at);
    if (end < 0) throw broken('it ends in the middle (truncated?)');
    const text = string(end - at);
    at++;
    return text;
  };
  const charge = (count: number): void => {
    objects += count;
    if (objects > MAX_OBJECTS)
      throw broken(`more than ${MAX_OBJECTS} dicts, their entries, lists, tuples and tensors`);
  };
  const counted = <Value>(value: Value): Value => {
    charge(1);
    return value;
  };
  /** Takes the top of the stack, never from below the last mark. */
  const pop = (): unknown => {
    if (stack.length <= (marks.at(-1) ?? 0)) throw broken('an opcode finds nothing on the stack');
    return stack.pop();
  };
  const popToMark = (): unknown[] => {
    const mark = marks.pop();
    if (mark === undefined) throw broken('an opcode finds no mark');
    return stack.splice(mark);
  };
  const popTuple = (length: number): unknown[] => {
    const items: unknown[] = counted([]);
    for (let i = 0; i < length; i++) items.push(pop());
    return items.reverse();
  };
  const top = (): unknown => {
    if (stack.length <= (marks.at(-1) ?? 0)) throw broken('an opcode finds nothing on the stack');
    return stack.at(-1);
  };
  const append = (items: readonly unknown[]): void => {
    const list = top();
    if (!Array.isArray(list)) throw broken('items are appended to something that is no list');
    for (const item of items) list.push(item);
  };
  const assign = (items: readonly unknown[]): void => {
    const dict = top();
    if (!(dict instanceof PickleDict) || items.length % 2 !== 0)
      throw broken('items are set in something that is no dict');
    charge(items.length / 2);
    for (let i = 0; i < items.length; i += 2) {
      if (!isKey(items[i])) throw broken('a key is no string or number');
      dict.entries.push([items[i], items[i + 1]]);
    }
  };
  const global = (name: string): PickleGlobal => {
    const found = host.global(name);
    if (found) return found;
    throw new WeightsError(
      `${file}: ${quote(name)} is not allowed in a checkpoint, which holds tensors and plain values only; nothing was ` +
        'run (a whole model was pickled? save its state_dict() instead)',
    );
  };
  const reduce = (args: unknown, callee: unknown): unknown => {
    if (!Array.isArray(args) || !(callee instanceof PickleGlobal))
      throw broken('something is called that is no name');
    if (!callee.call)
      throw new WeightsError(`${file}: ${quote(callee.name)} must not be called in a checkpoint`);
    // The first argument is the one that a call may walk to its end, and the memo repeats it for two bytes: it is charged
    // before, whatever comes of it. A tensor copies two short lists.
    charge(3 + (Array.isArray(args[0]) ? args[0].length : 0));
    return callee.call(args);
  };
  const remember = (index: number): void => {
    // Picklers count their objects, each of which takes a byte at least.
    if (index > at - start) throw broken(`it numbers an object ${index} after ${at - start} bytes`);
    while (memo.length < index) memo.push(undefined);
    memo[index] = top();
  };
  const recall = (index: number): unknown => {
    const value = memo[index];
    if (value === undefined) throw broken(`it refers to its object ${index}, which it does not have`);
    return value;
  };
  const integer = (length: number): number | bigint => {
    if (length > MAX_INTEGER_BYTES) throw broken(`an integer of ${length} bytes`);
    const begin = take(length);
    let value = 0n;
    for (let i = length - 1; i >= 0; i--) value = (value << 8n) | BigInt(view.getUint8(begin + i));
    value = BigInt.asIntN(length * 8, value);
    return BigInt(Number(value)) === value && Number.isSafeInteger(Number(value)) ? Number(value) : value;
  };

  for (;;) {
    const opcode = view.getUint8(take(1));
    const name = OPCODES.get(opcode) ?? `0x${opcode.toString(16)}`;
    switch (name) {
      case 'PROTO':
        take(1);
        break;
      case 'MARK':
        marks.push(stack.length);
        break;
      case 'STOP': {
        const value = pop();
        if (stack.length > 0 || marks.length > 0) throw broken('it stops with values left over');
        return { value, end: at };
      }
      case 'NONE':
        stack.push(null);
        break;
      case 'NEWTRUE':
        stack.push(true);
        break;
      case 'NEWFALSE':
        stack.push(false);
        break;
      case 'BININT':
        stack.push(view.getInt32(take(4), true));
        break;
      case 'BININT1':
        stack.push(view.getUint8(take(1)));
        break;
      case 'BININT2':
        stack.push(view.getUint16(take(2), true));
        break;
      case 'LONG1':
        stack.push(integer(view.getUint8(take(1))));
        break;
      case 'BINFLOAT':
        stack.push(view.getFloat64(take(8)));
        break;
      case 'BINUNICODE':
        stack.push(string(view.getUint32(take(4), true)));
        break;
      // Python 2 writes its strings so.
      case 'BINSTRING':
        stack.push(string(view.getUint32(take(4), true)));
        break;
      case 'SHORT_BINSTRING':
        stack.push(string(view.getUint8(take(1))));
        break;
      case 'EMPTY_TUPLE':
        stack.push(counted([]));
        break;
      case 'TUPLE':
        stack.push(counted(popToMark()));
        break;
      case 'TUPLE1':
        stack.push(popTuple(1));
        break;
      case 'TUPLE2':
        stack.push(popTuple(2));
        break;
      case 'TUPLE3':
        stack.push(popTuple(3));
        break;
      case 'EMPTY_LIST':
        stack.push(counted([]));
        break;
      case 'APPEND':
        append([pop()]);
        break;
      case 'APPENDS':
        append(popToMark());
        break;
      case 'EMPTY_DICT':
        stack.push(counted(new PickleDict()));
        break;
      case 'SETITEM': {
        const value = pop();
        assign([pop(), value]);
        break;
      }
      case 'SETITEMS':
        assign(popToMark());
        break;
      case 'BINPUT':
        remember(view.getUint8(take(1)));
        break;
      case 'LONG_BINPUT':
        remember(view.getUint32(take(4), true));
        break;
      case 'BINGET':
        stack.push(recall(view.getUint8(take(1))));
        break;
      case 'LONG_BINGET':
        stack.push(recall(view.getUint32(take(4), true)));
        break;
      case 'GLOBAL': {
        const module = line();
        stack.push(global(`${module}.${line()}`));
        break;
      }
      case 'REDUCE': {
        const args = pop();
        stack.push(reduce(args, pop()));
        break;
      }
      case 'BUILD':
        // Attributes of an OrderedDict: torch keeps version numbers in `_metadata`. They mean nothing here.
        pop();
        if (!(top() instanceof PickleDict)) throw broken('attributes are set on something that is no dict');
        break;
      case 'BINPERSID':
        stack.push(counted(host.persistent(pop())));
        break;
      default:
        throw new WeightsError(
          `${file}: the pickle opcode ${name} is not allowed in a checkpoint; torch.save writes protocol 2 without it`,
        );
    }
  }
}
