import type { RequestHandler } from 'express';
import { detectResponse } from '../../inference/response.ts';
import type { InferenceService } from '../../inference/service.ts';
import type { Metrics } from '../../observability/metrics.ts';
import { validateQuery } from '../contract.ts';
import type { ImageIntake } from '../intake.ts';
import { settle } from '../intake.ts';
import { chooseModel } from '../model_choice.ts';

/** POST /v1/detect: images in, boxes out. */
export function detectRoute(
  service: InferenceService,
  metrics: Metrics,
  intake: ImageIntake,
): RequestHandler {
  return async (request, response) => {
    const query = validateQuery('detect', request.query);
    const { served, precision, classIds } = chooseModel(service, 'detection', query, response);
    const model = served.record.name;
    const { images, batch, signal, received } = await intake.receive(request, response, 'detect');
    const options = {
      scoreThreshold: query.score_threshold,
      iouThreshold: query.iou_threshold,
      maxDetections: query.max_detections,
      agnosticNms: query.agnostic_nms,
      ...(classIds && { classIds }),
      ...(query.region && { region: regionOf(query.region) }),
    };
    const results = await settle(service.detect({ model, precision, images, options, signal }), batch);

    const answers = results.map((result) =>
      detectResponse({ ...served, precision }, result, performance.now() - received),
    );
    metrics.requestMadds.observe({ model }, served.madds * images.length);
    const encodeStarted = performance.now();
    const json = JSON.stringify(batch ? { results: answers } : answers[0]);
    response.type('application/json').send(json);
    metrics.stageDuration.observe(
      { model, precision, stage: 'encode' },
      (performance.now() - encodeStarted) / 1000,
    );
  };
}

const regionOf = ([x_min, y_min, x_max, y_max]: readonly [number, number, number, number]) => ({
  x_min,
  y_min,
  x_max,
  y_max,
});
