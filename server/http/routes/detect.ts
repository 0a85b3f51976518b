import type { RequestHandler } from 'express';
import { detectResponse } from '../../inference/response.ts';
import type { InferenceService } from '../../inference/service.ts';
import type { Metrics } from '../../observability/metrics.ts';
import type { Settings } from '../../settings.ts';
import { acceptedType, JSON_TYPE, refuseBatchAs } from '../accept.ts';
import { validateQuery } from '../contract.ts';
import type { ImageIntake } from '../intake.ts';
import { settle } from '../intake.ts';
import { chooseModel } from '../model_choice.ts';
import { sendParts } from '../send_parts.ts';

/** What can be answered, by preference where the client has none. */
const CONTAINERS = [JSON_TYPE, 'image/jpeg', 'image/png'] as const;
type Container = (typeof CONTAINERS)[number];

/** POST /v1/detect: images in, boxes out, or the image with its boxes drawn. */
export function detectRoute(
  service: InferenceService,
  metrics: Metrics,
  intake: ImageIntake,
  { requestTimeoutMs }: Settings,
): RequestHandler {
  return async (request, response) => {
    const query = validateQuery('detect', request.query);
    const container = acceptedType(request, CONTAINERS);
    const { served, precision, classIds } = chooseModel(service, 'detection', query, response);
    const model = served.record.name;
    const { images, batch, signal, received, hold } = await intake.receive(request, response, 'detect');
    refuseBatchAs(container, batch);
    const picture = pictureIn(container);
    const options = {
      scoreThreshold: query.score_threshold,
      iouThreshold: query.iou_threshold,
      maxDetections: query.max_detections,
      agnosticNms: query.agnostic_nms,
      ...(classIds && { classIds }),
      ...(query.region && { region: regionOf(query.region) }),
      ...(picture && { picture }),
    };
    const results = await settle(service.detect({ model, precision, images, options, signal }), batch);
    const pictures = results.flatMap(({ body }) => body ?? []);
    hold(pictures.reduce((sum, { length }) => sum + length, 0));

    metrics.requestMadds.observe({ model }, served.madds * images.length);
    const encodeStarted = performance.now();
    response.type(container);
    if (picture) sendParts(response, pictures, requestTimeoutMs);
    else {
      const answers = results.map((result) =>
        detectResponse({ ...served, precision }, result, performance.now() - received),
      );
      response.send(JSON.stringify(batch ? { results: answers } : answers[0]));
    }
    metrics.stageDuration.observe(
      { model, precision, stage: 'encode' },
      (results.reduce((sum, { times }) => sum + (times.encode ?? 0), 0) + performance.now() - encodeStarted) /
        1000,
    );
  };
}

/** The type of the picture that an answer is; undefined for JSON. */
function pictureIn(container: Container): 'jpeg' | 'png' | undefined {
  switch (container) {
    case 'application/json':
      return undefined;
    case 'image/jpeg':
      return 'jpeg';
    case 'image/png':
      return 'png';
  }
}

const regionOf = ([x_min, y_min, x_max, y_max]: readonly [number, number, number, number]) => ({
  x_min,
  y_min,
  x_max,
  y_max,
});
