import type { ChildProcess } from 'node:child_process';
import { fork } from 'node:child_process';
import type { Readable, Writable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { FrameReader, frame } from './frames.ts';
import type { FromWorker, JobMessage, LoadMessage } from './protocol.ts';

/** One worker as the pool sees it, whatever runs behind it. */
export interface Channel {
  readonly pid: number | undefined;
  load(message: LoadMessage): void;
  /** @param bytes the photo that `message` speaks of */
  work(message: JobMessage, bytes: Uint8Array): void;
  /** Ends the worker at once, whatever it is doing. */
  kill(): void;
}

export interface ChannelEvents {
  /** @param body bytes that came with it */
  message(message: FromWorker, body: Uint8Array): void;
  /** Called once, when the worker is gone for whatever reason. */
  exit(reason: string): void;
}

export type Spawn = (events: ChannelEvents) => Channel;

/**
 * A worker decodes one photo at a time, so one thread for it is enough, and finds its memory still in the cache; with four
 * taking turns a photo costs some 2 % more CPU. glibc's arenas multiply the memory of threads: two are enough for two. Its thresholds
 * are left as they are: raised, so that a segmentation network's maps stay in the heap, they spare nothing that could be
 * measured any more, and a worker's heap grew by a third over some ten thousand photos. All can be set otherwise from outside.
 */
const WORKER_ENVIRONMENT = {
  UV_THREADPOOL_SIZE: '1',
  MALLOC_ARENA_MAX: '2',
};

/** The streams on which a worker process gets its photos, and gives its answers. */
export const PHOTO_FD = 4;
export const ANSWER_FD = 5;

const entry = fileURLToPath(import.meta.resolve('./worker.js'));

/** @returns nothing where the system refuses at once, as it may for want of memory */
function forkWorker(): ChildProcess | undefined {
  try {
    return fork(entry, [], {
      execArgv: [],
      env: { ...WORKER_ENVIRONMENT, ...process.env },
      stdio: ['ignore', 'ignore', 'inherit', 'ipc', 'pipe', 'pipe'],
    });
  } catch {
    return undefined;
  }
}

/**
 * A worker in a process of its own: it can be killed while inside a native call, and a crash of its native code
 * takes nobody along.
 */
export const spawnProcess: Spawn = (events) => {
  let gone = false;
  const exit = (reason: string) => {
    if (!gone) events.exit(reason);
    gone = true;
  };
  const child = forkWorker();
  child?.on('error', (error) => {
    // With a pid it is a message that could not be sent; 'exit' tells the rest.
    if (child.pid === undefined) exit(error.message);
  });
  const photos = child?.stdio?.[PHOTO_FD] as Writable | undefined;
  const answers = (child?.stdio as readonly unknown[] | undefined)?.[ANSWER_FD] as Readable | undefined;
  if (!child || !photos || !answers) {
    // The system has no process or no files left to give; the pool tries again later.
    setImmediate(() => exit('the process could not be started'));
    return { pid: undefined, load() {}, work() {}, kill() {} };
  }
  // A write to a worker that is dying fails; its exit event tells the pool all that it needs to know.
  photos.on('error', () => {});
  answers.on('error', () => {});
  const frames = new FrameReader<FromWorker>((message, body) => events.message(message, body));
  answers.on('data', (chunk) => frames.push(chunk));
  child.on('exit', (code, signal) => exit(signal ? `signal ${signal}` : `exit code ${code}`));
  return {
    pid: child.pid,
    load: (message) => void (child.connected && child.send(message, () => {})),
    work(message, bytes) {
      photos.cork();
      for (const part of frame(message, bytes)) photos.write(part);
      photos.uncork();
    },
    kill: () => void child.kill('SIGKILL'),
  };
};

/**
 * A worker in a thread, for comparison (bench/): cheaper messages, but it cannot be stopped inside a native call and a
 * native crash ends the whole server.
 */
export const spawnThread: Spawn = (events) => {
  const thread = new Worker(entry);
  thread.on('message', ({ message, body }: { message: FromWorker; body: Uint8Array }) =>
    events.message(message, body),
  );
  thread.on('error', (error) => console.error(error));
  thread.on('exit', (code) => events.exit(`exit code ${code}`));
  return {
    pid: undefined,
    load: (message) => thread.postMessage({ message }),
    work: (message, bytes) => thread.postMessage({ message, bytes }),
    kill: () => void thread.terminate(),
  };
};
