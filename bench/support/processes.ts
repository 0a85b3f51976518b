import type { ChildProcess } from 'node:child_process';
import { fork, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { BareReport, BareTask } from './bare.ts';
import type { ClientReport, ClientTask } from './client.ts';

const sibling = (name: string) => fileURLToPath(import.meta.resolve(name));

/** Runs a load generator to its end. */
export async function load(task: ClientTask): Promise<ClientReport> {
  const child = fork(sibling('./client.js'));
  child.send(task);
  const [report] = (await once(child, 'message')) as [ClientReport];
  return report;
}

export const startBare = (): ChildProcess => fork(sibling('./bare.js'));

export async function runBare(child: ChildProcess, task: BareTask): Promise<BareReport> {
  child.send(task);
  const [report] = (await once(child, 'message')) as [BareReport];
  return report;
}

export interface Served {
  readonly child: ChildProcess;
  readonly pid: number;
  readonly url: string;
  stop(): Promise<void>;
}

/** Starts `thinlens serve` on a free port, as a user would, and waits until it is ready. */
export async function startThinlens(flags: readonly string[]): Promise<Served> {
  const entry = fileURLToPath(new URL('../../../bin/thinlens.js', import.meta.url));
  const child = spawn(process.execPath, [entry, 'serve', '--port', '0', ...flags], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const exited = once(child, 'exit');
  for await (const line of createInterface({ input: child.stdout })) {
    const { msg, url } = JSON.parse(line) as { msg?: string; url?: string };
    if (msg === 'ready' && url) {
      // What it logs from here on is read and dropped: a full pipe would stop it.
      child.stdout.resume();
      return {
        child,
        pid: child.pid ?? 0,
        url,
        stop: async () => {
          child.kill('SIGTERM');
          await exited;
        },
      };
    }
  }
  throw new Error('thinlens ended before it was ready');
}
