import { Router } from 'express';
import type { Health } from '../../../openapi/types.ts';
import type { InferenceService } from '../../inference/service.ts';
import type { Metrics } from '../../observability/metrics.ts';
import { openapiDocument } from '../contract.ts';

/** Probes, metrics and the API's own description. None of them depends on a queue or a worker. */
export function operationRoutes(
  service: InferenceService,
  metrics: Metrics,
  isStopping: () => boolean,
): Router {
  const router = Router({ caseSensitive: true, strict: true });
  router.get('/livez', (_request, response) => {
    response.json({ status: 'ok' } satisfies Health);
  });
  router.get(['/readyz', '/healthz'], (_request, response) => {
    const reason = isStopping() ? 'the server is stopping' : service.notReady;
    if (reason) {
      response
        .status(503)
        .set('Retry-After', '1')
        .json({ status: 'unavailable', reason } satisfies Health);
    } else {
      response.json({ status: 'ok' } satisfies Health);
    }
  });
  router.get('/metrics', async (_request, response) => {
    response.type(metrics.registry.contentType).send(await metrics.registry.metrics());
  });
  router.get('/openapi.json', (_request, response) => {
    response.json(openapiDocument());
  });
  return router;
}
