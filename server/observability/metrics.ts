import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';

/** 1 ms to 10 s: a request on one core takes some 20 ms, one in a full queue seconds. */
const SECONDS = [
  0.001, 0.0025, 0.005, 0.0075, 0.01, 0.015, 0.02, 0.03, 0.05, 0.075, 0.1, 0.25, 0.5, 1, 2.5, 5, 10,
];
/** Doublings from 5e7 to 1e12: one small image to a large batch. */
const MADDS = Array.from({ length: 15 }, (_, doubling) => 5e7 * 2 ** doubling).concat(1e12);

/** Stands for "no model" in labels, also where a request named one that does not exist: user text never becomes a label. */
export const NO_MODEL = 'none';

export type Stage = 'queue' | 'decode' | 'preprocess' | 'inference' | 'postprocess' | 'encode';

/** What each label says; docs/reference/metrics.md is written from this and from the metrics themselves. */
export const LABELS: Readonly<Record<string, string>> = {
  route: `Path as the server knows it (\`/v1/models/:model\`), or \`${NO_MODEL}\` where it knows none.`,
  model: `A model that the server has, or \`${NO_MODEL}\`.`,
  precision: `\`fp32\` or \`int8\`, or \`${NO_MODEL}\` where no network ran.`,
  status: 'HTTP status; `499` where the client left before its answer.',
  stage:
    '`queue` (waiting for a worker), `decode`, `preprocess`, `inference`, `postprocess`, and `encode` (the answer).',
  reason:
    'Of requests, a code of [errors.md](errors.md). Of workers, `crash` or `hang`. Of fp32 in place of int8, `not_quantized`, `provider`, `cpu`, `accuracy` or `check`.',
};

/** The server's metrics, all in one registry of its own. */
export class Metrics {
  readonly registry = new Registry();
  readonly requestDuration;
  readonly requestMadds;
  readonly stageDuration;
  readonly images;
  readonly rejected;
  readonly workerRestarts;
  readonly modelMadds;
  readonly modelParameters;
  readonly modelLoadSeconds;
  readonly precisionFallback;
  readonly queueDepth;
  readonly inFlight;

  /**
   * @param queueDepth read at each scrape
   * @param rejections the codes that requests can be rejected with, so that each is there from the start, at 0
   */
  constructor(queueDepth: () => number, rejections: readonly string[]) {
    const registers = [this.registry];
    collectDefaultMetrics({ register: this.registry });
    // Gauges that prom-client names like counters: promtool rejects them.
    for (const name of ['active_handles_total', 'active_requests_total', 'active_resources_total']) {
      this.registry.removeSingleMetric(`nodejs_${name}`);
    }
    this.requestDuration = new Histogram({
      name: 'thinlens_request_duration_seconds',
      help: 'Time from the headers of a request to the last byte of its answer.',
      labelNames: ['route', 'model', 'precision', 'status'] as const,
      buckets: SECONDS,
      registers,
    });
    this.requestMadds = new Histogram({
      name: 'thinlens_request_madds',
      help: 'Multiply-adds that a request took, over all of its images.',
      labelNames: ['model'] as const,
      buckets: MADDS,
      registers,
    });
    this.stageDuration = new Histogram({
      name: 'thinlens_stage_duration_seconds',
      help: 'Time that one image spent in a stage; encode is the answer of a whole request.',
      labelNames: ['model', 'precision', 'stage'] as const,
      buckets: SECONDS,
      registers,
    });
    this.images = new Counter({
      name: 'thinlens_images_total',
      help: 'Images answered.',
      labelNames: ['model'] as const,
      registers,
    });
    this.rejected = new Counter({
      name: 'thinlens_requests_rejected_total',
      help: 'Requests answered with an error, by its code.',
      labelNames: ['reason'] as const,
      registers,
    });
    this.workerRestarts = new Counter({
      name: 'thinlens_worker_restarts_total',
      help: 'Worker processes replaced because they died (crash) or had to be killed (hang).',
      labelNames: ['reason'] as const,
      registers,
    });
    this.modelMadds = new Gauge({
      name: 'thinlens_model_madds',
      help: 'Multiply-adds of one image.',
      labelNames: ['model'] as const,
      registers,
    });
    this.modelParameters = new Gauge({
      name: 'thinlens_model_parameters',
      help: 'Weights, biases and batch normalisation scales and shifts of the network.',
      labelNames: ['model'] as const,
      registers,
    });
    this.modelLoadSeconds = new Gauge({
      name: 'thinlens_model_load_seconds',
      help: 'Time that a worker took to read or compile the model and run it once.',
      labelNames: ['model', 'precision'] as const,
      registers,
    });
    this.precisionFallback = new Gauge({
      name: 'thinlens_model_precision_fallback',
      help: 'Whether the model runs in fp32 although int8 would be faster, by why.',
      labelNames: ['model', 'reason'] as const,
      registers,
    });
    this.inFlight = new Gauge({
      name: 'thinlens_requests_in_flight',
      help: 'Requests that are being answered.',
      registers,
    });
    this.queueDepth = new Gauge({
      name: 'thinlens_queue_depth',
      help: 'Images that wait for a worker.',
      registers,
      collect() {
        this.set(queueDepth());
      },
    });
    for (const reason of ['crash', 'hang']) this.workerRestarts.inc({ reason }, 0);
    for (const reason of rejections) this.rejected.inc({ reason }, 0);
  }
}
