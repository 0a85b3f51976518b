import type { Model } from '../../openapi/types.ts';
import type { Metrics, Stage } from '../observability/metrics.ts';
import type { Settings } from '../settings.ts';
import { readImported } from '../zoo/imported.ts';
import { costOf, servedSize } from '../zoo/network.ts';
import type { ModelRecord, Precision, Task } from '../zoo/record.ts';
import { describeSource, isServed } from '../zoo/record.ts';
import { defaultModel, records } from '../zoo/records.ts';
import type { JobResult, RestartReason } from './pool.ts';
import { WorkerPool } from './pool.ts';
import { FALLBACK_REASONS } from './precision.ts';
import type { LoadedModel, ReadyModel, StageTimes, TaskName, Tasks } from './protocol.ts';

/** A model, catalogued or imported, and what became of it in this process. */
export interface ServedModel {
  readonly record: ModelRecord;
  readonly madds: number;
  readonly parameters: number;
  readonly parametersFolded: number;
  readonly loaded: LoadedModel | { readonly state: 'loading' };
}

export interface EncodedImage {
  readonly bytes: Buffer;
  /** Pixels that its header declares; 0 where they could not be told. */
  readonly pixels: number;
}

/** What a task is run on. */
export interface ServiceRequest<Name extends TaskName> {
  readonly model: string;
  /** One of those that the model has. */
  readonly precision: Precision;
  readonly images: readonly EncodedImage[];
  readonly options: Tasks[Name]['options'];
  /** When nobody wants it any more. */
  readonly signal: AbortSignal;
}

/** The models of this server and the workers that run them: what the routes and nothing else talk to. */
export class InferenceService {
  readonly #settings: Settings;
  readonly #metrics: Metrics;
  /** Imported models that cannot be used, a sentence each. */
  readonly faults: readonly string[];
  readonly #models = new Map<string, ServedModel>();
  readonly #pool: WorkerPool;

