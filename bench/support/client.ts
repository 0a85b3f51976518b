/**
 * A load generator in a process of its own, so that its CPU time is not the server's. Its parent tells it what to send, one
 * task at a time; it answers each with what it saw.
 */
import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Connection } from './connection.ts';

export interface ClientTask {
  /** Where the server listens: http://host:port. */
  readonly origin: string;
  /** Paths with queries, requested in turn. */
  readonly paths: readonly string[];
  /** Files posted in turn; none makes it a GET. */
  readonly files: readonly string[];
  /** How a file is posted: its bytes alone, or the field `image` of a form. */
  readonly body: 'raw' | 'form';
  /** Clients at once, each with a connection that is kept alive, each waiting for its answer before it asks again. */
  readonly clients: number;
  /** When to stop asking: after so many seconds, or so many requests. */
  readonly until: { readonly seconds: number } | { readonly requests: number };
  /** Pause of each client between two requests. */
  readonly pauseMs: number;
}

export interface ClientReport {
  /** Answers with status 200. */
  readonly done: number;
  /** Answers other than 200, and broken connections, by what they were. */
  readonly failures: Readonly<Record<string, number>>;
  /** Of the answers with status 200. */
  readonly latenciesMs: readonly number[];
  readonly seconds: number;
  /** What this process used meanwhile. */
  readonly cpuSeconds: number;
  /** Connections that were opened: as many as clients where the server keeps them alive. */
  readonly connections: number;
}

const BOUNDARY = 'photos-for-a-benchmark';
/** So that a server that is gone is not asked a hundred thousand times a second. */
const PAUSE_AFTER_FAILURE_MS = 50;

const contents = new Map<string, Buffer>();

function bodyOf(file: string, kind: ClientTask['body']): Buffer {
  const bytes = contents.get(file) ?? readFileSync(file);
  contents.set(file, bytes);
  if (kind === 'raw') return bytes;
  return Buffer.concat([
    Buffer.from(
      `--${BOUNDARY}\r\nContent-Disposition: form-data; name="image"; filename="${basename(file)}"\r\nContent-Type: image/jpeg\r\n\r\n`,
    ),
    bytes,
    Buffer.from(`\r\n--${BOUNDARY}--\r\n`),
  ]);
}

const head = (method: string, path: string, host: string, lines: readonly string[]) =>
  Buffer.from(`${[`${method} ${path} HTTP/1.1`, `Host: ${host}`, ...lines].join('\r\n')}\r\n\r\n`);

async function run(task: ClientTask): Promise<ClientReport> {
  const { host, hostname, port } = new URL(task.origin);
  const type = task.body === 'form' ? `multipart/form-data; boundary=${BOUNDARY}` : 'image/jpeg';
  const bodies = task.files.map((file) => bodyOf(file, task.body));
  /** The parts of the nth request. A round of the paths moves the photos by one, so that each path sees each photo. */
  const request = (n: number): Buffer[] => {
    const path = task.paths[n % task.paths.length] as string;
    if (bodies.length === 0) return [head('GET', path, host, [])];
    const body = bodies[(n + Math.floor(n / task.paths.length)) % bodies.length] as Buffer;
    return [head('POST', path, host, [`Content-Type: ${type}`, `Content-Length: ${body.length}`]), body];
  };

  const latenciesMs: number[] = [];
  const failures: Record<string, number> = {};
  let connections = 0;
  let next = 0;
  const cpu = process.cpuUsage();
  const started = performance.now();
  const goesOn = () =>
    'seconds' in task.until
      ? performance.now() - started < task.until.seconds * 1000
      : next < task.until.requests;
  await Promise.all(
    Array.from({ length: task.clients }, async () => {
      const connection = new Connection(hostname, Number(port));
      while (goesOn()) {
        const before = performance.now();
        const outcome = await connection.send(request(next++));
        if (outcome === '200') latenciesMs.push(performance.now() - before);
        else {
          failures[outcome] = (failures[outcome] ?? 0) + 1;
          await sleep(PAUSE_AFTER_FAILURE_MS);
        }
        if (task.pauseMs > 0) await sleep(task.pauseMs);
      }
      connections += connection.opened;
      connection.close();
    }),
  );
  const { user, system } = process.cpuUsage(cpu);
  return {
    done: latenciesMs.length,
    failures,
    latenciesMs,
    seconds: (performance.now() - started) / 1000,
    cpuSeconds: (user + system) / 1e6,
    connections,
  };
}

process.on('message', async (task: ClientTask) => {
  process.send?.(await run(task));
});
// Its parent is gone, and with it the reason to go on.
process.on('disconnect', () => process.exit(0));
