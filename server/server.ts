import type { Server, ServerResponse } from 'node:http';
import { createServer } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { Server as NetServer } from 'node:net';
import { setTimeout as sleep, setImmediate as turn } from 'node:timers/promises';
import type { Express } from 'express';
import type { Logger } from 'pino';
import type { AppParts } from './http/app.ts';
import { PROBLEMS } from './http/problem.ts';
import { InferenceService } from './inference/service.ts';
import { Metrics } from './observability/metrics.ts';
import type { Settings } from './settings.ts';

/** Longer than load balancers keep an idle connection: one that the server closes first costs somebody a 502. */
const KEEP_ALIVE_MS = 65_000;
/** How long idle connections stay open after the listener closed: a request may be on its way on one of them. */
const LINGER_MS = 1000;
const POLL_MS = 20;
/**
 * How much later than the server itself Node gives up a request that does not arrive. The server answers such a request and
 * lets what still comes of it pass; Node would cut the connection, and the answer might be lost with it.
 */
const ARRIVAL_GRACE_MS = 15_000;

/** A running server. */
export interface RunningServer {
  readonly url: string;
  readonly service: InferenceService;
  /** Fulfils when the models are loaded; rejects where they cannot be. */
  readonly ready: Promise<void>;
  /** Stops as SIGTERM does: not ready, drain delay, running requests finish. Calling it twice is calling it once. */
  stop(): Promise<void>;
}

/**
 * Listens at once and loads the models meanwhile, so that probes are answered from the first moment.
 * @param requestDone called after each answer
 * @throws the system's error where the address cannot be listened on
 */
export async function startServer(
  settings: Settings,
  log: Logger,
  requestDone: () => void = () => {},
): Promise<RunningServer> {
  let stopping: Promise<void> | undefined;
  const metrics: Metrics = new Metrics(() => service.queued, Object.keys(PROBLEMS));
  const service: InferenceService = new InferenceService(settings, metrics, (reason, detail) =>
    log.warn({ reason, detail }, 'a worker process was lost and is being replaced'),
  );
  // The workers load their models while this process loads what speaks HTTP.
  const ready = service.start();
  ready.catch(() => {}); // It is for whoever waits for it.
  const parts = { service, metrics, settings, log, isStopping: () => stopping !== undefined };
  const app = await loadApp(parts).catch((error) => {
    service.close();
    throw error;
  });
  const running = new Set<ServerResponse>();
  const server = createServer(
    {
      requestTimeout: settings.requestTimeoutMs + ARRIVAL_GRACE_MS,
      headersTimeout: settings.requestTimeoutMs,
      connectionsCheckingInterval: Math.min(1000, settings.requestTimeoutMs),
      keepAliveTimeout: KEEP_ALIVE_MS,
    },
    (request, response) => {
      running.add(response);
      if (stopping) refuseNext(response);
      response.once('close', () => {
        running.delete(response);
        requestDone();
      });
      app(request, response);
    },
  );
  const connections = new Set<Socket>();
  let accepted = 0;
  server.on('connection', (socket) => {
    accepted += 1;
    connections.add(socket);
    socket.once('close', () => connections.delete(socket));
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error) => {
      service.close();
      reject(error);
    });
    server.listen(settings.port, settings.host, () => {
      server.removeAllListeners('error');
      resolve();
    });
  });
  // Out of files, say: the connection is lost, the server is not.
  server.on('error', (error) => log.error({ err: error }, 'a connection could not be accepted'));
  const { port } = server.address() as AddressInfo;
  const host = settings.host.includes(':') ? `[${settings.host}]` : settings.host;
  const url = `http://${host}:${port}`;

  const stop = async () => {
    for (const response of running) if (!response.headersSent) refuseNext(response);
    await sleep(settings.drainDelayMs);
    await quiet(() => accepted);
    await closeServer(server, connections, settings.shutdownTimeoutMs);
    service.close();
  };
  return {
    url,
    service,
    ready,
    stop: () => {
      stopping ??= stop();
      return stopping;
    },
  };
}

async function loadApp(parts: AppParts): Promise<Express> {
  const { createApp } = await import('./http/app.ts');
  return createApp(parts);
}

/** Has a client that keeps its connection send its next request on another: this one may be closed by then. */
const refuseNext = (response: ServerResponse) => response.setHeader('Connection', 'close');

/**
 * Waits for a turn of Node's loop in which no connection came in, for a while. The system completes connections ahead of
 * Node, which takes one a turn; those that it did not take yet are reset, request and all, when the listener closes.
 */
async function quiet(accepted: () => number): Promise<void> {
  const started = performance.now();
  for (let before = -1; before !== accepted() && performance.now() - started < LINGER_MS; ) {
    before = accepted();
    await turn();
  }
}

/**
 * Takes no new connections, lets the requests on the old ones finish, and ends idle connections a little later. Node's
 * own `close` ends those at once, and with them a request that was just being sent. A connection that never carried a
 * byte, as browsers open ahead of need, is idle too, though not to Node.
 */
async function closeServer(
  server: Server,
  connections: ReadonlySet<Socket>,
  timeoutMs: number,
): Promise<void> {
  const started = performance.now();
  const closed = new Promise<void>((resolve) => {
    NetServer.prototype.close.call(server, () => resolve());
  });
  let done = false;
  void closed.then(() => {
    done = true;
  });
  while (!done) {
    const elapsed = performance.now() - started;
    if (elapsed > timeoutMs) server.closeAllConnections();
    else if (elapsed > LINGER_MS) {
      server.closeIdleConnections();
      for (const connection of connections) if (connection.bytesRead === 0) connection.destroy();
    }
    await Promise.race([closed, sleep(POLL_MS)]);
  }
}
