import { readFile } from 'node:fs/promises';
import { cpus } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import Table from 'cli-table3';
import { Command, Option } from 'commander';
import { usableCpus } from '../inference/cpus.ts';
import { Detector } from '../inference/detector.ts';
import { Int8CheckError } from '../inference/int8_check.ts';
import { counted } from '../inference/profiles.ts';
import type { StageTimes } from '../inference/protocol.ts';
import { answerSegment } from '../inference/segment_answer.ts';
import { Segmenter } from '../inference/segmenter.ts';
import { version } from '../package.ts';
import type { Settings } from '../settings.ts';
import { readSettings } from '../settings.ts';
import { costOf } from '../zoo/network.ts';
import { readQuantization } from '../zoo/quantization.ts';
import type { ModelRecord, Precision } from '../zoo/record.ts';
import { isServed, PRECISIONS } from '../zoo/record.ts';
import { records } from '../zoo/records.ts';
import { ModelStore } from '../zoo/store.ts';
import { ModelUnavailableError } from '../zoo/weights.ts';
import { CommandError, numberBetween } from './arguments.ts';
import type { Summary } from './bench_summary.ts';
import { median, summarize } from './bench_summary.ts';
import { namedRecord } from './open_model.ts';
import { photosIn } from './photo_folder.ts';
import { startProgress } from './progress.ts';

/** The package's own, seen from dist/server/commands/. */
const SAMPLES = fileURLToPath(new URL('../../../samples/', import.meta.url));

/** What a photo's time is told in, in the order of the work. */
const STAGES = ['decode', 'preprocess', 'inference', 'postprocess'] as const;

interface Options {
  readonly model?: readonly string[];
  readonly images: string;
  readonly precision?: readonly Precision[];
  readonly threads?: number;
  readonly rounds: number;
  readonly json?: boolean;
}

/** `thinlens bench`: how long photos take, without a server. */
export function benchCommand(): Command {
  return new Command('bench')
    .description(
      'Time photos by stage, in this process and without HTTP: a photo at a time, each through every model in turn. All models that are there, in every precision that they have, unless said otherwise.',
    )
    .option('--model <name...>', 'models to time')
    .option('--images <dir>', 'folder of photos (default: the samples that come with thinlens)', SAMPLES)
    .addOption(
      new Option(
        '--precision <precision...>',
        'precisions to time (default: THINLENS_PRECISION where it names one, else all)',
      ).choices(PRECISIONS),
    )
    .option(
      '--threads <n>',
      "threads of one inference, no more than there are CPUs (default: serve's, by THINLENS_THREADS or THINLENS_PROFILE)",
      numberBetween('--threads', 1, 256, true),
    )
    .option(
      '--rounds <n>',
      'times that each photo is looked at, after a first that does not count',
      numberBetween('--rounds', 1, 1000, true),
      5,
    )
    .option('--json', 'print one JSON object')
    .action(bench);
}

/** One photo through one model. */
interface Lap {
  readonly times: StageTimes;
  readonly total: number;
  readonly madds: number;
}

/** A model in a precision, opened. */
interface Contestant {
  readonly record: ModelRecord;
  readonly precision: Precision;
  /** Of every photo that counts, in the order of the work. */
  readonly laps: Lap[];
  look(photo: Buffer): Promise<Omit<Lap, 'total'>>;
  close(): Promise<void>;
}

/** A model that cannot be timed in a precision, and why. */
interface Skipped {
  readonly model: string;
  readonly precision: Precision;
  readonly reason: string;
}

async function bench({ images, rounds, json, ...options }: Options): Promise<void> {
  const settings = readSettings({}, process.env);
  const { threads = settings.threads } = options;
  const usable = usableCpus();
  if (threads > usable) {
    throw new CommandError(
      `--threads ${threads} is more than the ${counted(usable, 'CPU')} that this process may use`,
    );
  }
  const names = await photosIn(images);
  const photos = await Promise.all(names.map((name) => readFile(join(images, name))));
  const { contestants, skipped } = await openAll({ ...options, threads }, settings);
  for (const { model, precision, reason } of skipped)
    console.error(`thinlens: ${model} in ${precision} is not timed: ${reason}`);
  if (contestants.length === 0) throw new CommandError('there is no model to time');
  const progress = startProgress((rounds + 1) * photos.length * contestants.length);
  try {
    for (let round = 0; round <= rounds; round++) {
      // Models take turns at each photo: whatever else the machine is doing, it does to all of them.
      for (const [at, photo] of photos.entries()) {
        for (const { look, laps } of contestants) {
          const started = performance.now();
          const lap = await look(photo).catch((error: Error) => {
            throw new CommandError(`${join(images, names[at] ?? '')}: ${error.message}`);
          });
          if (round > 0) laps.push({ ...lap, total: performance.now() - started });
          progress.advance();
        }
      }
    }
  } finally {
    progress.stop();
    for (const contestant of contestants) await contestant.close();
  }
  const models = contestants.map(describe);
  const { executionProvider } = settings;
  const setup = {
    date: new Date().toISOString().slice(0, 10),
    thinlens: version,
    cpu: cpus()[0]?.model ?? 'unknown',
    cpus: usable,
    node: process.version,
  };
  if (json) {
    const report = { ...setup, threads, executionProvider, rounds, photos: names, models, skipped };
    console.log(JSON.stringify(report, null, 2));
    return;
  }
  console.log(
    `thinlens ${version}, ${setup.date}; ${setup.cpu}, ${setup.cpus} CPUs usable, Node ${setup.node}, threads ${threads}, ${executionProvider}; ${names.length} photos, ${rounds} rounds`,
  );
  print(models);
}

