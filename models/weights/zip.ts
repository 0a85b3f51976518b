import { WeightsError } from './errors.ts';
import { quote } from './quote.ts';

const END = 0x06054b50;
const END64 = 0x06064b50;
const END64_LOCATOR = 0x07064b50;
const CENTRAL = 0x02014b50;
const LOCAL = 0x04034b50;
const END_BYTES = 22;
const MAX_COMMENT = 0xffff;
/** In a 16- or 32-bit field: the value is in the zip64 record instead. */
const IN_ZIP64 = 0xffffffff;
const ZIP64_EXTRA = 1;
/** Bytes of the longest entry name. V8 hashes texts of many thousands by their length alone. */
const MAX_NAME = 1024;

interface Directory {
  readonly entries: number;
  readonly begin: number;
  readonly end: number;
}

/** What the directory says of an entry. */
interface Listed {
  readonly flags: number;
  readonly method: number;
  readonly place: { readonly bytes: number; readonly local: number };
}

/** As a double: inexact beyond 2^53, which is beyond every file and refused as such. */
const uint64 = (view: DataView, at: number): number =>
  view.getUint32(at + 4, true) * 2 ** 32 + view.getUint32(at, true);

function findDirectory(view: DataView, file: string): Directory {
  const last = view.byteLength - END_BYTES;
  let at = last;
  while (at >= 0 && at >= last - MAX_COMMENT) {
    if (view.getUint32(at, true) === END && view.getUint16(at + 20, true) === last - at) break;
    at--;
  }
  if (at < 0 || at < last - MAX_COMMENT) {
    throw new WeightsError(`${file}: a zip archive without its directory at the end (truncated?)`);
  }
  let [entries, bytes, begin] = [
    view.getUint16(at + 10, true),
    view.getUint32(at + 12, true),
    view.getUint32(at + 16, true),
  ];
  if (at >= 20 && view.getUint32(at - 20, true) === END64_LOCATOR) {
    const record = uint64(view, at - 12);
    if (!(record <= at - 20 - 56) || view.getUint32(record, true) !== END64) {
      throw new WeightsError(`${file}: the zip64 record of the archive is not where its locator says`);
    }
    [entries, bytes, begin] = [
      uint64(view, record + 32),
      uint64(view, record + 40),
      uint64(view, record + 48),
    ];
  }
  if (begin + bytes > at) {
    throw new WeightsError(
      `${file}: the zip directory ends at byte ${begin + bytes}, beyond the file's ${view.byteLength}`,
    );
  }
  return { entries, begin, end: begin + bytes };
}

/** Sizes and offset of a directory entry; those too large for 32 bits come, in this order, from the zip64 extra field. */
function placeOf(
  view: DataView,
  at: number,
  extra: number,
  extraEnd: number,
): { stored: number; bytes: number; local: number } | undefined {
  const fields = [
    view.getUint32(at + 24, true),
    view.getUint32(at + 20, true),
    view.getUint32(at + 42, true),
  ];
  for (let field = extra; fields.includes(IN_ZIP64) && field + 4 <= extraEnd; ) {
    const begin = field + 4;
    const end = begin + view.getUint16(field + 2, true);
    if (view.getUint16(field, true) === ZIP64_EXTRA && end <= extraEnd) {
      let from = begin;
      for (const [index, value] of fields.entries()) {
        if (value !== IN_ZIP64) continue;
        if (from + 8 > end) return undefined;
        fields[index] = uint64(view, from);
        from += 8;
      }
      break;
    }
    field = end;
  }
  const [bytes = 0, stored = 0, local = 0] = fields;
  return { bytes, stored, local };
}

function listEntries(
  bytes: Uint8Array,
  view: DataView,
  directory: Directory,
  file: string,
): Map<string, Listed> {
  const text = new TextDecoder();
  const listed = new Map<string, Listed>();
  const broken = () =>
    new WeightsError(`${file}: the zip directory is damaged at its entry ${listed.size + 1}`);
  let at = directory.begin;
  for (let index = 0; index < directory.entries; index++) {
    if (at + 46 > directory.end || view.getUint32(at, true) !== CENTRAL) throw broken();
    const nameEnd = at + 46 + view.getUint16(at + 28, true);
    const extraEnd = nameEnd + view.getUint16(at + 30, true);
    const next = extraEnd + view.getUint16(at + 32, true);
    if (next > directory.end) throw broken();
    const name = text.decode(bytes.subarray(at + 46, Math.min(nameEnd, at + 46 + MAX_NAME)));
    if (nameEnd - at - 46 > MAX_NAME)
      throw new WeightsError(`${file}: the entry ${quote(name)} has a name of over ${MAX_NAME} bytes`);
    if (listed.has(name)) throw new WeightsError(`${file}: the archive lists ${quote(name)} twice`);
    const [flags, method] = [view.getUint16(at + 8, true), view.getUint16(at + 10, true)];
    const place = placeOf(view, at, nameEnd, extraEnd);
    // Compressed and encrypted entries, which differ in this, are refused by those words.
    if (!place || (method === 0 && !(flags & 1) && place.stored !== place.bytes)) throw broken();
    listed.set(name, { flags, method, place });
    at = next;
  }
  return listed;
}

/**
 * The entries of a zip archive that stores without compression, as torch.save does; zip64 included. They are views of
 * `bytes`, so nothing grows. Checksums are not compared (torch.load does not, and may be told not to write them).
 * Format: PKWARE APPNOTE.TXT 6.3, sections 4.3.7 to 4.3.16 and 4.5.3.
 * @param checkNames throws where the names already tell that it is the wrong archive, before any entry is looked at
 * @throws WeightsError for a broken archive and for compressed or encrypted entries.
 */
export function storedEntries(
  bytes: Uint8Array,
  file: string,
  checkNames: (names: Iterable<string>) => void = () => {},
): Map<string, Uint8Array> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const directory = findDirectory(view, file);
  const listed = listEntries(bytes, view, directory, file);
  checkNames(listed.keys());
  const entries = new Map<string, Uint8Array>();
  for (const [name, { flags, method, place }] of listed) {
    if (flags & 1) throw new WeightsError(`${file}: the entry ${quote(name)} is encrypted`);
    if (method !== 0) {
      throw new WeightsError(
        `${file}: the entry ${quote(name)} is compressed (method ${method}); torch.save stores without compression`,
      );
    }
    entries.set(name, storedBytes(bytes, view, place.local, place.bytes, directory.begin, name, file));
  }
  return entries;
}

function storedBytes(
  bytes: Uint8Array,
  view: DataView,
  local: number,
  length: number,
  limit: number,
  name: string,
  file: string,
): Uint8Array {
  if (!(local + 30 <= limit) || view.getUint32(local, true) !== LOCAL) {
    throw new WeightsError(`${file}: the entry ${quote(name)} is not where the zip directory says`);
  }
  const begin = local + 30 + view.getUint16(local + 26, true) + view.getUint16(local + 28, true);
  if (!(begin + length <= limit)) {
    throw new WeightsError(
      `${file}: the entry ${quote(name)} ends at byte ${begin + length}, its archive's data at ${limit}`,
    );
  }
  return bytes.subarray(begin, begin + length);
}
