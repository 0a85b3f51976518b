import { randomUUID } from 'node:crypto';
import type { ErrorRequestHandler, Express, RequestHandler } from 'express';
import express from 'express';
import helmet from 'helmet';
import type { Logger } from 'pino';
import { pinoHttp } from 'pino-http';
import { JobError } from '../inference/pool.ts';
import type { InferenceService } from '../inference/service.ts';
import type { Metrics } from '../observability/metrics.ts';
import { NO_MODEL } from '../observability/metrics.ts';
import type { Settings } from '../settings.ts';
import { context, setContext } from './context.ts';
import { allOperations } from './document.ts';
import { HttpProblem } from './problem.ts';
import { detectRoute } from './routes/detect.ts';
import { modelRoutes } from './routes/models.ts';
import { operationRoutes } from './routes/operation.ts';
import { sendProblem } from './send.ts';

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
  // Names with texts, nothing nested: the contract turns them into what the API's document says.
  app.set('query parser', 'simple');
  app.use(requestContext(metrics, isStopping));
  app.use(
    pinoHttp({
      logger: log,
      genReqId: (_request, response) => context(response as never).id,
      autoLogging: { ignore: (request) => QUIET.has(pathOf(request.url ?? '')) },
      // A full queue or a missed deadline is load, not a fault.
      customLogLevel: (_request, { statusCode }) =>
        statusCode < 500 ? 'info' : statusCode === 503 || statusCode === 504 ? 'warn' : 'error',
      // pino-http makes up an error with a stack of its own for every 5xx; the real one is logged where it is caught.
      customErrorObject: (_request, _response, _error, { err: _made, ...line }) => line,
      customProps: (_request, response) => ({ ...context(response as never).seen }),
      serializers: {
        req: ({ id, method, url, remoteAddress }) => ({ id, method, url, remoteAddress }),
        res: ({ statusCode }) => ({ statusCode }),
      },
    }),
  );
  // What only makes sense over TLS is left to the proxy that terminates it: sent over plain HTTP, it would keep a
  // browser from loading anything.
  app.use(
    helmet({
      strictTransportSecurity: false,
      contentSecurityPolicy: { directives: { upgradeInsecureRequests: null } },
    }),
  );
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
  const methods = allOperations()
    .filter(({ path }) => matches(path, request.path))
    .map(({ method }) => method);
  if (methods.length > 0) {
    throw new HttpProblem(
      'method_not_allowed',
      `${request.path} takes ${methods.join(', ')}, not ${request.method}`,
      {
        headers: { Allow: methods.join(', ') },
      },
    );
  }
  throw new HttpProblem(
    'not_found',
    `there is nothing at ${request.path}; GET /openapi.json lists what there is`,
  );
};

/** Whether `path` is one of the document's `template`, as /v1/models/x is of /v1/models/{model}. */
function matches(template: string, path: string): boolean {
  const parts = path.split('/');
  const wanted = template.split('/');
  return (
    parts.length === wanted.length && wanted.every((part, i) => part.startsWith('{') || part === parts[i])
  );
}

/** Answers whatever went wrong with its problem. */
function problems({ service, metrics, log }: AppParts): ErrorRequestHandler {
  return (error: unknown, request, response, _next) => {
    const { id, seen } = context(response);
    const overloaded = error instanceof JobError && error.code === 'overloaded';
    const problem = sendProblem(
      request,
      response,
      overloaded
        ? new HttpProblem('overloaded', error.message, {
            headers: { 'Retry-After': String(service.retryAfterSeconds) },
          })
        : error,
    );
    seen.code = problem?.code ?? 'client_gone';
    if (problem) metrics.rejected.inc({ reason: problem.code });
    if (problem?.code === 'internal_error') log.error({ err: error, requestId: id }, 'a request failed');
  };
}
