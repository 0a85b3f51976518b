// What a request can be told when it fails: the table of codes, the error that carries one, and the RFC 9457 body.
import type { Problem, ProblemCode, ProblemError } from '../../openapi/types.ts';

export type { Problem, ProblemCode, ProblemError } from '../../openapi/types.ts';

/** One line of the table: what a code means, and what to do about it. */
export interface ProblemDescription {
  readonly status: number;
  readonly title: string;
  /** One sentence. */
  readonly meaning: string;
  readonly remedy: string;
}

/**
 * Every problem that the API can answer with. The codes are those of `ProblemCode` in openapi.yaml, and
 * docs/reference/errors.md is written from this table (`node scripts/generate-docs.js`).
 */
export const PROBLEMS: Readonly<Record<ProblemCode, ProblemDescription>> = Object.freeze({
  no_image: {
    status: 400,
    title: 'No image',
    meaning: 'The request has no image, or one of its images has no bytes.',
    remedy:
      "Send the image's bytes as the body, files in the field `image` of a form, or base64 in JSON. An upload that arrives empty is often a path that does not exist.",
  },
  invalid_parameter: {
    status: 400,
    title: 'Invalid parameter',
    meaning: 'A query parameter has a value that it cannot have.',
    remedy: '`errors` names each parameter, the value that was given, and the values that are allowed.',
  },
  unknown_parameter: {
    status: 400,
    title: 'Unknown parameter',
    meaning: 'The query has a parameter that the operation does not know.',
    remedy: '`detail` lists the parameters that the operation knows; the spelling counts.',
  },
  invalid_body: {
    status: 400,
    title: 'Invalid body',
    meaning:
      'The body is not what its `Content-Type` says, ends too early, or holds something other than images.',
    remedy:
      'Send JSON as `{"image": "..."}` or `{"images": ["..."]}` in standard base64, forms with files in the field `image`, and options in the query string.',
  },
  precision_unavailable: {
    status: 400,
    title: 'Precision unavailable',
    meaning: 'The model cannot run in the precision that was asked for.',
    remedy: 'Ask for one that `GET /v1/models` lists in `precisions`, or leave the parameter out.',
  },
  wrong_task: {
    status: 400,
    title: 'Wrong task',
    meaning:
      'The model does something else than the path is for, such as segmentation where boxes were asked for.',
    remedy: '`detail` names the models that would do; `GET /v1/models` gives the `task` of each.',
  },
  not_found: {
    status: 404,
    title: 'Not found',
    meaning: 'The server has nothing at this path.',
    remedy: '`GET /openapi.json` lists the paths.',
  },
  unknown_model: {
    status: 404,
    title: 'Unknown model',
    meaning: 'The server knows no model of this name.',
    remedy: '`GET /v1/models` lists the names.',
  },
  unknown_backbone: {
    status: 404,
    title: 'Unknown backbone',
    meaning: 'There is no backbone of this name.',
    remedy: '`GET /v1/backbones` lists the names.',
  },
  method_not_allowed: {
    status: 405,
    title: 'Method not allowed',
    meaning: 'The path exists, but not for this method.',
    remedy: 'Use one of the methods in the `Allow` header.',
  },
  not_acceptable: {
    status: 406,
    title: 'Not acceptable',
    meaning: 'The `Accept` header leaves nothing that the operation can answer with.',
    remedy: 'Leave `Accept` out, or let it contain one of the types that `detail` names.',
  },
  request_timeout: {
    status: 408,
    title: 'Request timeout',
    meaning: 'The body did not arrive in the time that the server allows for it.',
    remedy: 'Send smaller images or use a faster connection; the request may be repeated as it was.',
  },
  body_too_large: {
    status: 413,
    title: 'Body too large',
    meaning: 'An image, or the body as a whole, has more bytes than the server takes.',
    remedy: 'Send a smaller or more strongly compressed image, or fewer images at once.',
  },
  image_too_large: {
    status: 413,
    title: 'Image too large',
    meaning: 'The image has more pixels than the server decodes, however few bytes they take.',
    remedy: 'Scale the image down; the networks look at a few hundred pixels a side.',
  },
  batch_too_large: {
    status: 413,
    title: 'Batch too large',
    meaning: 'The batch has more images than the server takes in one request.',
    remedy: 'Split the batch; `detail` names the most that one may have.',
  },
  unsupported_image: {
    status: 415,
    title: 'Unsupported image',
    meaning: 'The bytes are not an image of a kind that the server reads, whatever the `Content-Type` says.',
    remedy: 'Send one of the formats that `detail` names.',
  },
  unsupported_encoding: {
    status: 415,
    title: 'Unsupported encoding',
    meaning: 'The body is compressed with a `Content-Encoding`.',
    remedy: 'Send it without one: images are compressed already.',
  },
  undecodable_image: {
    status: 422,
    title: 'Undecodable image',
    meaning: 'The bytes begin like an image but are damaged or incomplete.',
    remedy:
      'Check that the file opens elsewhere and that it was sent whole; with curl use `--data-binary`, since `-d` alters the bytes.',
  },
  region_outside_image: {
    status: 422,
    title: 'Region outside image',
    meaning:
      'The region is well-formed, but no pixel of this image lies in it; that depends on the image, so it is 422 and not 400.',
    remedy: 'Give pixels of the image as a person sees it, after its EXIF orientation.',
  },
  internal_error: {
    status: 500,
    title: 'Internal error',
    meaning: 'The server has a fault.',
    remedy: "Report it with the line of the server's log that has this request id.",
  },
  worker_failed: {
    status: 500,
    title: 'Worker failed',
    meaning: 'The process that worked on the image died or hung, also on a second attempt.',
    remedy:
      'Other requests are not affected. If one image does this again and again, report it with the image.',
  },
  model_unavailable: {
    status: 503,
    title: 'Model unavailable',
    meaning:
      'The server knows the model, but it cannot run now: it is loading, its weights are missing, or it failed.',
    remedy:
      '`GET /v1/models/{model}` gives its state and the reason; a model that is loading is worth a retry.',
  },
  overloaded: {
    status: 503,
    title: 'Overloaded',
    meaning: 'The queue is full, so the request was turned away at once.',
    remedy: 'Try again after `Retry-After` seconds, or send fewer requests at a time.',
  },
  shutting_down: {
    status: 503,
    title: 'Shutting down',
    meaning: 'The server is about to stop and takes no new work.',
    remedy: 'Try again after `Retry-After` seconds; another instance, or the next one, will answer.',
  },
  deadline_exceeded: {
    status: 504,
    title: 'Deadline exceeded',
    meaning: 'The answer was not ready within the time that one request may take.',
    remedy: 'Send fewer or smaller images at once, or try again when the server has less to do.',
  },
} satisfies Record<ProblemCode, ProblemDescription>);

