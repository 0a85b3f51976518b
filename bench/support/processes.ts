import type { ChildProcess } from 'node:child_process';
import { fork, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { BareLoad, BareReport, BareWork } from './bare.ts';
import type { ClientReport, ClientTask } from './client.ts';

/** Something that was to be measured did not start, or ended. The message holds what it wrote. */
export class ProcessError extends Error {
  override readonly name = 'ProcessError';
}

/** Of what a process writes to its standard error, how much is kept for the message. */
const MOST_KEPT = 4000;
const START_TIMEOUT_MS = 300_000;
/** So that a benchmark that is stopped, or fails, leaves nothing running. */
const running = new Set<ChildProcess>();
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => process.exit(1));

/** ONNX Runtime's published builds gather usage events unless told not to; see server/inference/no_telemetry.ts. */
const environment = { ...process.env, ORT_DISABLE_TELEMETRY: '1' };

/** A child process, with what it said last. */
class Child {
  readonly name: string;
  readonly process: ChildProcess;
  readonly #exited: Promise<unknown>;
  #said = '';

  constructor(name: string, child: ChildProcess) {
    this.name = name;
    this.process = child;
    running.add(child);
    child.stderr?.on('data', (chunk) => {
      this.#said = (this.#said + chunk).slice(-MOST_KEPT);
    });
    // 'close' comes after the last of its output, 'exit' may come before.
    this.#exited = once(child, 'close')
      .catch((error: Error) => {
        this.#said += error.message;
      })
      .finally(() => running.delete(child));
  }

  get pid(): number {
    return this.process.pid ?? 0;
  }

  /** Rejects when the process ends, with what it wrote. */
  async ended(): Promise<never> {
    await this.#exited;
    const { exitCode, signalCode } = this.process;
    throw this.error(`ended with ${signalCode ? `signal ${signalCode}` : `code ${exitCode}`}`);
  }

  error(what: string): ProcessError {
    const said = this.#said.trim();
    return new ProcessError(
      `${this.name} ${what}${said ? `; it wrote:\n${said}` : ', and wrote nothing to standard error'}`,
    );
  }

  async stop(): Promise<void> {
    this.process.kill('SIGTERM');
    await this.#exited;
  }
}

/** A process that answers each message with one. */
export class Job<Task extends object, Report> {
  readonly #child: Child;

  /** @param module compiled, beside this one */
  constructor(name: string, module: string) {
    const entry = fileURLToPath(import.meta.resolve(module));
    const stdio = ['ignore', 'ignore', 'pipe', 'ipc'] as const;
    this.#child = new Child(name, fork(entry, { stdio: [...stdio], env: environment }));
  }

  get pid(): number {
    return this.#child.pid;
  }

  /** @throws ProcessError where the process ends instead of answering */
  async run(task: Task): Promise<Report> {
    const answer = once(this.#child.process, 'message') as Promise<[Report]>;
    this.#child.process.send(task, () => {});
    const [report] = await Promise.race([answer, this.#child.ended()]);
    return report;
  }

  stop(): Promise<void> {
    return this.#child.stop();
  }
}

export const startClient = (): Job<ClientTask, ClientReport> => new Job('the load generator', './client.js');

/** A process of the floor, with its model and photos loaded. */
export async function startBare(name: string, load: BareLoad): Promise<Job<BareWork, BareReport>> {
  const job = new Job<BareWork | BareLoad, BareReport>(name, './bare.js');
  await job.run(load);
  return job;
}

/** A server that was started and answers. */
export interface Served {
  readonly pid: number;
  /** http://host:port */
  readonly origin: string;
  stop(): Promise<void>;
}

/**
 * Starts a server and waits until it says that it is ready.
 * @param command of Node: a file and its arguments
 * @param readyAt the address, from the line of its standard output that says so
 * @throws ProcessError where it ends before, or takes longer than five minutes
 */
async function startServer(
  name: string,
  command: readonly string[],
  readyAt: (line: string) => string | undefined,
): Promise<Served> {
  const child = new Child(
    name,
    spawn(process.execPath, command, { stdio: ['ignore', 'pipe', 'pipe'], env: environment }),
  );
  const address = new Promise<string>((resolve) => {
    const output = child.process.stdout as NonNullable<typeof child.process.stdout>;
    const lines = createInterface({ input: output }).on('line', (line) => {
      const origin = readyAt(line);
      if (!origin) return;
      resolve(origin);
      // What is written from here on is read and dropped: a full pipe would stop it.
      lines.close();
      output.resume();
    });
  });
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(
      () => reject(child.error(`was not ready after ${START_TIMEOUT_MS / 1000} s`)),
      START_TIMEOUT_MS,
    );
  });
  try {
    const origin = await Promise.race([address, child.ended(), late]);
    return { pid: child.pid, origin, stop: () => child.stop() };
  } finally {
    clearTimeout(timer);
  }
}

const fromRoot = (path: string) => fileURLToPath(new URL(`../../../${path}`, import.meta.url));

/** `thinlens serve` on a free port, as a user would start it. */
export function startThinlens(name: string, flags: readonly string[]): Promise<Served> {
  const command = [fromRoot('bin/thinlens.js'), 'serve', '--port', '0', ...flags];
  return startServer(name, command, (line) => {
    if (!line.startsWith('{')) return undefined;
    const { msg, url } = JSON.parse(line) as { msg?: string; url?: string };
    return msg === 'ready' ? url : undefined;
  });
}

/** A server of bench/rivals/, which says the address that it listens on. */
export function startRival(name: string, file: string, args: readonly string[]): Promise<Served> {
  const command = [fromRoot(`bench/rivals/${file}`), ...args];
  return startServer(name, command, (line) => /http:\/\/[\d.]+:\d+/.exec(line)?.[0]);
}
