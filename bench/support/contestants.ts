import { setTimeout as sleep } from 'node:timers/promises';
import { catalog } from '../../server/zoo/catalog.ts';
import type { ModelRecord, Precision } from '../../server/zoo/record.ts';
import { ModelStore } from '../../server/zoo/store.ts';
import type { BareReport, BareWork } from './bare.ts';
import type { ClientReport, ClientTask } from './client.ts';
import type { BenchTask, Contestant } from './plan.ts';
import { nameOf } from './plan.ts';
import type { GroupMemory } from './process_tree.ts';
import { cpuSeconds, cpuSecondsOf, groupMemory, memoryOf, treeMemory } from './process_tree.ts';
import type { Job, Served } from './processes.ts';
import { startBare, startRival, startThinlens } from './processes.ts';

/** Ten probes a second: enough for a p99, and their own cost does not count as the photos'. */
const PROBE_PAUSE_MS = 100;

/** One turn of a contestant, with so many clients. */
export interface Turn {
  /** Photos answered. */
  readonly done: number;
  readonly seconds: number;
  /** Of the contestant's processes. */
  readonly cpuSeconds: number;
  /** Of these, the one that listens; 0 where none does. */
  readonly listenerCpuSeconds: number;
  /** Of the load generators; 0 where there are none. */
  readonly clientCpuSeconds: number;
  readonly latenciesMs: readonly number[];
  readonly livezMs: readonly number[];
  readonly failures: Readonly<Record<string, number>>;
  /** Connections that the clients opened. */
  readonly connections: number;
  /** In the middle of the turn. */
  readonly memory: GroupMemory;
}

/** A contestant that was started and waits for its turns. */
export interface Running {
  /** @param clients more than one are probed with /livez meanwhile, where there are any */
  turn(clients: number, seconds: number): Promise<Turn>;
  stop(): Promise<void>;
}

/** What contestants are started with. */
export interface Arena {
  readonly files: readonly string[];
  readonly workers: number;
  /** The store's folder. */
  readonly home: string;
  readonly generator: Job<ClientTask, ClientReport>;
  /** Asks for /livez meanwhile. A process of its own, so that what it sees is not the generator's own delay. */
  readonly prober: Job<ClientTask, ClientReport>;
}

/** The model that stands for its task: the first of the catalog. */
export function modelFor(task: BenchTask): ModelRecord {
  const record = catalog.find((each) => each.task === task);
  if (!record) throw new Error(`the catalog has no model for ${task}`);
  return record;
}

/** Path of the compiled model. */
async function modelFile(home: string, record: ModelRecord, precision: Precision): Promise<string> {
  const { path } = await new ModelStore(home).compiled(record, precision);
  return path;
}

/** @throws ProcessError where it does not start, or what `ModelStore.compiled` throws */
export async function start(contestant: Contestant, arena: Arena): Promise<Running> {
  const { kind, task, precision } = contestant;
  const name = nameOf(contestant);
  const record = modelFor(task);
  switch (kind) {
    case 'thinlens': {
      const flags = [
        ...['--workers', String(arena.workers), '--home', arena.home],
        ...['--models', record.name, '--precision', precision],
      ];
      const path = `/v1/${task === 'detection' ? 'detect' : 'segment'}?precision=${precision}`;
      return new ServerUnderLoad(await startThinlens(name, flags), { paths: [path], body: 'raw' }, arena);
    }
    case 'floor':
      return Floor.start(name, record, precision, arena);
    case 'tfjs': {
      const served = await startRival(name, 'tfjs-server.js', ['0']);
      return new ServerUnderLoad(served, { paths: ['/'], body: 'raw' }, arena);
    }
    case 'tutorial': {
      const file = await modelFile(arena.home, record, precision);
      const served = await startRival(name, 'tutorial-server.js', [file, '0']);
      return new ServerUnderLoad(served, { paths: ['/detect'], body: 'form' }, arena);
    }
  }
}

class ServerUnderLoad implements Running {
  readonly #served: Served;
  readonly #request: Pick<ClientTask, 'paths' | 'body'>;
  readonly #arena: Arena;

  constructor(served: Served, request: Pick<ClientTask, 'paths' | 'body'>, arena: Arena) {
    this.#served = served;
    this.#request = request;
    this.#arena = arena;
  }

  async turn(clients: number, seconds: number): Promise<Turn> {
    const { generator, prober, files } = this.#arena;
    const { origin, pid } = this.#served;
    const common = { origin, until: { seconds } };
    const before = { all: cpuSeconds(pid), listener: cpuSecondsOf(pid) };
    const [busy, probe, memory] = await Promise.all([
      generator.run({ ...common, ...this.#request, files, clients, pauseMs: 0 }),
      clients > 1
        ? prober.run({
            ...common,
            paths: ['/livez'],
            body: 'raw',
            files: [],
            clients: 1,
            pauseMs: PROBE_PAUSE_MS,
          })
        : undefined,
      halfway(seconds, () => treeMemory(pid)),
    ]);
    const failures = { ...busy.failures };
    for (const [what, count] of Object.entries(probe?.failures ?? {})) failures[`/livez: ${what}`] = count;
    return {
      done: busy.done,
      seconds: busy.seconds,
      cpuSeconds: cpuSeconds(pid) - before.all,
      listenerCpuSeconds: cpuSecondsOf(pid) - before.listener,
      clientCpuSeconds: busy.cpuSeconds + (probe?.cpuSeconds ?? 0),
      latenciesMs: busy.latenciesMs,
      livezMs: probe?.latenciesMs ?? [],
      failures,
      connections: busy.connections,
      memory,
    };
  }

  stop(): Promise<void> {
    return this.#served.stop();
  }
}

class Floor implements Running {
  readonly #jobs: readonly Job<BareWork, BareReport>[];

  private constructor(jobs: readonly Job<BareWork, BareReport>[]) {
    this.#jobs = jobs;
  }

  static async start(name: string, record: ModelRecord, precision: Precision, arena: Arena) {
    const { input, outputStride, task } = record;
    const load = {
      kind: 'load' as const,
      model: await modelFile(arena.home, record, precision),
      files: arena.files,
      input,
      ...(task === 'segmentation' && { fittedTo: outputStride }),
    };
    return new Floor(await Promise.all(Array.from({ length: arena.workers }, () => startBare(name, load))));
  }

  /** With one client one process works, with more all of them do. */
  async turn(clients: number, seconds: number): Promise<Turn> {
    const jobs = clients === 1 ? this.#jobs.slice(0, 1) : this.#jobs;
    const [reports, memory] = await Promise.all([
      Promise.all(jobs.map((job) => job.run({ kind: 'work', seconds }))),
      halfway(seconds, () => this.#jobs.flatMap(({ pid }) => memoryOf(pid) ?? [])),
    ]);
    return {
      done: reports.reduce((sum, { done }) => sum + done, 0),
      seconds: Math.max(...reports.map((report) => report.seconds)),
      cpuSeconds: reports.reduce((sum, report) => sum + report.cpuSeconds, 0),
      listenerCpuSeconds: 0,
      clientCpuSeconds: 0,
      latenciesMs: reports.flatMap(({ latenciesMs }) => latenciesMs),
      livezMs: [],
      failures: {},
      connections: 0,
      memory,
    };
  }

  async stop(): Promise<void> {
    await Promise.all(this.#jobs.map((job) => job.stop()));
  }
}

async function halfway(seconds: number, measure: () => Parameters<typeof groupMemory>[0]) {
  await sleep(seconds * 500);
  return groupMemory(measure());
}
