import { randomUUID } from 'node:crypto';
import type { ErrorRequestHandler, Express, RequestHandler } from 'express';
import express from 'express';
import helmet from 'helmet';
import type { Logger } from 'pino';
import { JobError } from '../inference/pool.ts';
import type { InferenceService } from '../inference/service.ts';
import type { Metrics } from '../observability/metrics.ts';
import { NO_MODEL } from '../observability/metrics.ts';
import type { Settings } from '../settings.ts';
import { acceptedType, JSON_TYPE } from './accept.ts';
import type { RequestContext } from './context.ts';
import { context, setContext } from './context.ts';
import { allOperations } from './document.ts';
import { ImageIntake } from './intake.ts';
import { HttpProblem } from './problem.ts';
import { backboneRoutes } from './routes/backbones.ts';
import { detectRoute } from './routes/detect.ts';
import { docsRoutes } from './routes/docs.ts';
import { modelRoutes } from './routes/models.ts';
import { operationRoutes } from './routes/operation.ts';
import { pageRoutes } from './routes/page.ts';
import { segmentRoute } from './routes/segment.ts';
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

/** The HTTP application. It answers every request with JSON, a picture where one was asked for, or a problem of the table. */
export function createApp(parts: AppParts): Express {
  const { service, metrics, settings, isStopping } = parts;
  const app = express();
  app.disable('x-powered-by');
  app.disable('etag');
  // One spelling of a path, so that routes, their metrics and this file's own tests of paths agree.
  app.enable('case sensitive routing');
  app.enable('strict routing');
  // Names with texts, nothing nested: the contract turns them into what the API's document says.
  app.set('query parser', 'simple');
  app.use(requestContext(parts));
  // What only makes sense over TLS is left to the proxy that terminates it: sent over plain HTTP, it would keep a
  // browser from loading anything.
  app.use(
    helmet({
      strictTransportSecurity: false,
      contentSecurityPolicy: { directives: { upgradeInsecureRequests: null } },
    }),
  );
  app.use(pageRoutes());
  app.use(docsRoutes());
  app.use(acceptsJson);
  app.use(noOptions);
  const intake = new ImageIntake(settings);
  app.post('/v1/detect', detectRoute(service, metrics, intake, settings));
  app.post('/v1/segment', segmentRoute(service, metrics, intake, settings));
  app.use(modelRoutes(service));
  app.use(backboneRoutes());
  app.use(operationRoutes(service, metrics, isStopping));
  app.use(notFound);
  app.use(problems(parts));
  return app;
}

/** Printable ASCII of a sane length: anything else could break a log line or a header, and is replaced. */
const REQUEST_ID = /^[\x21-\x7e]{1,128}$/;

/** Gives the request its id, and at its end measures it and logs its line. */
function requestContext({ metrics, log }: AppParts): RequestHandler {
  return (request, response, next) => {
    const given = request.get('X-Request-Id');
    const id = given && REQUEST_ID.test(given) ? given : randomUUID();
    const started = performance.now();
    const seen: RequestContext['seen'] = {};
    setContext(response, { id, started, seen });
    response.set('X-Request-Id', id);
    metrics.inFlight.inc();
    const { method, originalUrl: url, path } = request;
    response.once('close', () => {
      metrics.inFlight.dec();
      const ms = performance.now() - started;
      const { model = NO_MODEL, precision = NO_MODEL, code } = seen;
      // 499, as web servers write it: the client left, and no status reached anybody.
      const status = response.writableFinished || seen.answered ? response.statusCode : 499;
      const route = (request.route as { path: unknown } | undefined)?.path;
      metrics.requestDuration.observe(
        {
          route: typeof route === 'string' ? route : routeOf(path),
          model,
          precision,
          status: String(status),
        },
        ms / 1000,
      );
      if (QUIET.has(path)) return;
      // A full queue or a missed deadline is load, not a fault.
      const level = status < 500 ? 'info' : status === 503 || status === 504 ? 'warn' : 'error';
      const line = {
        request_id: id,
        method,
        url,
        status,
        ms: Math.round(ms * 100) / 100,
        model: seen.model,
        code,
      };
      log[level](line, 'request');
    });
    next();
  };
}

/** Route label of a request that no route with a single path took. */
const routeOf = (path: string) => (path === '/readyz' || path === '/healthz' ? path : 'none');

/** What answers with pictures too. */
const DRAWN = new Set(['/v1/detect', '/v1/segment']);

/** Outside of /v1/, who asks is a probe or a scraper: it takes what comes, and a 406 would only make it look ill. */
const acceptsJson: RequestHandler = (request, _response, next) => {
  // What has pictures too looks for itself.
  if (!request.path.startsWith('/v1/') || DRAWN.has(request.path)) return next();
  acceptedType(request, [JSON_TYPE]);
  next();
};

/** Express answers OPTIONS by itself, with text and for some routes only; here it is a method like any other. */
const noOptions: RequestHandler = (request, response, next) =>
  request.method === 'OPTIONS' ? notFound(request, response, next) : next();

const notFound: RequestHandler = (request) => {
  const methods = allOperations()
    .filter(({ path }) => matches(path, request.path))
    .flatMap(({ method }) => (method === 'GET' ? ['GET', 'HEAD'] : [method]));
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
    seen.answered = problem !== undefined;
    if (problem) metrics.rejected.inc({ reason: problem.code });
    if (problem?.code === 'internal_error') log.error({ request_id: id, err: error }, 'a request failed');
  };
}
