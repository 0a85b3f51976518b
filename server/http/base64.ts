// Images inside JSON.
import { HttpProblem, type ProblemExtras } from './problem.ts';
import { quote } from './query.ts';

// 'data:image/...;base64,' with any parameters that somebody may add; not megabytes of them.
const LONGEST_PREFIX = 256;

/** Where an image stood in the body. */
export interface Place {
  /** JSON Pointer to it. */
  readonly pointer: string;
  /** In a batch, from 0. */
  readonly index?: number;
}

/**
 * The bytes that base64 (RFC 4648 section 4, standard alphabet with padding, white space ignored) or a base64 data URI
 * of a type image/* stands for.
 * @throws HttpProblem `no_image` if there are none, `invalid_body` if the text is neither, `body_too_large` beyond
 *   `maxBytes`
 */
export function decodeImageText(text: string, place: Place, maxBytes: number): Buffer {
  const base64 = withoutWhitespace(stripDataUri(text, place));
  const padding = base64.endsWith('==') ? 2 : base64.endsWith('=') ? 1 : 0;
  const end = base64.length - padding;
  if (end === 0) throw problem('no_image', `'${place.pointer}' has no bytes`, place);
  const stray = base64.slice(0, end).search(/[^A-Za-z0-9+/]/);
  if (stray >= 0) throw problem('invalid_body', strangeCharacter(base64, stray, place), place);
  if (base64.length % 4 !== 0 || end % 4 === 1) {
    const fault = `its ${base64.length} characters are no multiple of 4, so it was cut short or lacks its padding '='`;
    throw problem('invalid_body', `'${place.pointer}' is not base64: ${fault}`, place);
  }
  if ((base64.length / 4) * 3 - padding > maxBytes) {
    throw problem('body_too_large', `'${place.pointer}' has more than ${maxBytes} bytes`, place);
  }
  return Buffer.from(base64, 'base64');
}

function stripDataUri(text: string, place: Place): string {
  if (/^\s*https?:/i.test(text)) {
    throw problem(
      'invalid_body',
      `'${place.pointer}' is a URL, which is not fetched: send the image itself`,
      place,
    );
  }
  const [head] = /^\s*data:/i.exec(text) ?? [];
  if (head === undefined) return text;
  const comma = text.slice(0, LONGEST_PREFIX).indexOf(',');
  const [type = '', ...parameters] = text.slice(head.length, Math.max(comma, head.length)).split(';');
  const isBase64 = parameters.at(-1)?.trim().toLowerCase() === 'base64';
  if (comma < 0 || !isBase64 || !/^\s*image\/[^\s/]+\s*$/i.test(type)) {
    const got = quote(text.slice(0, comma < 0 ? 40 : comma + 1));
    throw problem(
      'invalid_body',
      `'${place.pointer}' must begin 'data:image/...;base64,', got ${got}`,
      place,
    );
  }
  return text.slice(comma + 1);
}

function withoutWhitespace(text: string): string {
  return /\s/.test(text) ? text.replace(/\s+/g, '') : text;
}

function strangeCharacter(base64: string, position: number, { pointer }: Place): string {
  const character = base64[position]!;
  const advice = /[-_]/.test(character) ? ': the URL-safe alphabet is not accepted, use + and /' : '';
  return `'${pointer}' is not base64: it has ${quote(character)} at position ${position}${advice}`;
}

function problem(code: HttpProblem['code'], detail: string, { pointer, index }: Place): HttpProblem {
  const extras: ProblemExtras = { errors: [{ pointer, detail }], ...(index !== undefined && { index }) };
  return new HttpProblem(code, detail, extras);
}