for (const description of Object.values(PROBLEMS)) Object.freeze(description);

/** What a problem may say beyond its code and its detail. */
export interface ProblemExtras {
  /** Each thing that was wrong, where there can be several. */
  readonly errors?: readonly ProblemError[];
  /** The image of the batch that it belongs to, from 0. */
  readonly index?: number;
  /** Response headers that belong to the problem, such as Allow or Retry-After. */
  readonly headers?: Readonly<Record<string, string>>;
  /** For the log; never sent. */
  readonly cause?: unknown;
}

/** An error that answers the request with a problem of the table. `message` is sent as its `detail`. */
export class HttpProblem extends Error {
  override readonly name = 'HttpProblem';
  readonly code: ProblemCode;
  readonly errors: readonly ProblemError[] | undefined;
  readonly index: number | undefined;
  readonly headers: Readonly<Record<string, string>>;

  /** @param detail what was wrong this time and what would be right, for people */
  constructor(code: ProblemCode, detail: string, extras: ProblemExtras = {}) {
    super(detail, { cause: extras.cause });
    this.code = code;
    this.errors = extras.errors;
    this.index = extras.index;
    this.headers = extras.headers ?? {};
  }

  /** HTTP status of the code. */
  get status(): number {
    return PROBLEMS[this.code].status;
  }
}

/** The client went away before its request was read: there is nobody left to answer. */
export class ClientGone extends Error {
  override readonly name = 'ClientGone';
}

/** What a problem says about the request that it answers. */
export interface ProblemRequest {
  /** Path of the request, without its query. */
  readonly instance: string;
  readonly requestId: string;
}

/**
 * The problem that answers `error`. An HttpProblem, and any error or plain object with a `code` of the table and a
 * `message` (as they come from image decoding and from worker processes), become that problem. Whatever else was
 * thrown is an `internal_error` of which nothing is sent, neither message nor stack: that belongs in the log.
 */
export function toProblem(error: unknown, request: ProblemRequest): Problem {
  const { code, detail, errors, index } = describe(error);
  const { status, title } = PROBLEMS[code];
  return {
    type: `urn:thinlens:problem:${code}`,
    title,
    status,
    detail,
    instance: request.instance,
    code,
    request_id: request.requestId,
    ...(errors && errors.length > 0 ? { errors } : {}),
    ...(index === undefined ? {} : { index }),
  };
}

interface Description extends ProblemExtras {
  readonly code: ProblemCode;
  readonly detail: string;
}

function describe(error: unknown): Description {
  if (error instanceof HttpProblem) {
    const { code, message, errors, index } = error;
    return { code, detail: message, ...(errors && { errors }), ...(index !== undefined && { index }) };
  }
  const failed = typeof error === 'object' && error !== null && 'code' in error ? error : undefined;
  if (failed && isProblemCode(failed.code) && failed.code !== 'internal_error') {
    const message = 'message' in failed && typeof failed.message === 'string' ? failed.message : '';
    const index =
      'index' in failed && Number.isSafeInteger(failed.index) ? (failed.index as number) : undefined;
    return {
      code: failed.code,
      detail: message || PROBLEMS[failed.code].meaning,
      ...(index !== undefined && { index }),
    };
  }
  if (error instanceof URIError) {
    return { code: 'not_found', detail: 'the path is not valid percent-encoding' };
  }
  return {
    code: 'internal_error',
    detail: 'the server failed; its log has the cause under this request id',
  };
}

/** Whether a value is a code of the table. */
export function isProblemCode(value: unknown): value is ProblemCode {
  return typeof value === 'string' && Object.hasOwn(PROBLEMS, value);
}
