import type { Request, RequestHandler } from 'express';
import type { SegmentForm } from '../../inference/protocol.ts';
import { segmentResponse } from '../../inference/response.ts';
import type { InferenceService } from '../../inference/service.ts';
import type { Metrics } from '../../observability/metrics.ts';
import type { Settings } from '../../settings.ts';
import { acceptedType, JSON_TYPE, refuseBatchAs } from '../accept.ts';
import type { Query } from '../contract.ts';
import { validateQuery } from '../contract.ts';
import type { ImageIntake } from '../intake.ts';
import { settle } from '../intake.ts';
import { chooseModel } from '../model_choice.ts';
import { HttpProblem } from '../problem.ts';
import { sendParts } from '../send_parts.ts';

/** What can be answered, by preference where the client has none. */
const CONTAINERS = [JSON_TYPE, 'image/png'] as const;
const OVERLAY_CONTAINERS = ['image/jpeg', 'image/png'] as const;
type Container = (typeof CONTAINERS | typeof OVERLAY_CONTAINERS)[number];

/** POST /v1/segment: images in, masks or pictures out. */
export function segmentRoute(
  service: InferenceService,
  metrics: Metrics,
  intake: ImageIntake,
  { requestTimeoutMs }: Settings,
): RequestHandler {
  return async (request, response) => {
    const query = validateQuery('segment', request.query);
    const container = containerFor(request, query);
    const { served, precision, classIds } = chooseModel(service, 'segmentation', query, response);
    const model = served.record.name;
    const { images, batch, signal, received, hold } = await intake.receive(request, response, 'segment');
    refuseBatchAs(container, batch);
    const options = {
      multiScale: query.multi_scale,
      flip: query.flip,
      form: formOf(container, query),
      ...(classIds && { classIds }),
    };
    const results = await settle(service.segment({ model, precision, images, options, signal }), batch);
    hold(results.reduce((sum, { body }) => sum + body.length, 0));

    metrics.requestMadds.observe(
      { model },
      results.reduce((sum, { madds }) => sum + madds, 0),
    );
    const encodeStarted = performance.now();
    const answers =
      container === JSON_TYPE
        ? results.map((result) =>
            segmentResponse({ ...served, precision }, result, performance.now() - received),
          )
        : results.map(({ body }) => [body]);
    response.type(container);
    sendParts(response, batch ? batchOf(answers) : answers.flat(), requestTimeoutMs);
    metrics.stageDuration.observe(
      { model, precision, stage: 'encode' },
      (results.reduce((sum, { times }) => sum + (times.encode ?? 0), 0) + performance.now() - encodeStarted) /
        1000,
    );
  };
}

/** The type of the answer. @throws HttpProblem where Accept leaves none, or it cannot hold what is asked for */
function containerFor(request: Request, { overlay, confidence }: Query<'segment'>): Container {
  const offered: readonly Container[] = overlay ? OVERLAY_CONTAINERS : CONTAINERS;
  const container = acceptedType(request, offered, overlay ? 'with overlay=true' : 'without overlay=true');
  if (confidence && container !== JSON_TYPE) {
    const detail = `confidence=true is for answers as ${JSON_TYPE}, and this one would be ${container}`;
    throw new HttpProblem('invalid_parameter', detail, { errors: [{ parameter: 'confidence', detail }] });
  }
  return container;
}

function formOf(
  container: Container,
  { format, tolerance, confidence, overlay }: Query<'segment'>,
): SegmentForm {
  if (container === JSON_TYPE) return { kind: 'json', masks: format, tolerance, confidence };
  if (overlay) return { kind: 'overlay', type: container === 'image/png' ? 'png' : 'jpeg' };
  return { kind: 'classes' };
}

/** `{"results": [...]}` of results that are JSON already, in parts. */
function batchOf(results: readonly (readonly Uint8Array[])[]): Uint8Array[] {
  const parts = results.flatMap((result, index) => [
    Buffer.from(index === 0 ? '{"results":[' : ','),
    ...result,
  ]);
  return [...parts, Buffer.from(']}')];
}
