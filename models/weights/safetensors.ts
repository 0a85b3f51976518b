import type { Tensor } from '../graph/tensor.ts';
import { tensor } from '../graph/tensor.ts';
import type { Dtype } from './dtype.ts';
import { DTYPE_BYTES, decode, elementCount, isCount, isDtype } from './dtype.ts';
import { WeightsError } from './errors.ts';
import { encodeHalf } from './half.ts';
import { isRecord, jsonFault } from './json.ts';
import { quote } from './quote.ts';

/**
 * The longest header that is read. The format allows 100 MB; this is room for a hundred thousand tensors, and bounds
 * what the parsed header takes.
 */
const MAX_HEADER_BYTES = 16 * 2 ** 20;
/** A header's arrays lie at depth 3. */
const MAX_DEPTH = 8;
const METADATA = '__metadata__';

/** A tensor as the header lists it, checked but for its place among the others. */
interface Entry {
  readonly name: string;
  readonly dtype: Dtype;
  readonly shape: readonly number[];
  readonly begin: number;
  readonly end: number;
}

function checkEntry(name: string, info: unknown, file: string): Entry {
  const refuse = (reason: string) => new WeightsError(`${file}: ${quote(name)} ${reason}`);
  if (!isRecord(info)) throw refuse('is not described by an object');
  const { dtype, shape, data_offsets: offsets } = info;
  if (!isDtype(dtype)) {
    const known = [...DTYPE_BYTES.keys()].join(', ');
    throw refuse(
      `is of type ${typeof dtype === 'string' ? quote(dtype) : 'no name'}; this reader knows ${known}`,
    );
  }
  if (!Array.isArray(shape) || !shape.every(isCount))
    throw refuse('has a shape that is no array of whole numbers');
  if (!Array.isArray(offsets) || offsets.length !== 2 || !offsets.every(isCount)) {
    throw refuse('has data_offsets that are no pair of whole numbers');
  }
  const [begin, end] = offsets as [number, number];
  const count = elementCount(shape);
  if (count === undefined) throw refuse('has a shape beyond any memory');
  const bytes = count * (DTYPE_BYTES.get(dtype) as number);
  if (end - begin !== bytes) {
    throw refuse(`takes ${bytes} bytes by its shape and type, but its data_offsets span ${end - begin}`);
  }
  return { name, dtype, shape, begin, end };
}

function checkMetadata(value: unknown, file: string): Record<string, string> {
  // Without a prototype, so that a key of the file is never anything but a key.
  const metadata: Record<string, string> = Object.create(null);
  if (value === undefined) return metadata;
  if (!isRecord(value)) throw new WeightsError(`${file}: ${METADATA} must be an object of strings`);
  for (const [key, text] of Object.entries(value)) {
    if (typeof text !== 'string')
      throw new WeightsError(`${file}: ${METADATA} holds ${quote(key)}, which is no string`);
    metadata[key] = text;
  }
  return metadata;
}

/** The JSON header and where the data begins. */
function readHeader(bytes: Uint8Array, file: string): { header: Record<string, unknown>; start: number } {
  if (bytes.length < 8)
    throw new WeightsError(`${file}: ${bytes.length} bytes are too few for safetensors (truncated?)`);
  const length = new DataView(bytes.buffer, bytes.byteOffset, 8).getBigUint64(0, true);
  if (length > MAX_HEADER_BYTES) {
    throw new WeightsError(
      `${file}: a header of ${length} bytes; this reader takes ${MAX_HEADER_BYTES} at most`,
    );
  }
  const start = 8 + Number(length);
  if (start > bytes.length) {
    throw new WeightsError(
      `${file}: the header ends at byte ${start}, the file at ${bytes.length} (truncated?)`,
    );
  }
  const notJson = () => new WeightsError(`${file}: the header is not JSON in UTF-8`);
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes.subarray(8, start));
  } catch {
    throw notJson();
  }
  if (!text.startsWith('{')) throw new WeightsError(`${file}: the header is no JSON object`);
  const fault = jsonFault(text, MAX_DEPTH);
  if (fault) {
    const what =
      'repeated' in fault ? `lists ${quote(fault.repeated)} twice` : `nests deeper than ${MAX_DEPTH}`;
    throw new WeightsError(`${file}: the header ${what}`);
  }
  let header: unknown;
  try {
    header = JSON.parse(text);
  } catch {
    throw notJson();
  }
  if (!isRecord(header)) throw notJson();
  return { header, start };
}

