// Requests to the server that the page came from. URLs are relative to the page, so that it works under any prefix.
import type { DetectResponse, Model, ModelList, Problem, SegmentResponse } from '../../openapi/types.ts';
import { type Query, withQuery } from './curl.ts';
import { LOWEST_SCORE, MOST_DETECTIONS } from './filter.ts';
import { sentence } from './format.ts';

/** A request that failed. The message is a sentence for the person at the page. */
export class ApiError extends Error {
  override readonly name = 'ApiError';
  /** Status and code, for whoever wants to look them up; empty where no answer came. */
  readonly reference: string;
  /** Whether the same request may succeed another time. */
  readonly passing: boolean;

  constructor(message: string, reference = '', passing = false) {
    super(message);
    this.reference = reference;
    this.passing = passing;
  }
}

/** An answer, as text too, and how long it took as seen from here. */
export interface Answer {
  readonly body: DetectResponse | SegmentResponse;
  readonly text: string;
  readonly roundTripMs: number;
}

/** Which network looks at a photo, and how. */
export interface Choice {
  readonly model: Model;
  readonly precision: string;
}

/** Address of the operation that a model's task belongs to, without a query. */
export function operationUrl({ task }: Model): string {
  return new URL(task === 'segmentation' ? 'v1/segment' : 'v1/detect', document.baseURI).href;
}

/** The parameters that choose the network; the model's default precision goes without saying. */
export function choiceQuery({ model, precision }: Choice): { model: string; precision: string | undefined } {
  return { model: model.name, precision: precision === model.default_precision ? undefined : precision };
}

/** @throws ApiError */
export async function listModels(): Promise<readonly Model[]> {
  const response = await send(new URL('v1/models', document.baseURI).href);
  return ((await response.json()) as ModelList).models;
}

/** Everything that a network finds in a photo, down to the lowest score that the page can show. @throws ApiError */
export async function look(photo: Blob, choice: Choice): Promise<Answer> {
  const query =
    choice.model.task === 'segmentation'
      ? {}
      : { score_threshold: String(LOWEST_SCORE), max_detections: String(MOST_DETECTIONS) };
  const started = performance.now();
  const response = await post(photo, choice, query, 'application/json');
  const text = await response.text();
  return { body: JSON.parse(text), text, roundTripMs: performance.now() - started };
}

/** What the server makes files of: the photo with its findings drawn on it, and its classes in two forms. */
export type FileKind = 'picture' | 'png' | 'rle';

/**
 * The findings of a photo as a file.
 * @param query which of them
 * @throws ApiError
 */
export async function findingsFile(photo: Blob, choice: Choice, kind: FileKind, query: Query): Promise<Blob> {
  const isSegmentation = choice.model.task === 'segmentation';
  const [how, accept] = {
    picture: [{ overlay: isSegmentation ? 'true' : undefined }, 'image/jpeg'],
    png: [{}, 'image/png'],
    rle: [{ format: 'rle' }, 'application/json'],
  }[kind] as [Query, string];
  return (await post(photo, choice, { ...query, ...how }, accept)).blob();
}

function post(photo: Blob, choice: Choice, query: Query, accept: string): Promise<Response> {
  const url = withQuery(operationUrl(choice.model), { ...choiceQuery(choice), ...query });
  return send(url, { method: 'POST', body: photo, headers: { Accept: accept } });
}

async function send(url: string, init?: RequestInit): Promise<Response> {
  let response: Response;
  try {
    response = await fetch(url, init);
  } catch {
    throw new ApiError(
      'The server did not answer. Is it still running, and can this computer reach it?',
      '',
      true,
    );
  }
  if (response.ok) return response;
  const problem = (await response.json().catch(() => undefined)) as Problem | undefined;
  const reference = [response.status, problem?.code].filter(Boolean).join(' ');
  const text = sentence(problem?.detail ?? `the server answered with status ${response.status}`);
  throw new ApiError(text, reference, response.status >= 500 || response.status === 408);
}