  constructor(
    settings: Settings,
    metrics: Metrics,
    onRestart: (reason: RestartReason, detail: string) => void = () => {},
  ) {
    this.#settings = settings;
    this.#metrics = metrics;
    const known = records(settings.home);
    this.faults = readImported(settings.home).faults;
    for (const record of known) {
      const { madds, parameters, parametersFolded } = costOf(record);
      this.#models.set(record.name, {
        record,
        madds,
        parameters,
        parametersFolded,
        loaded: { state: 'loading' },
      });
      metrics.modelMadds.set({ model: record.name }, madds);
      metrics.modelParameters.set({ model: record.name }, parameters);
    }
    const wanted =
      settings.models.length > 0
        ? settings.models.flatMap((name) => this.#models.get(name)?.record ?? [])
        : known.filter(isServed);
    this.#pool = new WorkerPool({
      workers: settings.workers,
      queue: { images: settings.queueImages, bytes: settings.queueBytes, pixels: settings.queuePixels },
      jobTimeoutMs: settings.workerTimeoutMs,
      load: {
        models: wanted,
        home: settings.home,
        threads: settings.threads,
        precision: settings.precision,
        limits: {
          maxPixels: settings.maxImagePixels,
          // A photo that is slow to decode is refused before its worker is taken for hung.
          timeoutSeconds: Math.max(1, Math.floor(settings.workerTimeoutMs / 2000)),
        },
      },
      onRestart: (reason, detail) => {
        metrics.workerRestarts.inc({ reason });
        onRestart(reason, detail);
      },
    });
  }

  /**
   * Starts the workers and loads the models.
   * @throws Error where no model could be loaded, or one that the settings name could not
   */
  async start(): Promise<void> {
    const loaded = await this.#pool.start();
    const wanted = this.#settings.models;
    for (const served of this.#models.values()) {
      const { record } = served;
      const outcome = loaded.find(({ name }) => name === record.name) ?? {
        name: record.name,
        state: 'unavailable' as const,
        reason: isServed(record)
          ? 'it is not among the models that this server was told to load'
          : `this server does not serve ${record.task}; thinlens run runs it`,
      };
      this.#models.set(record.name, { ...served, loaded: outcome });
      if (outcome.state === 'ready') {
        this.#announce(record.name, outcome);
      }
    }
    const failed = loaded.filter((model) => model.state !== 'ready');
    const fatal =
      failed.find(({ name }) => wanted.includes(name)) ?? (failed.length === loaded.length && failed[0]);
    if (fatal) throw new Error(`model ${fatal.name} cannot be loaded: ${fatal.reason}`);
  }

  /** All models: the catalog's in its order, then the imported ones. */
  get models(): ServedModel[] {
    return [...this.#models.values()];
  }

  model(name: string): ServedModel | undefined {
    return this.#models.get(name);
  }

  /** The model that runs where a request names none: the first for that task that the settings name, else that is ready. */
  defaultModel(task: Task): string {
    const named = this.#settings.models.find((name) => this.model(name)?.record.task === task);
    const ready = this.models.find(({ record, loaded }) => record.task === task && loaded.state === 'ready');
    return named ?? ready?.record.name ?? defaultModel(task);
  }

  /** Why the server should get no requests yet, or nothing. */
  get notReady(): string | undefined {
    const loading = this.models.find(({ loaded }) => loaded.state === 'loading');
    if (loading) return `${loading.record.name} is loading`;
    return this.#pool.ready > 0 ? undefined : 'no worker process is running';
  }

  get queued(): number {
    return this.#pool.queued;
  }

  get retryAfterSeconds(): number {
    return this.#pool.retryAfterSeconds;
  }

  /** Process ids of the workers, for benchmarks and for tests that end one. */
  get workerPids(): number[] {
    return this.#pool.pids;
  }

  /**
   * Looks for objects in each of `images`, which are taken or refused together.
   * @returns one promise an image, in order
   * @throws JobError where the queue is full or the server stops
   */
  detect(request: ServiceRequest<'detect'>): Promise<JobResult<'detect'>>[] {
    return this.#run('detect', request);
  }

  /** Classifies the pixels of each of `images`; otherwise as `detect`. */
  segment(request: ServiceRequest<'segment'>): Promise<JobResult<'segment'>>[] {
    return this.#run('segment', request);
  }

  #run<Name extends TaskName>(
    task: Name,
    { model, precision, images, options, signal }: ServiceRequest<Name>,
  ): Promise<JobResult<Name>>[] {
    const jobs = images.map(({ bytes, pixels }) => ({
      task,
      model,
      precision,
      photo: { kind: 'encoded' as const, bytes },
      options,
      pixels,
    }));
    return this.#pool.submit<Name>(jobs, signal).map(async (pending) => {
      const result = await pending;
      this.#metrics.images.inc({ model });
      this.#observe(model, precision, result.queued, result.times);
      return result;
    });
  }

  /** Makes a model's series, so that each is there from the start. */
  #announce(model: string, { seconds, precision, precisions, fallback }: ReadyModel): void {
    this.#metrics.modelLoadSeconds.set({ model, precision }, seconds);
    for (const each of precisions) {
      for (const stage of STAGES) this.#metrics.stageDuration.zero({ model, precision: each, stage });
    }
    for (const reason of FALLBACK_REASONS)
      this.#metrics.precisionFallback.set({ model, reason }, fallback?.reason === reason ? 1 : 0);
    this.#metrics.requestMadds.zero({ model });
    this.#metrics.images.inc({ model }, 0);
  }

  close(): void {
    this.#pool.close();
  }

  #observe(model: string, precision: Precision, queued: number, times: StageTimes): void {
    // The whole request's answer is an observation, not each image's share in it.
    const { encode: _, ...stagesOfImage } = times;
    const stages: Partial<Record<Stage, number>> = { queue: queued, ...stagesOfImage };
    for (const [stage, ms] of Object.entries(stages)) {
      this.#metrics.stageDuration.observe({ model, precision, stage }, ms / 1000);
    }
  }
}

const STAGES: readonly Stage[] = ['queue', 'decode', 'preprocess', 'inference', 'postprocess', 'encode'];

/** A served model as GET /v1/models shows it; with its labels as GET /v1/models/{model} does. */
export function describeModel(served: ServedModel, withLabels: boolean): Model {
  const { record, loaded, madds, parameters, parametersFolded } = served;
  const { name, title, task, backbone, head, dataset, labels, accuracy, licence, source } = record;
  return {
    name,
    title,
    task,
    backbone,
    head,
    dataset,
    state: loaded.state,
    ...('reason' in loaded && { reason: loaded.reason }),
    precisions: loaded.state === 'ready' ? loaded.precisions : [],
    ...(loaded.state === 'ready' && {
      default_precision: loaded.precision,
      ...(loaded.fallback && { precision_fallback: loaded.fallback }),
    }),
    input: { ...servedSize(record), channels: 3, layout: 'NHWC', type: 'uint8' },
    label_count: labels.length,
    ...(withLabels && { labels: labels.map(({ classId, label }) => ({ class_id: classId, label })) }),
    madds,
    parameters,
    parameters_folded: parametersFolded,
    size_bytes: source.bytes,
    sha256: source.sha256,
    ...(accuracy && {
      accuracy: {
        metric: accuracy.metric,
        value: accuracy.value,
        ...(accuracy.int8 !== undefined && { value_int8: accuracy.int8 }),
        measured_on: accuracy.dataset,
      },
    }),
    licence,
    source: describeSource(source),
  };
}
