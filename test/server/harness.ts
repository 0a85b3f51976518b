// The whole server, in this process, for the tests of what it does over HTTP; and its answers, each held to the document.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { after } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { pino } from 'pino';
import type {
  DetectBatchResponse,
  DetectResponse,
  Problem,
  SegmentBatchResponse,
  SegmentResponse,
} from '../../openapi/types.ts';
import type { OperationId } from '../../server/http/contract.ts';
import { assertResponse } from '../../server/http/contract.ts';
import type { RunningServer } from '../../server/server.ts';
import { startServer } from '../../server/server.ts';
import type { Settings } from '../../server/settings.ts';
import { readSettings } from '../../server/settings.ts';

export interface TestServer extends RunningServer {
  /** What it logged so far. */
  readonly log: readonly LogLine[];
}

export interface LogLine {
  readonly level: number;
  readonly msg: string;
  readonly [field: string]: unknown;
}

/** Where the servers of this process keep the compiled model: made once, by the code of today, and gone with the process. */
const home = mkdtempSync(join(tmpdir(), 'thinlens-test-'));
process.on('exit', () => rmSync(home, { recursive: true, force: true }));

/** Whatever a test left running, because it failed say: its workers would keep the tests from ending. */
const started = new Set<RunningServer>();
after(async () => {
  for (const server of started) await server.stop();
});

/**
 * Starts a server on a free port, with one worker and one model for each task, in fp32 whatever the CPU is good at; it may not be
 * ready yet.
 */
export async function start(settings: Partial<Settings> = {}): Promise<TestServer> {
  const log: LogLine[] = [];
  const lines = new Writable({
    write(chunk, _encoding, done) {
      log.push(JSON.parse(String(chunk)));
      done();
    },
  });
  const server = await startServer(
    { ...readSettings({}, {}), port: 0, home, workers: 1, models: ONE_EACH, precision: 'fp32', ...settings },
    pino({ base: null }, lines),
  );
  started.add(server);
  server.ready.catch(() => {}); // For those who wait for it; a test that does not must not fail for it.
  return { ...server, log };
}

/** A server that is ready. */
export async function startReady(settings: Partial<Settings> = {}): Promise<TestServer> {
  const server = await start(settings);
  await server.ready;
  return server;
}

/** One answer, held to the API's document already. */
export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly bytes: Buffer;
  readonly text: string;
  /** Parsed JSON, or the text of other types. */
  readonly body: unknown;
}

/** Sends a request and holds its answer to what the document says of the operation, and to what holds for all answers. */
export async function ask(operation: OperationId, url: string, init: RequestInit = {}): Promise<Answer> {
  const response = await fetch(url, init);
  const bytes = Buffer.from(await response.arrayBuffer());
  const text = bytes.toString();
  const type = response.headers.get('Content-Type') ?? '';
  const answer = {
    status: response.status,
    headers: response.headers,
    bytes,
    text,
    body: type.includes('json') ? (JSON.parse(text) as unknown) : text,
  };
  assertResponse(operation, answer.status, type, answer.body);
  checkProblem(answer, new URL(url).pathname);
  return answer;
}

/** What holds for every answer, and for every problem. */
export function checkProblem({ status, headers, body }: Answer, path: string): void {
  const id = headers.get('X-Request-Id') ?? assert.fail('there is no X-Request-Id');
  if (status === 503) assert.match(headers.get('Retry-After') ?? '', /^[1-9]\d*$/);
  if (!headers.get('Content-Type')?.startsWith('application/problem+json')) return;
  const problem = body as Problem;
  assert.equal(problem.status, status);
  assert.equal(problem.request_id, id);
  assert.equal(problem.type, `urn:thinlens:problem:${problem.code}`);
  assert.equal(problem.instance, path);
}

type Query = Readonly<Record<string, string | number | boolean>>;
export type Body = Uint8Array | FormData | string;

/** The operations that take images. */
export type ImageOperation = 'detect' | 'segment';

export type Post = (
  server: { readonly url: string },
  body: Body | undefined,
  query?: Query | string,
  headers?: Readonly<Record<string, string>>,
) => Promise<Answer>;

/** Posts a body to an operation. Bytes go as curl --data-binary sends them, with a Content-Type that says nothing. */
const postTo =
  (operation: ImageOperation): Post =>
  (server, body, query = {}, headers = {}) => {
    const search =
      typeof query === 'string' ? query : new URLSearchParams(Object.entries(query).map(textPair)).toString();
    const raw = body instanceof Uint8Array ? { 'Content-Type': 'application/x-www-form-urlencoded' } : {};
    return ask(operation, `${server.url}/v1/${operation}${search && `?${search}`}`, {
      method: 'POST',
      ...(body !== undefined && { body: body as NonNullable<RequestInit['body']> }),
      headers: { ...raw, ...headers },
    });
  };

