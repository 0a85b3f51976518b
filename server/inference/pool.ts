import type { Precision } from '../zoo/record.ts';
import type { Channel, Spawn } from './channel.ts';
import { spawnProcess } from './channel.ts';
import type { FromWorker, LoadedModel, LoadMessage, Photo, TaskName, Tasks } from './protocol.ts';
import type { Load, QueueLimits } from './queue.ts';
import { BoundedQueue } from './queue.ts';

/** One photo for one model. */
export interface Job<Name extends TaskName = TaskName> {
  readonly task: Name;
  readonly model: string;
  readonly precision: Precision;
  readonly photo: Photo;
  readonly options: Tasks[Name]['options'];
  /** Pixels that the photo's header declares; 0 where they could not be told. */
  readonly pixels: number;
}

export type JobResult<Name extends TaskName = TaskName> = Tasks[Name]['outcome'] & {
  /** Milliseconds between submission and the moment a worker took it. */
  readonly queued: number;
};

/** Why a job has no result. `code` is one of the server's problem codes. */
export class JobError extends Error {
  override readonly name = 'JobError';
  readonly code: string;
  /** @param cause for the log: what the worker knows of its fault */
  constructor(code: string, message: string, cause?: string) {
    super(message, { cause });
    this.code = code;
  }
}

export type RestartReason = 'crash' | 'hang';

export interface PoolOptions {
  readonly workers: number;
  readonly queue: QueueLimits;
  /** A worker that has been at one job for longer is taken for hung, and killed. */
  readonly jobTimeoutMs: number;
  readonly load: Omit<LoadMessage, 'type'>;
  readonly spawn?: Spawn;
  /** Told of each worker that was lost and is being replaced. */
  readonly onRestart?: (reason: RestartReason, detail: string) => void;
}

interface Ticket extends Job, Load {
  readonly submitted: number;
  readonly settle: { resolve(result: JobResult): void; reject(error: unknown): void };
  attempts: number;
  queued: number;
  /** Its caller has gone: a result is dropped, a lost worker is no reason to try again. */
  abandoned: boolean;
}

interface Member {
  readonly channel: Channel;
  state: 'loading' | 'idle' | 'busy' | 'gone';
  ticket?: Ticket;
  timer?: NodeJS.Timeout;
  hung: boolean;
}

/** A worker that has not loaded its models by then never will. Compiling one takes some seconds. */
const LOAD_TIMEOUT_MS = 120_000;
/** A job whose worker died is tried once more, on another worker. */
const MAX_ATTEMPTS = 2;
const FIRST_BACKOFF_MS = 100;
const LONGEST_BACKOFF_MS = 10_000;
/** Photos over which the mean time of a job is taken, for the advice in Retry-After. */
const SMOOTHING = 20;

/**
 * Worker processes behind one bounded queue. Each worker has one photo at a time; a worker that dies or hangs is
 * replaced and its photo given to another, once.
 */
export class WorkerPool {
  readonly #options: PoolOptions;
  readonly #queue: BoundedQueue<Ticket>;
  readonly #members = new Set<Member>();
  readonly #timers = new Set<NodeJS.Timeout>();
  #closed = false;
  #failedStarts = 0;
  #meanJobMs = 50;
  /** What became of each model, over all workers: where one could not load it, it is not there. */
  readonly #models = new Map<string, LoadedModel>();
  #waiting: { resolve(models: readonly LoadedModel[]): void; reject(error: Error): void } | undefined;

  constructor(options: PoolOptions) {
    this.#options = options;
    this.#queue = new BoundedQueue(options.queue);
  }

