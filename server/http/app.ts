import { randomUUID } from 'node:crypto';
import type { ErrorRequestHandler, Express, RequestHandler } from 'express';
import express from 'express';
import helmet from 'helmet';
import type { Logger } from 'pino';
import { pinoHttp } from 'pino-http';
import type { InferenceService } from '../inference/service.ts';
import type { Metrics } from '../observability/metrics.ts';
import { NO_MODEL } from '../observability/metrics.ts';
import type { Settings } from '../settings.ts';
import { context, setContext } from './context.ts';
import { allowedMethods } from './contract.ts';
import { ClientGone, HttpProblem, toProblem } from './problem.ts';
import { detectRoute } from './routes/detect.ts';
import { modelRoutes } from './routes/models.ts';
import { operationRoutes } from './routes/operation.ts';

export interface AppParts {
  readonly service: InferenceService;
  readonly metrics: Metrics;
  readonly settings: Settings;
  readonly log: Logger;
  /** True from the moment that the server begins to stop. */
  readonly isStopping: () => boolean;
}

/** Asked for every few seconds by machines: they would drown what people look for in a log. */
const QUIET = new Set(['/livez', '/readyz', '/healthz', '/metrics']);

/** The HTTP application. It answers every request with JSON, or a problem of the table. */
export function createApp(parts: AppParts): Express {
  const { service, metrics, settings, log, isStopping } = parts;
  const app = express();
  app.disable('x-powered-by');
  app.disable('etag');
  // Query strings are read by the contract, which knows their types.
  app.set('query parser', false);
  app.use(requestContext(metrics, isStopping));
  app.use(
    pinoHttp({
      logger: log,
      genReqId: (_request, response) => context(response as never).id,
      autoLogging: { ignore: (request) => QUIET.has(pathOf(request.url ?? '')) },
      customLogLevel: (_request, response, error) => (error || response.statusCode >= 500 ? 'error' : 'info'),
      customProps: (_request, response) => ({ ...context(response as never).seen }),
      serializers: {
        req: ({ id, method, url, remoteAddress }) => ({ id, method, url, remoteAddress }),
        res: ({ statusCode }) => ({ statusCode }),
      },
    }),
  );
  app.use(helmet());
  app.use(acceptsJson);
  app.post('/v1/detect', detectRoute(service, metrics, settings));
  app.use(modelRoutes(service));
  app.use(operationRoutes(service, metrics, isStopping));
  app.use(notFound);
  app.use(problems(parts));
  return app;
}

const pathOf = (url: string) => url.split('?', 1)[0] ?? url;

/** Printable ASCII of a sane length: anything else could break a log line or a header, and is replaced. */
const REQUEST_ID = /^[\x21-\x7e]{1,128}$/;

/** Gives the request its id, and measures it to its end. */
function requestContext(metrics: Metrics, isStopping: () => boolean): RequestHandler {
  return (request, response, next) => {
    const given = request.get('X-Request-Id');
    const id = given && REQUEST_ID.test(given) ? given : randomUUID();
    const started = performance.now();
    setContext(response, { id, started, seen: {} });
    response.set('X-Request-Id', id);
    // A client that keeps its connection would meet a closed one with its next request.
    if (isStopping()) response.set('Connection', 'close');
    metrics.inFlight.inc();
    response.once('close', () => {
      metrics.inFlight.dec();
      const { model = NO_MODEL, precision = NO_MODEL } = context(response).seen;
      // 499, as web servers write it: the client left, and no status reached anybody.
      const status = response.writableFinished ? String(response.statusCode) : '499';
      const route = (request.route as { path: string } | undefined)?.path;
      metrics.requestDuration.observe(
        { route: typeof route === 'string' ? route : routeOf(request.path), model, precision, status },
        (performance.now() - started) / 1000,
      );
    });
    next();
  };
}

/** Route label of a request that no route with a single path took. */
const routeOf = (path: string) => (path === '/readyz' || path === '/healthz' ? path : 'none');

const acceptsJson: RequestHandler = (request, _response, next) => {
  if (pathOf(request.url) === '/metrics' || request.accepts('application/json')) return next();
  throw new HttpProblem(
    'not_acceptable',
    `this operation answers application/json, and Accept is '${request.get('Accept')}'`,
  );
};

const notFound: RequestHandler = (request) => {
  const allowed = allowedMethods(request.path);
  if (allowed.length > 0) {
    throw new HttpProblem(
      'method_not_allowed',
      `${request.path} takes ${allowed.join(', ')}, not ${request.method}`,
      {
        headers: { Allow: allowed.join(', ') },
      },
    );
  }
  throw new HttpProblem(
    'not_found',
    `there is nothing at ${request.path}; GET /openapi.json lists what there is`,
  );
};

/** Answers whatever went wrong with its problem. */
function problems({ service, metrics, log }: AppParts): ErrorRequestHandler {
  return (error: unknown, request, response, _next) => {
    const { id, seen } = context(response);
    if (error instanceof ClientGone || response.headersSent) {
      seen.code = 'client_gone';
      response.destroy();
      return;
    }
    const problem = toProblem(error, { instance: request.path, requestId: id });
    seen.code = problem.code;
    metrics.rejected.inc({ reason: problem.code });
    if (problem.code === 'internal_error') log.error({ err: error, requestId: id }, 'a request failed');
    if (error instanceof HttpProblem) response.set(error.headers);
    if (problem.status === 503 && !response.get('Retry-After')) {
      response.set('Retry-After', String(service.retryAfterSeconds));
    }
    response.status(problem.status).type('application/problem+json').send(JSON.stringify(problem));
  };
}