/** Posts to /v1/detect. */
export const post = postTo('detect');
/** Posts to /v1/segment. */
export const segment = postTo('segment');

/** An operation that takes images, for tests of what holds for both. */
export interface ImageTask {
  readonly operation: ImageOperation;
  readonly send: Post;
  /** The model that runs where none is named. */
  readonly model: string;
}

export const TASKS: readonly ImageTask[] = [
  { operation: 'detect', send: post, model: 'ssdlite_mobilenet_v2_coco' },
  { operation: 'segment', send: segment, model: 'deeplabv3_mobilenet_v2_voc' },
];

/** One model for each task. A test that needs them all says `models: []`; every one takes its time to load. */
const ONE_EACH: readonly string[] = TASKS.map(({ model }) => model);

const textPair = ([name, value]: [string, string | number | boolean]): [string, string] => [
  name,
  String(value),
];

/** Posts JSON, to /v1/detect where nothing else is said. */
export function postJson(
  server: { readonly url: string },
  body: unknown,
  query: Query = {},
  send: Post = post,
): Promise<Answer> {
  return send(server, JSON.stringify(body), query, { 'Content-Type': 'application/json' });
}

/** A form as browsers and curl -F send it. */
export function form(...images: readonly Uint8Array[]): FormData {
  const data = new FormData();
  images.forEach((bytes, index) => {
    data.append('image', new Blob([bytes as Uint8Array<ArrayBuffer>]), `photo-${index}`);
  });
  return data;
}

/** The result of one image. */
export function result(answer: Answer): DetectResponse {
  assert.equal(answer.status, 200, answer.text);
  assert.ok('detections' in (answer.body as object), 'one image was sent, and a batch answered');
  return answer.body as DetectResponse;
}

/** The results of a batch. */
export function results(answer: Answer): DetectBatchResponse['results'] {
  assert.equal(answer.status, 200, answer.text);
  return (
    (answer.body as DetectBatchResponse).results ?? assert.fail('a batch was sent, and one image answered')
  );
}

/** The classes of one image. */
export function segmented(answer: Answer): SegmentResponse {
  assert.equal(answer.status, 200, answer.text);
  assert.ok('segments' in (answer.body as object), 'one image was sent, and a batch answered');
  return answer.body as SegmentResponse;
}

/** The classes of each image of a batch. */
export function segmentedAll(answer: Answer): SegmentBatchResponse['results'] {
  assert.equal(answer.status, 200, answer.text);
  return (
    (answer.body as SegmentBatchResponse).results ?? assert.fail('a batch was sent, and one image answered')
  );
}

/** An answer that is no problem. */
export function answered(answer: Answer): Answer {
  assert.equal(answer.status, 200, answer.text);
  return answer;
}

/** The problem of an answer, which must have this status and code. */
export function problem(answer: Answer, status: number, code: Problem['code']): Problem {
  assert.deepEqual([answer.status, (answer.body as Problem).code], [status, code], answer.text);
  return answer.body as Problem;
}

/** The text of an answer without its timing, which is all that may differ between two answers to one photo. */
export function withoutTiming(answer: Answer): string {
  const text = answer.text.replaceAll(/"timing":\{[^}]*\},/g, '');
  assert.notEqual(text, answer.text);
  return text;
}

export const sample = (name: string): Promise<Buffer> => readFile(`samples/${name}.jpg`);

/** Waits until something holds; the bound only ends a test that would wait for ever. */
export async function until(condition: () => boolean | Promise<boolean>, what: string): Promise<void> {
  const started = performance.now();
  while (!(await condition())) {
    if (performance.now() - started > 30_000) throw new Error(`waited 30 s in vain until ${what}`);
    await sleep(5);
  }
}

/** Samples of one scrape by their name and labels as Prometheus writes them, `name{label="value"}`. */
export type Scrape = ReadonlyMap<string, number>;

/** Scrapes /metrics. */
export async function scrape(server: { readonly url: string }): Promise<Scrape> {
  const { body } = await ask('metrics', `${server.url}/metrics`);
  return new Map(
    String(body)
      .split('\n')
      .filter((line) => line !== '' && !line.startsWith('#'))
      .map((line) => {
        const cut = line.lastIndexOf(' ');
        return [line.slice(0, cut), Number(line.slice(cut + 1))];
      }),
  );
}

/** How much later samples are higher than earlier ones; those that did not change are left out, and so is prom-client's own. */
export function growth(earlier: Scrape, later: Scrape): Record<string, number> {
  const grown = [...later].map(([name, value]): [string, number] => [name, value - (earlier.get(name) ?? 0)]);
  return Object.fromEntries(grown.filter(([name, value]) => value !== 0 && name.startsWith('thinlens_')));
}
