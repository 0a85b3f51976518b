import { constants } from 'node:fs';
import { access, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import Table from 'cli-table3';
import { Command, Option } from 'commander';
import type { Calibrated } from '../../models/graph/quantization/calibrated.ts';
import type { RangeEstimator } from '../../models/graph/quantization/estimators.ts';
import { leastSquares, minMax, percentile } from '../../models/graph/quantization/estimators.ts';
import type { Agreement } from '../inference/agreement.ts';
import { agreementOf } from '../inference/agreement.ts';
import { calibrate } from '../inference/calibrate.ts';
import { compareCpuTime } from '../inference/cpu_time.ts';
import { NoiseMeter } from '../inference/noise_meter.ts';
import type { PhotoInput } from '../inference/photo_input.ts';
import { photoInput } from '../inference/photo_input.ts';
import { LEAST_AGREEMENT } from '../inference/precision.ts';
import { referencePicture, sampleOutputs } from '../inference/reference_picture.ts';
import { ImageSession } from '../inference/session.ts';
import { readSettings } from '../settings.ts';
import { compile } from '../zoo/compile.ts';
import { makeFolder } from '../zoo/files.ts';
import { servedSize } from '../zoo/network.ts';
import { quantizationPath, rounded, writeQuantization } from '../zoo/quantization.ts';
import type { ModelRecord } from '../zoo/record.ts';
import { isServed } from '../zoo/record.ts';
import { records } from '../zoo/records.ts';
import { ModelStore } from '../zoo/store.ts';
import { loadWeights } from '../zoo/weights.ts';
import { CommandError, numberBetween } from './arguments.ts';
import { naming, readFrom } from './dataset.ts';
import { namedRecord } from './open_model.ts';
import { photosIn } from './photo_folder.ts';
import { startProgress } from './progress.ts';

const BEST = 'best';
const ESTIMATORS: Readonly<Record<string, RangeEstimator>> = {
  'min-max': minMax,
  'percentile-99.9': percentile(99.9),
  'percentile-99.99': percentile(99.99),
  'least-squares': leastSquares,
};
/** One photo in so many is held out. */
const HELD_OUT = 5;
/** So that eight are calibrated on. */
const FEWEST_PHOTOS = 10;
const MOST_PHOTOS = 100_000;
const ENOUGH_PHOTOS = 300;
const TIMED_ROUNDS = 20;

interface Options {
  readonly images: string;
  readonly limit: number;
  readonly estimator: string;
  readonly out?: string;
  readonly json?: boolean;
}

/** `thinlens quantize MODEL`: what a model is made int8 from, out of photos. */
export function quantizeCommand(): Command {
  return new Command('quantize')
    .description(
      'Calibrate a model on photos, so that it can be served in int8, and say what that costs and brings.',
    )
    .argument('<model>', 'a detection or segmentation model, catalogued or imported')
    .requiredOption(
      '--images <dir>',
      'folder of photos like those that it is for; nothing has to be annotated. One in five is held out, to measure on',
    )
    .option(
      '--limit <n>',
      'use so many of them, evenly spread by name',
      numberBetween('--limit', FEWEST_PHOTOS, MOST_PHOTOS, true),
      ENOUGH_PHOTOS,
    )
    .addOption(
      new Option('--estimator <name>', 'how ranges are chosen; best tries all')
        .choices([BEST, ...Object.keys(ESTIMATORS)])
        .default(BEST),
    )
    .option('--out <file>', 'write to this file instead of the store')
    .option('--json', 'print one JSON object')
    .action(run);
}

async function run(model: string, options: Options): Promise<void> {
  const { home, threads, maxImagePixels: maxPixels } = readSettings({}, process.env);
  const record = servedRecord(model, home);
  const path = options.out ?? quantizationPath(home, model);
  const photos = spread(await photosIn(options.images), options.limit);
  if (photos.length < FEWEST_PHOTOS) {
    throw new CommandError(
      `${options.images} holds ${photos.length} photos, and calibration needs ${FEWEST_PHOTOS} at least; a few hundred are better`,
    );
  }
  await checkWritable(path);
  const weights = await loadWeights(record, home);
  const store = new ModelStore(home);
  const { onnx: fp32 } = await store.compiled(record);

  const isHeldOut = (_: string, at: number) => at % HELD_OUT === HELD_OUT - 1;
  const heldOut = photos.filter(isHeldOut);
  const calibratedOn = photos.filter((name, at) => !isHeldOut(name, at));
  const progress = startProgress(photos.length);
  async function* decoded(names: readonly string[]): AsyncGenerator<PhotoInput> {
    for (const name of names) {
      const bytes = await readFrom(options.images, name);
      yield await naming(options.images, name, () => photoInput(bytes, record, { maxPixels }));
      progress.advance();
    }
  }
  const sessions: ImageSession[] = [];
  const open = async (onnx: Uint8Array) => {
    const session = await ImageSession.open(onnx, { threads, manySizes: record.task === 'segmentation' });
    sessions.push(session);
    return session;
  };
  try {
    const calibration = await calibrate(record, weights, decoded(calibratedOn), { threads });
    const exact = await open(fp32);
    const trials: Trial[] = [];
    for (const [estimator, estimate] of Object.entries(ESTIMATORS)) {
      if (options.estimator !== BEST && options.estimator !== estimator) continue;
      const calibrated = rounded(calibration.calibrated(estimate));
      const onnx = compile(record, weights, calibrated);
      const session = await open(onnx);
      const meters = { agreement: agreementOf(record), noise: new NoiseMeter() };
      trials.push({ estimator, calibrated, onnx, session, ...meters });
    }
    await measure(trials, exact, decoded(heldOut));
    progress.stop();
    const [best, ...others] = trials
      .map(resultOf)
      .sort((a, b) => b.value - a.value || b.decibels - a.decibels);
    if (!best) throw new Error(`there is no estimator '${options.estimator}'`);

    const size = servedSize(record);
    const outputs = await best.session.run(referencePicture(size), size);
    const { metric } = best.agreement;
    await writeQuantization(path, record, {
      weights: record.source.sha256,
      estimator: inWords(best.estimator),
      images: calibratedOn.length,
      calibrated: best.calibrated,
      agreement: { metric, value: best.value, images: heldOut.length },
      reference: sampleOutputs(outputs),
    });
    if (options.out === undefined) await store.forgetInt8(model);
    report(
      {
        model,
        images: { calibrated_on: calibratedOn.length, held_out: heldOut.length },
        metric,
        estimators: [best, ...others].map(({ estimator, value, decibels }) => ({
          estimator,
          agreement: value,
          signal_to_noise_db: decibels,
        })),
        ...(await gain(record, fp32, best.onnx)),
        kept: path,
      },
      options,
    );
  } finally {
    progress.stop();
    for (const session of sessions) await session.close();
  }
}

/** One way to choose ranges, and what it is measured by. */
interface Trial {
  readonly estimator: string;
  readonly calibrated: Calibrated;
  readonly onnx: Uint8Array;
  readonly session: ImageSession;
  readonly agreement: Agreement;
  readonly noise: NoiseMeter;
}

async function measure(
  trials: readonly Trial[],
  exact: ImageSession,
  photos: AsyncIterable<PhotoInput>,
): Promise<void> {
  for await (const photo of photos) {
    const reference = await exact.run(photo.pixels, photo.size);
    for (const { session, agreement, noise } of trials) {
      const actual = await session.run(photo.pixels, photo.size);
      agreement.add(actual, reference, photo);
      noise.add(new Map(Object.entries(actual)), new Map(Object.entries(reference)));
    }
  }
}

function resultOf(trial: Trial): Trial & { readonly value: number; readonly decibels: number } {
  const value = trial.agreement.value();
  if (value === undefined) {
    throw new CommandError(
      'nothing was found in the photos that were held out, so that int8 cannot be measured: give photos, or more of them, of what the model finds',
    );
  }
  return { ...trial, value, decibels: trial.noise.decibels };
}

/** What both forms take, of bytes and of CPU time on one thread. */
async function gain(record: ModelRecord, fp32: Uint8Array, int8: Uint8Array) {
  const size = servedSize(record);
  const pixels = referencePicture(size);
  const manySizes = record.task === 'segmentation';
  const sessions = await Promise.all(
    [fp32, int8].map((onnx) => ImageSession.open(onnx, { threads: 1, manySizes })),
  );
  const [before, after] = sessions as [ImageSession, ImageSession];
  const times = await compareCpuTime(
    () => before.run(pixels, size),
    () => after.run(pixels, size),
    TIMED_ROUNDS,
  );
  for (const session of sessions) await session.close();
  return {
    fp32: { bytes: fp32.length, cpu_ms: times.first },
    int8: { bytes: int8.length, cpu_ms: times.second },
    speed_ratio: times.ratio,
  };
}

interface Result {
  readonly model: string;
  readonly images: { readonly calibrated_on: number; readonly held_out: number };
  readonly metric: Agreement['metric'];
  /** Best first. */
  readonly estimators: readonly {
    readonly estimator: string;
    readonly agreement: number;
    readonly signal_to_noise_db: number;
  }[];
  readonly fp32: { readonly bytes: number; readonly cpu_ms: number };
  readonly int8: { readonly bytes: number; readonly cpu_ms: number };
  readonly speed_ratio: number;
  /** File that it was written to. */
  readonly kept: string;
}

function report(result: Result, { out, json }: Options): void {
  if (json) {
    console.log(JSON.stringify(result, null, 2));
    return;
  }
  const { model, images, metric, estimators, fp32, int8, speed_ratio, kept } = result;
  console.log(
    `${model}: calibrated on ${images.calibrated_on} photos; int8 measured against fp32's own results on ${images.held_out} others`,
  );
  const table = new Table({
    head: ['estimator', `agreement (${metric})`, 'signal to noise'],
    colAligns: ['left', 'right', 'right'],
    style: { head: [], border: [], compact: true },
  });
  for (const { estimator, agreement, signal_to_noise_db } of estimators)
    table.push([estimator, agreement.toFixed(4), `${signal_to_noise_db.toFixed(1)} dB`]);
  console.log(table.toString());
  const form = ({ bytes, cpu_ms }: Result['fp32']) =>
    `${(bytes / 1e6).toFixed(1)} MB, ${cpu_ms.toFixed(1)} ms`;
  console.log(
    `fp32 ${form(fp32)}; int8 ${form(int8)} of CPU time a photo on one thread: ${speed_ratio.toFixed(2)} times as fast`,
  );
  if (out !== undefined) {
    console.log(`written to ${kept}`);
    return;
  }
  const least = LEAST_AGREEMENT[metric];
  const isSound = (estimators[0]?.agreement ?? 0) >= least;
  console.log(
    isSound
      ? `kept in ${kept}: servers that start from now on can run ${model} in int8`
      : `kept in ${kept}, and used where --precision int8 asks for it: of itself a server takes int8 from an agreement of ${least} on; more photos may help`,
  );
}

const inWords = (estimator: string) => estimator.replace(/-(?=\d)/, ' ').replace('least-', 'least ');

/** @throws CommandError naming the models that there are, or those that are served */
function servedRecord(name: string, home: string): ModelRecord {
  const record = namedRecord(name, home);
  if (isServed(record)) return record;
  const fitting = records(home).filter(isServed);
  throw new CommandError(
    `${name} is for ${record.task}, and only models for detection and segmentation are quantised: ${fitting.map((each) => each.name).join(', ')}`,
  );
}

/** `most` of the names, evenly spread. */
function spread(names: readonly string[], most: number): string[] {
  const count = Math.min(most, names.length);
  return Array.from({ length: count }, (_, at) => names[Math.floor((at * names.length) / count)] as string);
}

/** Told before the work, not after it. @throws CommandError where the file cannot be written */
async function checkWritable(path: string): Promise<void> {
  const info = await stat(path).catch(() => undefined);
  if (info?.isDirectory()) throw new CommandError(`${path} is a folder, and must be a file`);
  try {
    await makeFolder(dirname(path));
    await access(dirname(path), constants.W_OK);
  } catch (error) {
    throw new CommandError(`${path} cannot be written: ${(error as Error).message}`);
  }
}
