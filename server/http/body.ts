// Images out of the body of a request, however it is packed.
import type { IncomingMessage } from 'node:http';
import { MIMEType } from 'node:util';
import { decodeImageText } from './base64.ts';
import { Bytes } from './bytes.ts';
import { validateJsonBody } from './contract.ts';
import { type OperationId, queryParameters } from './document.ts';
import { ImageForm } from './multipart.ts';
import { HttpProblem } from './problem.ts';
import { quote } from './query.ts';
import { type ReceiveLimits, receive } from './receive.ts';

/** What a request may bring. */
export interface BodyLimits {
  /** Bytes of one image, decoded from base64 if it came so. */
  readonly maxImageBytes: number;
  /** Bytes of the whole body as it arrives. */
  readonly maxRequestBytes: number;
  /** Images in one request. */
  readonly maxBatch: number;
  /** Time for the whole body to arrive, in milliseconds. */
  readonly timeoutMs?: number;
  /** Told of every chunk before it is kept; what it throws refuses the request. */
  readonly hold?: (bytes: number) => void;
}

/** What a request brought. */
export interface Images {
  /** At least one, none of them empty; whether they are images is for the decoder to say. */
  readonly images: Buffer[];
  /** Whether a batch was sent and `{results: [...]}` is the answer: `images` in JSON, or several files in a form. */
  readonly batch: boolean;
}

/**
 * Reads the images of a request: files of multipart/form-data, base64 of application/json, and for any other
 * Content-Type, or none, the body itself. Never holds more than the limits. After a rejection the body may still be on
 * its way: answer with `sendProblem`, which lets it pass.
 * @param operationId operation whose JSON body and options apply
 * @throws HttpProblem `no_image`, `invalid_body`, `unsupported_encoding`, `body_too_large`, `batch_too_large` or
 *   `request_timeout`; with `index` where it belongs to one image of several
 * @throws ClientGone as soon as the connection is lost
 */
export async function readImages(
  request: IncomingMessage,
  limits: BodyLimits,
  operationId: OperationId = 'detect',
): Promise<Images> {
  refuseEncoding(request);
  const type = mediaType(request);
  if (type?.essence === 'multipart/form-data') {
    return readForm(request, limits, type.params.get('boundary'), operationId);
  }
  if (type?.essence === 'application/json') return readJson(request, limits, operationId);
  return readRaw(request, limits);
}

async function readRaw(request: IncomingMessage, limits: BodyLimits): Promise<Images> {
  const maxBytes = Math.min(limits.maxImageBytes, limits.maxRequestBytes);
  const tooLarge = `the image has more than ${maxBytes} bytes, the most that this server takes`;
  const image = await collect(request, {
    maxBytes,
    tooLarge,
    timeoutMs: limits.timeoutMs,
    hold: limits.hold,
  });
  if (image.length === 0) {
    throw new HttpProblem('no_image', "the body is empty: it should be the image's bytes, a form or JSON");
  }
  // No image begins so; curl -d '{...}' without -H 'Content-Type: application/json' does.
  if (/^\s*\{\s*"/.test(image.toString('latin1', 0, 64))) {
    const type = request.headers['content-type'];
    const got = type === undefined ? 'there is no Content-Type' : `Content-Type is ${quote(type)}`;
    throw new HttpProblem('invalid_body', `the body looks like JSON, but ${got}: send 'application/json'`);
  }
  return { images: [image], batch: false };
}

async function readJson(
  request: IncomingMessage,
  limits: BodyLimits,
  operationId: OperationId,
): Promise<Images> {
  const bytes = await collect(request, wholeBody(limits));
  if (bytes.length === 0) throw new HttpProblem('no_image', 'the body is empty, and Content-Type says JSON');
  const body = validateJsonBody(operationId as 'detect', parseJson(bytes));
  const { maxBatch, maxImageBytes } = limits;
  if (body.images === undefined) {
    return { images: [decodeImageText(body.image!, { pointer: '/image' }, maxImageBytes)], batch: false };
  }
  if (body.images.length > maxBatch) {
    const detail = `the batch has ${body.images.length} images; the most that this server takes at once is ${maxBatch}`;
    throw new HttpProblem('batch_too_large', detail);
  }
  const images = body.images.map((text, index) => {
    return decodeImageText(text, { pointer: `/images/${index}`, index }, maxImageBytes);
  });
  return { images, batch: true };
}

async function readForm(
  request: IncomingMessage,
  limits: BodyLimits,
  boundary: string | null,
  operationId: OperationId,
): Promise<Images> {
  const options = queryParameters(operationId).map(({ name }) => name);
  const form = new ImageForm(boundary, { ...limits, options });
  await receive(request, wholeBody(limits), (chunk) => form.write(chunk));
  const images = await form.end();
  return { images, batch: images.length > 1 };
}

async function collect(request: IncomingMessage, limits: ReceiveLimits): Promise<Buffer> {
  const bytes = new Bytes(
    limits.maxBytes,
    Number(request.headers['content-length'] ?? Number.NaN) || undefined,
  );
  await receive(request, limits, (chunk) => {
    bytes.append(chunk); // `receive` holds to the same limit.
  });
  return bytes.view();
}

function wholeBody({ maxRequestBytes, timeoutMs, hold }: BodyLimits): ReceiveLimits {
  const tooLarge = `the body has more than ${maxRequestBytes} bytes, the most that this server takes`;
  return { maxBytes: maxRequestBytes, tooLarge, timeoutMs, hold };
}

function refuseEncoding(request: IncomingMessage): void {
  const encoding = request.headers['content-encoding']?.trim() ?? '';
  if (encoding === '' || encoding.toLowerCase() === 'identity') return;
  const detail = `Content-Encoding ${quote(encoding)} is not supported: send the body as it is`;
  throw new HttpProblem('unsupported_encoding', detail, { headers: { 'Accept-Encoding': 'identity' } });
}

/** The Content-Type; null where there is none that makes sense, since then it is not even a hint. */
function mediaType(request: IncomingMessage): MIMEType | null {
  const type = request.headers['content-type'];
  if (!type) return null;
  try {
    return new MIMEType(type);
  } catch {
    return null;
  }
}

function parseJson(bytes: Buffer): unknown {
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw new HttpProblem('invalid_body', 'the body is not JSON: it is not even UTF-8');
  }
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new HttpProblem('invalid_body', `the body is not JSON: ${(error as SyntaxError).message}`);
  }
}
