// The `thinlens` command as people run it: in a process of its own.
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { usableCpus } from '../../server/inference/cpus.ts';
import type { LogLine } from './harness.ts';
import { until } from './harness.ts';

/** Where the commands of this process keep the compiled model. */
export const home = mkdtempSync(join(tmpdir(), 'thinlens-command-'));
process.on('exit', () => rmSync(home, { recursive: true, force: true }));

/** What a command's end looks like: its exit code, or the signal that ended it. */
export type Exit = readonly [code: number | null, signal: NodeJS.Signals | null];

export interface Run {
  readonly exit: Exit;
  readonly stdout: string;
  readonly stderr: string;
}

/** @param stdout an open file, or a pipe to read from */
export function launch(
  args: readonly string[],
  environment: Readonly<Record<string, string>> = {},
  stdout: 'pipe' | number = 'pipe',
): ChildProcess {
  const inherited = Object.entries(process.env).filter(([name]) => !/^(THINLENS|ORT)_/.test(name));
  return spawn(process.execPath, ['bin/thinlens.js', ...args], {
    stdio: ['ignore', stdout, 'pipe'],
    timeout: LONGEST_MS,
    killSignal: 'SIGKILL',
    // The same on every CPU: what is about int8 asks for it.
    env: {
      ...Object.fromEntries(inherited),
      THINLENS_HOME: home,
      THINLENS_PRECISION: 'fp32',
      ...environment,
    },
  });
}

/** A command that takes longer hangs; none here needs a tenth of it. */
const LONGEST_MS = 120_000;

/** Runs a command to its end. */
export async function thinlens(
  args: readonly string[],
  environment: Readonly<Record<string, string>> = {},
): Promise<Run> {
  const child = launch(args, environment);
  const text = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr'] as const) {
    child[name]?.setEncoding('utf8').on('data', (piece: string) => {
      text[name] += piece;
    });
  }
  const exit = (await once(child, 'close')) as unknown as Exit;
  return { exit, ...text };
}

/** A command that ends with 1, one sentence on stderr that says why, and nothing on stdout. */
export async function assertRefused(
  args: readonly string[],
  wanted: RegExp,
  environment: Readonly<Record<string, string>> = {},
): Promise<void> {
  const { exit, stdout, stderr } = await thinlens(args, environment);
  assert.deepEqual([exit, stdout], [[1, null], ''], stderr);
  assert.match(stderr, wanted);
  assert.doesNotMatch(stderr, /\bat .*\.js/);
}

export interface ServedChild {
  readonly pid: number;
  /** Lines of its log so far. */
  readonly log: readonly LogLine[];
  /** What it wrote to stderr so far, and its workers with it. */
  readonly stderr: () => string;
  readonly exited: Promise<Exit>;
  /** Waits for a message in its log. */
  logged(msg: string): Promise<LogLine>;
  kill(signal: NodeJS.Signals): void;
}

/** Two, for what happens beside another worker; a machine of one CPU, on which two would be refused, has to do with one. */
export const WORKERS = Math.min(2, usableCpus());

/** Starts `thinlens serve` on a free port, with `WORKERS` workers. */
export function serve(args: readonly string[] = []): ServedChild {
  const child = launch(['serve', '--port', '0', '--workers', String(WORKERS), ...args]);
  const log: LogLine[] = [];
  let stderr = '';
  createInterface({ input: child.stdout as NodeJS.ReadableStream }).on('line', (line) => {
    log.push(JSON.parse(line));
  });
  child.stderr?.setEncoding('utf8').on('data', (piece: string) => {
    stderr += piece;
  });
  let ended = false;
  const exited = once(child, 'close').then((exit) => {
    ended = true;
    return exit as unknown as Exit;
  });
  return {
    pid: child.pid as number,
    log,
    stderr: () => stderr,
    exited,
    async logged(msg) {
      const find = () => log.find((line) => line.msg === msg);
      await until(() => ended || find() !== undefined, `'${msg}' is logged`);
      const line = find();
      if (!line) throw new Error(`it ended before '${msg}': ${stderr}`);
      return line;
    },
    kill: (signal) => void child.kill(signal),
  };
}

/** Process ids of the children of a process, from Linux's /proc. */
export function childrenOf(parent: number): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => {
      try {
        // proc(5): the name, which may hold anything, ends with the last bracket; state and parent follow.
        const [, ppid] = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1)?.split(' ') ?? [];
        return Number(ppid) === parent;
      } catch {
        return false; // It ended in the meantime.
      }
    });
}

/** Whether a process is there, and not only as an entry that its parent has not read yet. */
export function isRunning(pid: number): boolean {
  try {
    return !/\) Z /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return false;
  }
}