/**
 * Reads a safetensors file, every type as float32. Format: huggingface/safetensors README ("Format") and the checks of
 * its reference implementation: the tensors cover the data without hole or overlap, each as long as its shape says,
 * no key twice. The data may begin at any alignment. All is checked before anything is allocated.
 * @param file name used in errors
 * @returns the tensors in the order of their data, the types that the file has them in, and the header's `__metadata__`
 *   (empty where absent)
 * @throws WeightsError naming the file and what does not fit.
 */
export function readSafetensors(
  bytes: Uint8Array,
  file: string,
): { tensors: Map<string, Tensor>; dtypes: ReadonlyMap<string, Dtype>; metadata: Record<string, string> } {
  const { header, start } = readHeader(bytes, file);
  const entries: Entry[] = [];
  for (const [name, info] of Object.entries(header)) {
    if (name !== METADATA) entries.push(checkEntry(name, info, file));
  }
  entries.sort((a, b) => a.begin - b.begin || a.end - b.end);
  let at = 0;
  for (const { name, begin, end } of entries) {
    if (begin !== at) {
      const fault = begin > at ? 'leaves a hole before it' : 'overlaps another tensor';
      throw new WeightsError(
        `${file}: ${quote(name)} begins at byte ${begin} of the data, not ${at}: it ${fault}`,
      );
    }
    at = end;
  }
  const found = bytes.length - start;
  if (at !== found) {
    const fault = found < at ? ' (truncated?)' : '';
    throw new WeightsError(
      `${file}: the tensors take ${at} bytes, the file holds ${found} after its header${fault}`,
    );
  }
  const metadata = checkMetadata(Object.hasOwn(header, METADATA) ? header[METADATA] : undefined, file);
  const tensors = new Map(
    entries.map(({ name, dtype, shape, begin, end }) => [
      name,
      tensor(shape, decode(dtype, bytes.subarray(start + begin, start + end))),
    ]),
  );
  const dtypes = new Map(entries.map(({ name, dtype }) => [name, dtype]));
  return { tensors, dtypes, metadata };
}

/** How `writeSafetensors` stores. */
export interface SafetensorsOptions {
  /** Type of every tensor; F32 where not given. */
  readonly dtype?: 'F32' | 'F16';
  readonly metadata?: Readonly<Record<string, string>>;
}

/**
 * Writes a safetensors file: metadata first and by key, tensors by name, the header padded with spaces to a multiple
 * of 8 as the reference implementation does. The same tensors give the same bytes, whatever order they come in.
 * @throws RangeError naming the tensor whose finite values half precision cannot hold (beyond 65504), or whose name
 * the format keeps for itself.
 */
export function writeSafetensors(
  tensors: ReadonlyMap<string, Tensor>,
  options: SafetensorsOptions = {},
): Uint8Array {
  const { dtype = 'F32', metadata } = options;
  const size = dtype === 'F16' ? 2 : 4;
  // By code unit, because a locale's order would differ from machine to machine.
  const byKey = <Value>([a]: [string, Value], [b]: [string, Value]) => (a < b ? -1 : 1);
  const entries = [...tensors].sort(byKey);
  // Text rather than an object: an object would sort names that look like numbers, and lose '__proto__'.
  const members: string[] = [];
  if (metadata) {
    const texts = Object.entries(metadata).sort(byKey);
    members.push(
      `"${METADATA}":{${texts.map(([key, text]) => `${JSON.stringify(key)}:${JSON.stringify(text)}`)}}`,
    );
  }
  let length = 0;
  for (const [name, { shape, data }] of entries) {
    if (name === METADATA) throw new RangeError(`a tensor cannot be named ${METADATA} in safetensors`);
    const begin = length;
    length += data.length * size;
    members.push(
      `${JSON.stringify(name)}:${JSON.stringify({ dtype, shape, data_offsets: [begin, length] })}`,
    );
  }
  const header = new TextEncoder().encode(`{${members.join()}}`);
  const padded = Math.ceil(header.length / 8) * 8;
  const bytes = new Uint8Array(8 + padded + length);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(padded), true);
  bytes.set(header, 8);
  bytes.fill(0x20, 8 + header.length, 8 + padded);
  let at = 8 + padded;
  for (const [name, { data }] of entries) {
    const stored = dtype === 'F16' ? checkedHalves(name, data) : data;
    bytes.set(new Uint8Array(stored.buffer, stored.byteOffset, stored.byteLength), at);
    at += stored.byteLength;
  }
  return bytes;
}

function checkedHalves(name: string, data: Float32Array): Uint16Array {
  const halves = encodeHalf(data);
  const lost = halves.findIndex((half, index) => (half & 0x7fff) === 0x7c00 && Number.isFinite(data[index]));
  if (lost >= 0)
    throw new RangeError(`'${name}' holds ${data[lost]}, which half precision cannot (65504 at most)`);
  return halves;
}
