// Images in a form (RFC 7578).
//
// This drives Dicer, the parser under @fastify/busboy, and not busboy itself: busboy passes over parts whose headers it
// cannot read, and a batch must not lose an image in silence.
import { Dicer } from '@fastify/busboy';
import { Bytes } from './bytes.ts';
import { HttpProblem } from './problem.ts';
import { quote } from './query.ts';

/** The field that images are sent in. */
export const FIELD = 'image';

// RFC 2046 section 5.1.1.
const LONGEST_BOUNDARY = 70;
// What clients send is two or three short lines.
const MOST_HEADER_PAIRS = 16;
const MOST_HEADER_BYTES = 8 * 1024;
// The parser's own back-pressure is switched off by a buffer that no chunk fills: parts are emptied as they come, and a
// form whose last part fills the buffer would never be told done with (Dicer 3.2 drops the callback of that write).
const PART_BUFFER_BYTES = 2 ** 30;

/** Limits of a form. */
export interface FormLimits {
  readonly maxImageBytes: number;
  readonly maxBatch: number;
  /** Names of the operation's options, for advice to those who send them as fields. */
  readonly options: readonly string[];
}

type PartHeaders = Readonly<Record<string, readonly string[]>>;

/** Parses a form that arrives in chunks, and holds the images that it had. */
export class ImageForm {
  readonly #dicer: Dicer;
  readonly #limits: FormLimits;
  readonly #images: Bytes[] = [];
  #problem: HttpProblem | undefined;
  #openParts = 0;
  #finished = false;
  #settled: () => void = () => {};

  /**
   * @param boundary parameter of the Content-Type, null if it has none
   * @throws HttpProblem `invalid_body` for a boundary that cannot be used
   */
  constructor(boundary: string | null, limits: FormLimits) {
    if (!boundary || boundary.length > LONGEST_BOUNDARY) {
      const fault = boundary ? `a boundary of more than ${LONGEST_BOUNDARY} characters` : 'no boundary';
      throw new HttpProblem(
        'invalid_body',
        `Content-Type multipart/form-data has ${fault}: leave Content-Type to the HTTP client, which knows its boundary`,
      );
    }
    this.#limits = limits;
    const config = {
      boundary,
      maxHeaderPairs: MOST_HEADER_PAIRS,
      maxHeaderSize: MOST_HEADER_BYTES,
      partHwm: PART_BUFFER_BYTES,
    };
    this.#dicer = new Dicer(config);
    this.#dicer.on('part', (part) => this.#onPart(part));
    this.#dicer.on('error', () => {
      this.#refuse('invalid_body', 'the form ends before its closing boundary: it was cut short');
    });
    this.#dicer.on('finish', () => {
      this.#finished = true;
      this.#settled();
    });
  }

  /**
   * Parses one chunk.
   * @throws HttpProblem as soon as something is wrong with the form
   */
  async write(chunk: Buffer): Promise<void> {
    await new Promise<void>((resolve) => this.#dicer.write(chunk, () => resolve()));
    if (this.#problem) throw this.#problem;
  }

  /**
   * The images, in the order of the form. Call it once, when all has been written.
   * @throws HttpProblem `invalid_body` if the form is incomplete, `no_image` if it has no image or an empty one
   */
  async end(): Promise<Buffer[]> {
    await new Promise<void>((resolve) => {
      this.#settled = () => {
        if (this.#problem || (this.#finished && this.#openParts === 0)) resolve();
      };
      this.#dicer.end();
      this.#settled();
    });
    if (this.#problem) throw this.#problem;
    if (this.#images.length === 0)
      throw new HttpProblem('no_image', `the form has no file in the field '${FIELD}'`);
    return this.#images.map((image) => image.view());
  }

  #onPart(part: NodeJS.ReadableStream): void {
    const index = this.#images.length;
    const image = new Bytes(this.#limits.maxImageBytes);
    this.#images.push(image);
    this.#openParts++;
    let described = false;
    part.on('header', (headers: PartHeaders) => {
      described = true;
      this.#checkHeaders(headers, index);
    });
    part.on('data', (piece: Buffer) => {
      if (this.#problem || image.append(piece)) return;
      const { maxImageBytes } = this.#limits;
      this.#refuse(
        'body_too_large',
        `image ${index} of the form has more than ${maxImageBytes} bytes`,
        index,
      );
    });
    part.on('error', () => {}); // The parser reports the same.
    part.on('end', () => {
      this.#openParts--;
      if (!described) this.#refuse('invalid_body', `part ${index} of the form ends within its headers`);
      if (image.length === 0) this.#refuse('no_image', `image ${index} of the form has no bytes`, index);
      this.#settled();
    });
  }

  #checkHeaders(headers: PartHeaders, index: number): void {
    const { name, isFile } = describePart(headers);
    const encoding = headers['content-transfer-encoding']?.[0]?.trim().toLowerCase() ?? 'binary';
    if (name === undefined) {
      const wanted = `Content-Disposition: form-data; name="${FIELD}"; filename="..."`;
      this.#refuse('invalid_body', `part ${index} of the form has no header '${wanted}'`);
    } else if (!isFile) {
      this.#refuse('invalid_body', textFieldAdvice(name, this.#limits.options));
    } else if (name !== FIELD) {
      this.#refuse(
        'invalid_body',
        `the form has a file in the field ${quote(name)}: the field must be called '${FIELD}'`,
      );
    } else if (!['binary', '8bit', '7bit'].includes(encoding)) {
      const fault = `Content-Transfer-Encoding ${quote(encoding)}: send its bytes as they are`;
      this.#refuse('invalid_body', `image ${index} of the form has ${fault}`, index);
    } else if (index >= this.#limits.maxBatch) {
      const { maxBatch } = this.#limits;
      this.#refuse(
        'batch_too_large',
        `the form has more than ${maxBatch} images, the most that this server takes at once`,
      );
    }
  }

  /** The first problem counts; those after it may be its consequences. */
  #refuse(code: HttpProblem['code'], detail: string, index?: number): void {
    this.#problem ??= new HttpProblem(code, detail, index === undefined ? {} : { index });
    this.#settled();
  }
}

/** Field name of a part, undefined if it is no form-data, and whether the part is a file. */
function describePart(headers: PartHeaders): { name: string | undefined; isFile: boolean } {
  const disposition = headers['content-disposition']?.[0] ?? '';
  if (!/^\s*form-data\s*(;|$)/i.test(disposition)) return { name: undefined, isFile: false };
  const parameters = new Map<string, string>();
  for (const [, key, quoted, token] of disposition.matchAll(
    /;\s*([^\s=;"]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s;"]*))/g,
  )) {
    parameters.set(key!.toLowerCase(), quoted?.replace(/\\(.)/g, '$1') ?? token!);
  }
  const type = headers['content-type']?.[0]?.trim().toLowerCase() ?? 'text/plain';
  const isFile = /^(image\/|application\/octet-stream)/.test(type);
  return {
    name: parameters.get('name'),
    isFile: isFile || parameters.has('filename') || parameters.has('filename*'),
  };
}

function textFieldAdvice(name: string, options: readonly string[]): string {
  if (name === FIELD) {
    return `the field '${FIELD}' is text: send the image as a file (curl -F ${FIELD}=@photo.jpg), or base64 as JSON`;
  }
  const advice = options.includes(name)
    ? `options go in the query string (?${name}=...)`
    : 'options go in the query string';
  return `the form has a text field ${quote(name)}: it takes files in the field '${FIELD}' only; ${advice}`;
}
