import { Router } from 'express';
import type { ModelList } from '../../../openapi/types.ts';
import type { InferenceService } from '../../inference/service.ts';
import { describeModel } from '../../inference/service.ts';
import { validateQuery } from '../contract.ts';
import { HttpProblem } from '../problem.ts';
import { quote } from '../query.ts';

/** GET /v1/models and GET /v1/models/{model}. */
export function modelRoutes(service: InferenceService): Router {
  const router = Router({ caseSensitive: true, strict: true });
  router.get('/v1/models', (request, response) => {
    validateQuery('listModels', request.query);
    const list: ModelList = { models: service.models.map((served) => describeModel(served, false)) };
    response.json(list);
  });
  router.get('/v1/models/:model', (request, response) => {
    validateQuery('getModel', request.query);
    const served = service.model(request.params.model);
    if (!served) {
      const known = service.models.map(({ record }) => record.name).join(', ');
      throw new HttpProblem(
        'unknown_model',
        `there is no model ${quote(request.params.model)}: the models are ${known}`,
      );
    }
    response.json(describeModel(served, true));
  });
  return router;
}
