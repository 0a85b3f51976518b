import { setImmediate as nextTurn } from 'node:timers/promises';
import { Router } from 'express';
import { backbones } from '../../../models/backbones/registry.ts';
import type { Backbone, BackboneList } from '../../../openapi/types.ts';
import { ArchitectureError, architectureOf, backboneNames } from '../../zoo/architecture.ts';
import { describeBackbone, describeNetwork } from '../../zoo/backbone_description.ts';
import { validateQuery } from '../contract.ts';
import { HttpProblem } from '../problem.ts';
import { quote } from '../query.ts';
import { Turns } from '../turns.ts';

/** A network takes some milliseconds to count: this many may wait for their turn. */
const MOST_WAITING = 64;

/** GET /v1/backbones and GET /v1/backbones/{backbone}. */
export function backboneRoutes(): Router {
  const router = Router({ caseSensitive: true, strict: true });
  const turns = new Turns(MOST_WAITING);
  let list: Promise<BackboneList> | undefined;
  router.get('/v1/backbones', async (request, response) => {
    validateQuery('listBackbones', request.query);
    list ??= countAll();
    response.json(await list);
  });
  router.get('/v1/backbones/:backbone', async (request, response) => {
    const { output_stride: outputStride, resolution, ...query } = validateQuery('getBackbone', request.query);
    const { backbone } = request.params;
    if (!backboneNames().includes(backbone)) {
      throw new HttpProblem(
        'unknown_backbone',
        `there is no backbone ${quote(backbone)}: the backbones are ${backboneNames().join(', ')}`,
      );
    }
    const size = resolution === undefined ? undefined : { height: resolution, width: resolution };
    response.json(
      await turns.take(() => answering(() => describe({ ...query, backbone, size, outputStride }))),
    );
  });
  return router;
}

function describe(asked: Parameters<typeof architectureOf>[0]): Backbone {
  const architecture = architectureOf(asked);
  return { ...describeBackbone(architecture.backbone), ...describeNetwork(architecture) };
}

/** The registry does not change, so its list is counted once, one network a turn of the event loop. */
async function countAll(): Promise<BackboneList> {
  const all: Backbone[] = [];
  for (const backbone of backbones()) {
    const { network } = describeNetwork(architectureOf({ backbone: backbone.name }));
    all.push({ ...describeBackbone(backbone), network });
    await nextTurn();
  }
  return { backbones: all };
}

/** The parameters' names in a query, where they are others than in the code. */
const QUERY_NAMES: Readonly<Record<string, string>> = { outputStride: 'output_stride' };

/** What `count` returns; a network that cannot be is the fault of the query's parameter that it names. */
function answering<Result>(count: () => Result): Result {
  try {
    return count();
  } catch (error) {
    if (!(error instanceof ArchitectureError)) throw error;
    const parameter = QUERY_NAMES[error.parameter] ?? error.parameter;
    const detail = `${parameter} ${error.requirement}`;
    throw new HttpProblem('invalid_parameter', detail, { errors: [{ parameter, detail }] });
  }
}
