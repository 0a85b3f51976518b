/**
 * A load generator in a process of its own, so that its CPU time is not the server's. Told what to send by the first
 * message from its parent; answers with what it saw.
 */
import { readFileSync } from 'node:fs';
import type { Socket } from 'node:net';
import { connect } from 'node:net';

export interface ClientTask {
  readonly url: string;
  /** Files posted in turn; none makes it a GET. */
  readonly files: readonly string[];
  readonly clients: number;
  readonly seconds: number;
  /** Pause of each client between two requests. */
  readonly pauseMs: number;
}

export interface ClientReport {
  readonly done: number;
  /** Answers other than 200, and broken connections, by what they were. */
  readonly failures: Readonly<Record<string, number>>;
  readonly latenciesMs: readonly number[];
  readonly seconds: number;
}

/** One keep-alive connection that sends prepared requests: far cheaper than a general HTTP client, which would compete with the server for the same cores. */
class Connection {
  readonly #host: string;
  readonly #port: number;
  #socket: Socket | undefined;
  #received = '';
  #settle: ((outcome: string) => void) | undefined;

  constructor({ hostname, port }: URL) {
    this.#host = hostname;
    this.#port = Number(port);
  }

  /** Sends one request. @returns the status of its answer, or what broke the connection */
  send(bytes: Buffer): Promise<string> {
    this.#socket ??= this.#connect();
    this.#received = '';
    this.#socket.write(bytes);
    return new Promise((resolve) => {
      this.#settle = resolve;
    });
  }

  close(): void {
    this.#socket?.destroy();
  }

  #connect(): Socket {
    const socket = connect(this.#port, this.#host).setNoDelay(true);
    socket.on('data', (chunk) => this.#read(chunk.toString('latin1')));
    const broken = (reason: string) => {
      this.#socket = undefined;
      this.#settle?.(reason);
    };
    socket.on('error', (error) => broken(error.message));
    socket.on('close', () => broken('connection closed'));
    return socket;
  }

  #read(text: string): void {
    this.#received += text;
    const end = this.#received.indexOf('\r\n\r\n');
    if (end < 0) return;
    const length = Number(/^content-length: (\d+)/im.exec(this.#received.slice(0, end))?.[1]);
    if (this.#received.length < end + 4 + length) return;
    this.#settle?.(this.#received.slice(9, 12));
  }
}

process.once('message', async (task: ClientTask) => {
  const url = new URL(task.url);
  const head = (method: string, length: number) =>
    Buffer.from(
      `${method} ${url.pathname}${url.search} HTTP/1.1\r\nHost: ${url.host}\r\nContent-Length: ${length}\r\n\r\n`,
    );
  const requests = task.files.map((file) => {
    const body = readFileSync(file);
    return Buffer.concat([head('POST', body.length), body]);
  });
  if (requests.length === 0) requests.push(head('GET', 0));
  const latenciesMs: number[] = [];
  const failures: Record<string, number> = {};
  const started = performance.now();
  const until = started + task.seconds * 1000;
  let next = 0;
  await Promise.all(
    Array.from({ length: task.clients }, async () => {
      const connection = new Connection(url);
      while (performance.now() < until) {
        const before = performance.now();
        const outcome = await connection.send(requests[next++ % requests.length] as Buffer);
        if (outcome === '200') latenciesMs.push(performance.now() - before);
        else failures[outcome] = (failures[outcome] ?? 0) + 1;
        if (task.pauseMs > 0) await new Promise((resolve) => setTimeout(resolve, task.pauseMs));
      }
      connection.close();
    }),
  );
  const report: ClientReport = {
    done: latenciesMs.length,
    failures,
    latenciesMs,
    seconds: (performance.now() - started) / 1000,
  };
  process.send?.(report, () => process.exit(0));
});
