import type { RequestHandler } from 'express';
import { declaredSize, identifyImage } from '../../image/format.ts';
import type { JobResult } from '../../inference/pool.ts';
import { detectResponse } from '../../inference/response.ts';
import type { EncodedImage, InferenceService, ServedModel } from '../../inference/service.ts';
import { isServed } from '../../inference/service.ts';
import type { Metrics } from '../../observability/metrics.ts';
import type { Settings } from '../../settings.ts';
import { PRECISION } from '../../zoo/record.ts';
import { readImages } from '../body.ts';
import { BodyMemory } from '../body_memory.ts';
import { context } from '../context.ts';
import { validateQuery } from '../contract.ts';
import { ClientGone, HttpProblem } from '../problem.ts';
import { quote } from '../query.ts';

/** No more unknown classes than this are named in one problem. */
const MOST_NAMED = 10;

/** POST /v1/detect: images in, boxes out. */
export function detectRoute(service: InferenceService, metrics: Metrics, settings: Settings): RequestHandler {
  const bodies = new BodyMemory(settings.bodyBytes);
  return async (request, response) => {
    const { started, seen } = context(response);
    const query = validateQuery('detect', request.query);
    const served = modelFor(service, query.model ?? service.defaultModel);
    const { record } = served;
    seen.model = record.name;
    if (query.precision !== PRECISION) {
      throw new HttpProblem(
        'precision_unavailable',
        `${record.name} has no ${query.precision}: its precisions are ${PRECISION}`,
      );
    }
    seen.precision = PRECISION;
    const classIds = query.classes && classIdsOf(served, query.classes);

    const memory = bodies.open();
    response.once('close', memory.release);
    const signal = deadline(response, started, settings);
    const limits = { ...settings, timeoutMs: settings.requestTimeoutMs, hold: memory.take };
    const body = await readImages(request, limits);
    const received = performance.now();
    const images = body.images.map((bytes, index) => admit(bytes, settings, body.batch ? index : undefined));
    const results = await settle(
      service.detect(
        record.name,
        images,
        {
          scoreThreshold: query.score_threshold,
          iouThreshold: query.iou_threshold,
          maxDetections: query.max_detections,
          agnosticNms: query.agnostic_nms,
          ...(classIds && { classIds }),
          ...(query.region && { region: regionOf(query.region) }),
        },
        signal,
      ),
      body.batch,
    );

    const answers = results.map((result) => detectResponse(served, result, performance.now() - received));
    metrics.requestMadds.observe({ model: record.name }, served.madds * images.length);
    const encodeStarted = performance.now();
    const json = JSON.stringify(body.batch ? { results: answers } : answers[0]);
    response.type('application/json').send(json);
    metrics.stageDuration.observe(
      { model: record.name, precision: PRECISION, stage: 'encode' },
      (performance.now() - encodeStarted) / 1000,
    );
  };
}

/** @throws HttpProblem where the model is not known, does something else, or cannot run */
function modelFor(service: InferenceService, name: string): ServedModel {
  const served = service.model(name);
  if (!served) {
    const known = service.models.map(({ record }) => record.name).join(', ');
    throw new HttpProblem('unknown_model', `there is no model ${quote(name)}: the models are ${known}`);
  }
  if (!isServed(served.record)) {
    const fitting = service.models.filter(({ record }) => isServed(record)).map(({ record }) => record.name);
    throw new HttpProblem(
      'wrong_task',
      `${name} is for ${served.record.task}, and this path is for detection: models for that are ${fitting.join(', ')}`,
    );
  }
  if (served.loaded.state !== 'ready') {
    const why = 'reason' in served.loaded ? `cannot run: ${served.loaded.reason}` : 'is loading';
    throw new HttpProblem('model_unavailable', `${name} ${why}`, { headers: { 'Retry-After': '5' } });
  }
  return served;
}

/** Class ids of labels or ids as a request gave them. @throws HttpProblem naming those that the model does not have */
function classIdsOf({ record }: ServedModel, wanted: readonly string[]): number[] {
  const ids = new Map(
    record.labels.flatMap(({ classId, label }) => [
      [label, classId],
      [String(classId), classId],
    ]),
  );
  const unknown = wanted.filter((text) => !ids.has(text));
  if (unknown.length > 0) {
    const detail = `classes has ${unknown.slice(0, MOST_NAMED).map(quote).join(', ')}, which ${record.name} does not know: GET /v1/models/${record.name} lists its labels and ids`;
    throw new HttpProblem('invalid_parameter', detail, { errors: [{ parameter: 'classes', detail }] });
  }
  return [...new Set(wanted.map((text) => ids.get(text) as number))].sort((a, b) => a - b);
}

/** Refuses, before any native code sees them, bytes that are no image of ours or declare too many pixels. */
function admit(bytes: Buffer, { maxImagePixels }: Settings, index: number | undefined): EncodedImage {
  try {
    identifyImage(bytes);
  } catch (error) {
    throw Object.assign(error as Error, index !== undefined && { index });
  }
  const size = declaredSize(bytes);
  // A size that only the decoder can tell counts as the largest.
  const pixels = size ? size.width * size.height : maxImagePixels;
  if (size && pixels > maxImagePixels) {
    throw new HttpProblem(
      'image_too_large',
      `the image has ${size.width} x ${size.height} = ${pixels} pixels, the most that this server takes is ${maxImagePixels}`,
      index === undefined ? {} : { index },
    );
  }
  return { bytes, pixels };
}

/** Aborts when the client goes away (nobody reads the answer) or the request's time is up. */
function deadline(
  response: Parameters<RequestHandler>[1],
  started: number,
  { requestTimeoutMs }: Settings,
): AbortSignal {
  const controller = new AbortController();
  const timer = setTimeout(
    () =>
      controller.abort(
        new HttpProblem('deadline_exceeded', `the answer was not ready within ${requestTimeoutMs} ms`),
      ),
    Math.max(0, started + requestTimeoutMs - performance.now()),
  );
  response.once('close', () => {
    clearTimeout(timer);
    if (!response.writableFinished) controller.abort(new ClientGone('the client closed the connection'));
  });
  return controller.signal;
}

/** All results, or the error of the first image (in the batch's order) that has one, with its index. */
async function settle(pending: readonly Promise<JobResult>[], batch: boolean): Promise<JobResult[]> {
  const outcomes = await Promise.allSettled(pending);
  return outcomes.map((outcome, index) => {
    if (outcome.status === 'fulfilled') return outcome.value;
    if (batch && outcome.reason instanceof Error && !(outcome.reason instanceof HttpProblem)) {
      throw Object.assign(outcome.reason, { index });
    }
    throw outcome.reason;
  });
}

const regionOf = ([x_min, y_min, x_max, y_max]: readonly [number, number, number, number]) => ({
  x_min,
  y_min,
  x_max,
  y_max,
});
