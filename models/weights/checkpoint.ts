import type { Tensor } from '../graph/tensor.ts';
import { WeightsError } from './errors.ts';
import { isZip, readPth } from './pth.ts';
import { readSafetensors } from './safetensors.ts';

/** How other files begin that people take for checkpoints, and what to do with them. */
const OTHERS: readonly { readonly at: number; readonly bytes: string; readonly what: string }[] = [
  { at: 0, bytes: '\x89HDF\r\n\x1a\n', what: 'HDF5 (a Keras .h5 file?)' },
  { at: 4, bytes: 'TFL3', what: 'TensorFlow Lite' },
  { at: 0, bytes: '\x1f\x8b', what: 'gzip; decompress it first' },
  { at: 257, bytes: 'ustar', what: 'a tar archive; unpack it first' },
  { at: 0, bytes: 'version https://git-lfs', what: 'a Git LFS pointer; fetch the file itself' },
  { at: 0, bytes: '\x93NUMPY', what: 'a NumPy array' },
  { at: 0, bytes: '<', what: 'HTML or XML (an error page that was saved?)' },
  {
    at: 0,
    bytes: '{',
    what: 'JSON (a TF.js model.json is read together with its shards, not as a single file)',
  },
  // The first field of a ModelProto, ir_version, and then producer_name, opset_import or graph.
  ...['\x12', '\x1a', '\x3a', '\x42'].map((next) => ({ at: 2, bytes: next, what: 'ONNX' })),
];

const beginsWith = (bytes: Uint8Array, at: number, text: string): boolean =>
  bytes.length >= at + text.length &&
  [...text].every((char, index) => bytes[at + index] === char.charCodeAt(0));

function looksLike(bytes: Uint8Array): string {
  if (bytes.length === 0) return 'is empty';
  const found = OTHERS.find(({ at, bytes: text, what }) => {
    return beginsWith(bytes, at, text) && (what !== 'ONNX' || (bytes[0] === 8 && (bytes[1] as number) < 32));
  });
  return found ? `looks like ${found.what}` : 'is of no format that is known here';
}

/** A header length below 2^32 and the brace of its JSON. */
const isSafetensors = (bytes: Uint8Array): boolean =>
  bytes[8] === 0x7b && bytes[4] === 0 && bytes[5] === 0 && bytes[6] === 0 && bytes[7] === 0;

/** A pickle of protocol 2 to 5. */
const isPickle = (bytes: Uint8Array): boolean =>
  bytes[0] === 0x80 && (bytes[1] as number) >= 2 && (bytes[1] as number) <= 5;

/**
 * Reads the tensors of a checkpoint that is one file, every type as float32. Its bytes decide what it is, not its name.
 * @param file name used in errors
 * @throws WeightsError naming the file, and what it looks like where it is neither safetensors nor PyTorch.
 */
export function readCheckpoint(bytes: Uint8Array, file: string): Map<string, Tensor> {
  // First, because the length of a safetensors header may spell how a pickle begins (640 is 80 02).
  if (isSafetensors(bytes)) return readSafetensors(bytes, file).tensors;
  if (isZip(bytes) || isPickle(bytes)) return readPth(bytes, file).tensors;
  throw new WeightsError(
    `${file} ${looksLike(bytes)}; readable are safetensors and PyTorch's .pth (zip and legacy)`,
  );
}
