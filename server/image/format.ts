import probe from 'probe-image-size/sync.js';
import { ImageError } from './image-error.ts';

/** The formats that are decoded. */
export type ImageFormat = 'jpeg' | 'png' | 'webp' | 'avif' | 'gif' | 'tiff';

/** The accepted formats, by the names people know them under. */
export const FORMAT_NAMES: Readonly<Record<ImageFormat, string>> = {
  jpeg: 'JPEG',
  png: 'PNG',
  webp: 'WebP',
  avif: 'AVIF',
  gif: 'GIF',
  tiff: 'TIFF',
};

/** A byte pattern: Latin-1 text at an offset, and at further offsets where one place does not settle it. */
type Signature = readonly (readonly [offset: number, text: string])[];

/** All but JPEG, which is looked for first. */
const ACCEPTED: readonly (readonly [ImageFormat, Signature])[] = [
  ['png', [[0, '\x89PNG\r\n\x1a\n']]],
  [
    'webp',
    [
      [0, 'RIFF'],
      [8, 'WEBP'],
    ],
  ],
  ['gif', [[0, 'GIF87a']]],
  ['gif', [[0, 'GIF89a']]],
  ['tiff', [[0, 'II*\0']]],
  ['tiff', [[0, 'MM\0*']]],
  ['tiff', [[0, 'II+\0']]], // BigTIFF
  ['tiff', [[0, 'MM\0+']]],
];

const RAW_PHOTO = 'a camera raw file';
const JPEG_XL = 'a JPEG XL image';
const JPEG_2000 = 'a JPEG 2000 image';
const BASE64 =
  'base64 text; send the bytes it stands for, or JSON, {"image": "<the text>"}, as application/json';

/** What is often sent and not accepted, to be named. Looked at before ACCEPTED: raw files may be TIFF inside. */
const REFUSED: readonly (readonly [string, Signature])[] = [
  [RAW_PHOTO, [[0, 'II*\0\x10\0\0\0CR\x02']]],
  [RAW_PHOTO, [[0, 'IIRO']]],
  [RAW_PHOTO, [[0, 'IIU\0']]],
  [RAW_PHOTO, [[0, 'FUJIFILMCCD-RAW']]],
  [
    'a BMP image',
    [
      [0, 'BM'],
      [6, '\0\0\0\0'],
    ],
  ],
  ['a Photoshop (PSD) file', [[0, '8BPS']]],
  ['an icon (ICO)', [[0, '\0\0\x01\0']]],
  [JPEG_XL, [[0, '\xff\x0a']]],
  [JPEG_XL, [[0, '\0\0\0\x0cJXL \r\n\x87\n']]],
  [JPEG_2000, [[0, '\0\0\0\x0cjP  \r\n\x87\n']]],
  [JPEG_2000, [[0, '\xff\x4f\xff\x51']]],
  ['a PDF document', [[0, '%PDF-']]],
  ['a QuickTime video', [[4, 'moov']]],
  ['a QuickTime video', [[4, 'mdat']]],
  ['a Matroska or WebM video', [[0, '\x1a\x45\xdf\xa3']]],
  [
    'an AVI video',
    [
      [0, 'RIFF'],
      [8, 'AVI '],
    ],
  ],
  ['a ZIP archive', [[0, 'PK\x03\x04']]],
  ['gzip-compressed data', [[0, '\x1f\x8b']]],
  [BASE64, [[0, 'data:image/']]],
  [BASE64, [[0, '/9j/']]],
  [BASE64, [[0, 'iVBORw0KGgo']]],
];

const HEIC =
  'a HEIC/HEIF photo; convert it to JPEG, or have the phone take or share photos as "Most Compatible" (JPEG)';

/**
 * The format of an image, read from its first bytes; a Content-Type or a file name is never trusted. Knowing
 * the signature says nothing about the rest of the bytes: only decoding shows whether the picture is whole.
 * @throws ImageError `no_image` when there are no bytes, `unsupported_image` for all but the accepted formats.
 */