/**
 * Opens what is to be timed.
 * @throws CommandError, ModelUnavailableError or the error of opening, where what was named is not to be had
 */
async function openAll(
  { model, precision, threads }: Pick<Options, 'model' | 'precision'> & { readonly threads: number },
  settings: Settings,
) {
  const { home, executionProvider, maxImagePixels: maxPixels } = settings;
  const asked = precision ?? (settings.precision === 'auto' ? undefined : [settings.precision]);
  const store = new ModelStore(home);
  const wanted = model
    ? [...new Set(model)].map((name) => namedRecord(name, home))
    : records(home).filter(isServed);
  const unserved = wanted.find((record) => !isServed(record));
  if (unserved)
    throw new CommandError(
      `${unserved.name} is for ${unserved.task}: only detection and segmentation are timed`,
    );
  const contestants: Contestant[] = [];
  const skipped: Skipped[] = [];
  for (const record of wanted) {
    for (const each of asked ?? PRECISIONS) {
      try {
        // Nobody asked for int8 of what was never quantised: that is no news.
        if (!asked && each === 'int8' && !(await readQuantization(record, home))) continue;
        const how = { threads, executionProvider, precision: each };
        contestants.push(await open(record, store, how, { maxPixels }));
      } catch (error) {
        const expected = error instanceof ModelUnavailableError || error instanceof Int8CheckError;
        if (!expected || model) throw error;
        skipped.push({ model: record.name, precision: each, reason: error.message });
      }
    }
  }
  return { contestants, skipped };
}

/** Opens a model to do with a photo what the server does: find boxes, or the mask of every class. */
async function open(
  record: ModelRecord,
  store: ModelStore,
  how: Parameters<typeof Detector.open>[2] & { readonly precision: Precision },
  limits: { readonly maxPixels: number },
): Promise<Contestant> {
  const common = { record, precision: how.precision, laps: [] };
  if (record.task === 'detection') {
    const detector = await Detector.open(record, store, how);
    const { madds } = costOf(record);
    const options = { scoreThreshold: 0.3, iouThreshold: 0.6, maxDetections: 100, agnosticNms: false };
    return {
      ...common,
      look: async (bytes) => {
        const { times } = await detector.detect({ kind: 'encoded', bytes }, options, limits);
        return { times, madds };
      },
      close: () => detector.close(),
    };
  }
  const segmenter = await Segmenter.open(record, store, how);
  const form = { kind: 'json', masks: 'rle', tolerance: 0, confidence: false } as const;
  return {
    ...common,
    look: async (bytes) => {
      const options = { form, multiScale: false, flip: false };
      const { times, madds } = await answerSegment(segmenter, bytes, options, limits);
      const { encode = 0, postprocess, ...others } = times;
      return { times: { ...others, postprocess: postprocess + encode }, madds };
    },
    close: () => segmenter.close(),
  };
}

/** What is said of one model in one precision. */
interface Result {
  readonly model: string;
  readonly precision: Precision;
  /** Multiply-adds of a photo, the mean: a segmentation network's depend on its proportions. */
  readonly madds: number;
  /** Median of each photo's MAdds over its inference's time, in 10^9 a second. */
  readonly gmadds_per_second: number;
  readonly stages: Readonly<Record<(typeof STAGES)[number] | 'total', Summary>>;
}

function describe({ record, precision, laps }: Contestant): Result {
  const stage = (name: (typeof STAGES)[number]) => summarize(laps.map(({ times }) => times[name]));
  return {
    model: record.name,
    precision,
    madds: Math.round(laps.reduce((sum, { madds }) => sum + madds, 0) / laps.length),
    gmadds_per_second: Number(
      median(laps.map(({ madds, times }) => madds / times.inference / 1e6)).toPrecision(4),
    ),
    stages: {
      decode: stage('decode'),
      preprocess: stage('preprocess'),
      inference: stage('inference'),
      postprocess: stage('postprocess'),
      total: summarize(laps.map(({ total }) => total)),
    },
  };
}

function print(results: readonly Result[]): void {
  const head = ['model', 'precision', ...STAGES, 'total', 'MAdds', 'GMAdds/s'];
  const table = new Table({
    head,
    colAligns: head.map((_, column) => (column < 2 ? 'left' : 'right')),
    style: { head: [], border: [], compact: true },
  });
  const cell = ({ median_ms, p95_ms }: Summary) => `${median_ms.toFixed(1)} / ${p95_ms.toFixed(1)}`;
  for (const { model, precision, madds, gmadds_per_second, stages } of results) {
    table.push([
      model,
      precision,
      ...STAGES.map((name) => cell(stages[name])),
      cell(stages.total),
      `${(madds / 1e6).toFixed(1)} M`,
      gmadds_per_second.toFixed(1),
    ]);
  }
  console.log(table.toString());
  console.log('Stages are median / 95th percentile in milliseconds.');
}