  /**
   * Starts the workers; fulfils when every one of them has loaded what it can.
   * @throws Error when workers keep dying before they are loaded
   */
  start(): Promise<readonly LoadedModel[]> {
    const loaded = new Promise<readonly LoadedModel[]>((resolve, reject) => {
      this.#waiting = { resolve, reject };
    });
    for (let i = 0; i < this.#options.workers; i++) this.#spawn();
    return loaded;
  }

  /** Photos that wait for a worker. */
  get queued(): number {
    return this.#queue.size;
  }

  /** Workers that can take photos. */
  get ready(): number {
    return [...this.#members].filter(({ state }) => state === 'idle' || state === 'busy').length;
  }

  /** Process ids of the workers. */
  get pids(): number[] {
    return [...this.#members].flatMap(({ channel }) => channel.pid ?? []);
  }

  /** Seconds after which a place in a queue that is full now is likely to be free. */
  get retryAfterSeconds(): number {
    const perWorker = Math.ceil((this.#queue.size + 1) / this.#options.workers);
    return Math.max(1, Math.ceil((perWorker * this.#meanJobMs) / 1000));
  }

  /**
   * Queues all of `jobs`, or none. When `signal` aborts, what still waits is taken out, what runs is left to finish and its
   * result dropped, and the promises reject with the signal's reason.
   * @throws JobError 'overloaded' where the queue has no room for all, 'shutting_down' after `close`
   */
  submit<Name extends TaskName>(
    jobs: readonly Job<Name>[],
    signal?: AbortSignal,
  ): Promise<JobResult<Name>>[] {
    if (this.#closed) throw new JobError('shutting_down', 'the server is stopping');
    signal?.throwIfAborted();
    const submitted = performance.now();
    const tickets: Ticket[] = [];
    const results = jobs.map(
      (job) =>
        new Promise<JobResult>((resolve, reject) => {
          const settle = { resolve, reject };
          tickets.push({
            ...job,
            bytes: job.photo.bytes.length,
            submitted,
            settle,
            attempts: 0,
            queued: 0,
            abandoned: false,
          });
        }),
    );
    if (!this.#queue.push(tickets)) {
      const { images, bytes, pixels } = this.#queue.limits;
      throw new JobError(
        'overloaded',
        `the queue is full (${this.#queue.size} waiting; at most ${images} images, ${bytes} bytes, ${pixels} pixels)`,
      );
    }
    if (signal) this.#follow(signal, tickets, results);
    this.#dispatch();
    // What a worker answers is what it was asked for.
    return results as Promise<JobResult<Name>>[];
  }

  /** Ends all workers. Jobs without a result are refused. */
  close(): void {
    this.#closed = true;
    for (const timer of this.#timers) clearTimeout(timer);
    const stopping = () => new JobError('shutting_down', 'the server stopped before this was done');
    for (const member of this.#members) {
      clearTimeout(member.timer);
      member.state = 'gone';
      member.channel.kill();
      member.ticket?.settle.reject(stopping());
    }
    this.#members.clear();
    for (let ticket = this.#queue.shift(); ticket; ticket = this.#queue.shift())
      ticket.settle.reject(stopping());
    this.#waiting?.reject(stopping());
    this.#waiting = undefined;
  }

  #follow(signal: AbortSignal, tickets: readonly Ticket[], results: readonly Promise<JobResult>[]): void {
    const abandon = () => {
      for (const ticket of tickets) {
        ticket.abandoned = true;
        this.#queue.remove(ticket);
        ticket.settle.reject(signal.reason);
      }
    };
    signal.addEventListener('abort', abandon, { once: true });
    void Promise.allSettled(results).then(() => signal.removeEventListener('abort', abandon));
  }

  #spawn(): void {
    // A worker's messages and its end come later than this call: the member is whole by then.
    const channel = (this.#options.spawn ?? spawnProcess)({
      message: (message, body) => this.#receive(member, message, body),
      exit: (reason) => this.#lost(member, reason),
    });
    const member: Member = { channel, state: 'loading', hung: false };
    this.#members.add(member);
    this.#watch(member, LOAD_TIMEOUT_MS);
    channel.load({ type: 'load', ...this.#options.load });
  }

  /** Kills the worker unless the timer is cleared in time. */
  #watch(member: Member, ms: number): void {
    member.timer = setTimeout(() => {
      member.hung = true;
      member.channel.kill();
    }, ms);
  }

  #receive(member: Member, message: FromWorker, body: Uint8Array): void {
    if (member.state === 'gone') return;
    clearTimeout(member.timer);
    if (message.type === 'ready') this.#loaded(member, message.models);
    else this.#finished(member, message, body);
    this.#dispatch();
  }

  #loaded(member: Member, models: readonly LoadedModel[]): void {
    const starting = this.#waiting !== undefined;
    const worse = models.filter(
      ({ name, state }) => state !== 'ready' && this.#models.get(name)?.state === 'ready',
    );
    if (!starting && worse.length > 0) {
      // A replacement that cannot do what the lost worker did would fail every photo that it takes.
      member.channel.kill();
      return;
    }
    for (const model of models) {
      if (this.#models.get(model.name)?.state !== 'ready' && this.#models.has(model.name)) continue;
      this.#models.set(model.name, model);
    }
    member.state = 'idle';
    this.#failedStarts = 0;
    if (this.ready >= this.#options.workers) {
      this.#waiting?.resolve([...this.#models.values()]);
      this.#waiting = undefined;
    }
  }

  #finished(member: Member, message: Exclude<FromWorker, { type: 'ready' }>, body: Uint8Array): void {
    const { ticket } = member;
    delete member.ticket;
    // A worker that was taken for hung is being killed: its answer counts, but it gets no other photo.
    if (!member.hung) member.state = 'idle';
    if (!ticket) return;
    const took = performance.now() - ticket.submitted - ticket.queued;
    this.#meanJobMs += (took - this.#meanJobMs) / SMOOTHING;
    if (message.type === 'done') {
      const outcome = { ...message.outcome, ...(body.length > 0 && { body }) } as Tasks[TaskName]['outcome'];
      ticket.settle.resolve({ ...outcome, queued: ticket.queued });
    } else ticket.settle.reject(new JobError(message.code, message.message, message.stack));
  }

  #dispatch(): void {
    for (const member of this.#members) {
      if (member.state !== 'idle') continue;
      const ticket = this.#queue.shift();
      if (!ticket) return;
      ticket.attempts += 1;
      ticket.queued = performance.now() - ticket.submitted;
      member.state = 'busy';
      member.ticket = ticket;
      this.#watch(member, this.#options.jobTimeoutMs);
      const { task, model, precision, photo, options } = ticket;
      member.channel.work({ type: 'job', task, model, precision, kind: photo.kind, options }, photo.bytes);
    }
  }

  #lost(member: Member, detail: string): void {
    if (member.state === 'gone') return;
    const { ticket, state, hung } = member;
    member.state = 'gone';
    clearTimeout(member.timer);
    this.#members.delete(member);
    this.#options.onRestart?.(hung ? 'hang' : 'crash', detail);
    if (ticket && !ticket.abandoned) {
      if (ticket.attempts < MAX_ATTEMPTS) this.#queue.unshift(ticket);
      else {
        const what = hung ? 'did not finish in time' : 'died';
        ticket.settle.reject(
          new JobError('worker_failed', `the process that worked on this image ${what}, twice (${detail})`),
        );
      }
    }
    this.#replace(state === 'loading', detail);
  }

  /** Starts a worker in place of a lost one; where workers die before they are loaded, later and later. */
  #replace(diedLoading: boolean, detail: string): void {
    if (!diedLoading) {
      this.#spawn();
      this.#dispatch();
      return;
    }
    this.#failedStarts += 1;
    if (this.#waiting && this.#failedStarts > this.#options.workers * 2) {
      this.#waiting.reject(new Error(`workers die before they have loaded the models: ${detail}`));
      this.#waiting = undefined;
      return;
    }
    const delay = Math.min(LONGEST_BACKOFF_MS, FIRST_BACKOFF_MS * 2 ** (this.#failedStarts - 1));
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      this.#spawn();
    }, delay);
    this.#timers.add(timer);
  }
}