export function identifyImage(bytes: Uint8Array): ImageFormat {
  if (bytes.length === 0) {
    throw new ImageError('no_image', `There is no image: 0 bytes were received. ${acceptedFormats()}`);
  }
  // Nearly every photo is a JPEG, and nothing else begins like one.
  if (bytes[0] === 0xff && bytes[1] === 0xd8 && bytes[2] === 0xff) return 'jpeg';
  const head = Buffer.from(bytes.buffer, bytes.byteOffset, Math.min(bytes.length, 1024)).toString('latin1');
  const refused = REFUSED.find(([, signature]) => matches(head, signature))?.[0] ?? refusedText(head);
  if (refused !== undefined) throw unsupported(`This is ${refused}.`);
  const accepted = ACCEPTED.find(([, signature]) => matches(head, signature))?.[0];
  if (accepted !== undefined) return accepted;
  if (head.startsWith('ftyp', 4)) return identifyBoxes(head);
  throw unsupported('The bytes are not an image in a known format.');
}

function matches(head: string, signature: Signature): boolean {
  return signature.every(([offset, text]) => head.startsWith(text, offset));
}

/** Text formats have no magic number: a byte order mark, white space or comments may precede the first element. */
function refusedText(head: string): string | undefined {
  const text = head
    .replace(/^\xef\xbb\xbf/, '')
    .trimStart()
    .toLowerCase();
  if (!text.startsWith('<')) return undefined;
  if (/<svg[\s>]|<!doctype svg/.test(text)) return 'an SVG drawing';
  return /<html|<!doctype html/.test(text) ? 'an HTML page' : undefined;
}

/**
 * AVIF, HEIC and MP4 are all ISO base media files (ISO/IEC 14496-12); the brands in the first box, `ftyp`,
 * tell them apart. The major brand speaks first; `mif1` and `msf1` (ISO/IEC 23008-12) only say "an image in
 * boxes", and then the compatible brands name the codec.
 */
function identifyBoxes(head: string): ImageFormat {
  const size = [0, 1, 2, 3].reduce((value, at) => value * 256 + head.charCodeAt(at), 0);
  const major = head.slice(8, 12);
  const compatible = head.slice(16, Math.min(size, head.length)).match(/.{4}/gs) ?? [];
  const hevc = (brand: string) => /^he[iv][cxms]$/.test(brand);
  if (hevc(major)) throw unsupported(`This is ${HEIC}.`);
  if ([major, ...compatible].some((brand) => brand === 'avif' || brand === 'avis')) return 'avif';
  if (compatible.some(hevc) || ['mif1', 'msf1', 'miaf'].includes(major))
    throw unsupported(`This is ${HEIC}.`);
  if (major === 'crx ') throw unsupported(`This is ${RAW_PHOTO}.`);
  throw unsupported(`This is ${major === 'qt  ' ? 'a QuickTime' : 'an MP4'} video.`);
}

function unsupported(what: string): ImageError {
  return new ImageError('unsupported_image', `${what} ${acceptedFormats()}`);
}

function acceptedFormats(): string {
  return `Accepted formats: ${Object.values(FORMAT_NAMES).join(', ')}.`;
}

/**
 * The width and height (pixels, before orientation) that an image declares in its header, or `undefined`
 * where the header can't be read: not an accepted format, cut short, or BigTIFF. No native decoder sees the
 * bytes, so this may be asked of anything, in any process; but it is only what the sender claims, so the
 * decoder keeps its own limit. Never throws.
 */
export function declaredSize(bytes: Uint8Array): { width: number; height: number } | undefined {
  try {
    const size = probe.parsers[identifyImage(bytes)](bytes);
    return size && size.width > 0 && size.height > 0 ? { width: size.width, height: size.height } : undefined;
  } catch {
    return undefined;
  }
}
