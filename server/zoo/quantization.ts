import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Calibrated } from '../../models/graph/quantization/calibrated.ts';
import { readCalibrated } from '../../models/graph/quantization/calibrated.ts';
import { planQuantization } from '../../models/graph/quantization/plan.ts';
import { QUANTIZATION_FORMAT } from './file_schemas.ts';
import { makeFolder, quantizedFolder, sha256Of, sweep, writeAtomically } from './files.ts';
import { loweredGraph } from './network.ts';
import type { ModelRecord } from './record.ts';
import { checkFile } from './validators.ts';

/** What a model is made int8 from, and what came of it where that was done. */
export interface Quantization {
  /** SHA-256 of the weights that it was calibrated with, as the record's source has it. */
  readonly weights: string;
  /** How ranges were chosen, in words. */
  readonly estimator: string;
  /** Photos that it was calibrated on. */
  readonly images: number;
  readonly calibrated: Calibrated;
  /** What int8 finds measured against what single precision finds, on photos that were not calibrated on. */
  readonly agreement: {
    readonly metric: 'AP' | 'mIoU';
    /** A fraction. */
    readonly value: number;
    readonly images: number;
  };
  /** By output: what int8 makes of the reference picture, as `sampleOutputs` samples it. */
  readonly reference: ReadonlyMap<string, readonly number[]>;
}

/** A quantisation and where it was found. */
export interface KeptQuantization {
  readonly quantization: Quantization;
  /** Of the file's bytes. */
  readonly sha256: string;
  readonly origin: 'package' | 'store';
}

/** A file of quantisation data that cannot be used. The message names it, what is wrong with it, and the remedy. */
export class QuantizationError extends Error {
  override readonly name = 'QuantizationError';
}

/** The package's own, seen from dist/server/zoo/. */
const PACKAGE_WEIGHTS = fileURLToPath(new URL('../../../weights/', import.meta.url));

/** A file's content, as the schema in file_schemas.ts has it. */
interface QuantizationFile {
  readonly format: number;
  readonly model: string;
  readonly weights: string;
  readonly estimator: string;
  readonly images: number;
  readonly agreement: Quantization['agreement'];
  readonly ranges: unknown;
  readonly means: unknown;
  readonly reference: Readonly<Record<string, readonly number[]>>;
}

/** Where the store keeps what `thinlens quantize` made for the model called `name`. */
export const quantizationPath = (home: string, name: string): string =>
  join(quantizedFolder(home), `${name}.json`);

/**
 * What int8 of a model is made from: the store's, else what comes with the package.
 * @param note is told, in a sentence, of a file that was made for other weights and is passed over
 * @returns undefined where the model was never quantised
 * @throws QuantizationError where a file is damaged, the file system's error where it is there and cannot be read
 */
export async function readQuantization(
  record: ModelRecord,
  home: string,
  note: (sentence: string) => void = () => {},
): Promise<KeptQuantization | undefined> {
  const { name } = record;
  const again = `run thinlens quantize ${name} again`;
  const own = quantizationPath(home, name);
  const kept = await readIfThere(own);
  if (kept) {
    const quantization = parseOr(own, again, kept, record);
    if (quantization.weights === record.source.sha256)
      return { quantization, sha256: sha256Of(kept), origin: 'store' };
    note(`${own} was made for other weights than ${name} has now, and is passed over: ${again}`);
  }
  if (record.source.kind === 'imported') return undefined;
  const path = join(PACKAGE_WEIGHTS, `${name}.int8.json`);
  const shipped = await readIfThere(path);
  if (!shipped) return undefined;
  const remedy = 'install this package again';
  const quantization = parseOr(path, remedy, shipped, record);
  if (quantization.weights !== record.source.sha256) {
    throw new QuantizationError(`${path} was made for other weights than ${name} has: ${remedy}`);
  }
  return { quantization, sha256: sha256Of(shipped), origin: 'package' };
}

async function readIfThere(path: string): Promise<Buffer | undefined> {
  try {
    return await readFile(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

/** What was read last of each record's: choosing a precision and compiling both ask for it. */
const parsed = new WeakMap<ModelRecord, { readonly bytes: Buffer; readonly quantization: Quantization }>();

function parseOr(path: string, remedy: string, bytes: Buffer, record: ModelRecord): Quantization {
  const known = parsed.get(record);
  if (known?.bytes.equals(bytes)) return known.quantization;
  try {
    const quantization = parseQuantization(bytes.toString('utf8'), record);
    parsed.set(record, { bytes, quantization });
    return quantization;
  } catch (error) {
    throw new QuantizationError(`${path} cannot be used: ${(error as Error).message}; ${remedy}`);
  }
}

/**
 * Reads what `quantizationText` wrote.
 * @returns where it was made for other weights than `record` has, what it says without having been compared with the network
 * @throws Error that says what is wrong with it
 */
export function parseQuantization(text: string, record: ModelRecord): Quantization {
  const value: unknown = JSON.parse(text);
  checkFile('quantization', value);
  const {
    format: _format,
    model,
    weights,
    ranges,
    means,
    reference: samples,
    ...rest
  } = value as QuantizationFile;
  if (model !== record.name) throw new Error(`it is of '${model}'`);
  const reference = new Map(Object.entries(samples));
  if (weights !== record.source.sha256) {
    return { weights, ...rest, calibrated: { ranges: new Map(), means: new Map() }, reference };
  }
  const graph = loweredGraph(record);
  const calibrated = readCalibrated({ ranges, means }, planQuantization(graph));
  const wanted = graph.outputs.map(({ name }) => name).sort();
  if ([...reference.keys()].sort().join() !== wanted.join())
    throw new Error(
      `its reference is of ${[...reference.keys()].join(', ') || 'nothing'}, and must be of ${wanted.join(', ')}`,
    );
  return { weights, ...rest, calibrated, reference };
}

const RANGE_DIGITS = 6;
/** They correct biases: an error of 0.1 % of what is a correction goes nowhere. */
const MEAN_DIGITS = 3;
const short = (digits: number) => (x: number) => Number(x.toPrecision(digits));

/** With the digits that a file keeps: what is measured must be what will be read. */
export function rounded({ ranges, means }: Calibrated): Calibrated {
  const end = short(RANGE_DIGITS);
  return {
    ranges: new Map([...ranges].map(([name, [low, high]]) => [name, [end(low), end(high)] as const])),
    means: new Map([...means].map(([name, each]) => [name, each.map(short(MEAN_DIGITS))])),
  };
}

/** The file's text: JSON, one line a value, so that versions can be compared. */
export function quantizationText(name: string, quantization: Quantization): string {
  const { weights, estimator, images, agreement, calibrated, reference } = quantization;
  const { ranges, means } = rounded(calibrated);
  const samples = new Map([...reference].map(([output, each]) => [output, each.map(short(RANGE_DIGITS))]));
  const lines = (values: ReadonlyMap<string, unknown>) =>
    values.size === 0
      ? '{}'
      : `{\n${[...values].map(([key, value]) => `    ${JSON.stringify(key)}: ${JSON.stringify(value)}`).join(',\n')}\n  }`;
  const fields = [
    ...Object.entries({ format: QUANTIZATION_FORMAT, model: name, weights, estimator, images }).map(
      ([key, value]) => [key, JSON.stringify(value)] as const,
    ),
    ['agreement', JSON.stringify({ ...agreement, value: Number(agreement.value.toFixed(4)) })] as const,
    ['ranges', lines(ranges)] as const,
    ['means', lines(means)] as const,
    ['reference', lines(samples)] as const,
  ];
  return `{\n${fields.map(([key, value]) => `  "${key}": ${value}`).join(',\n')}\n}\n`;
}

/**
 * Writes what a model is made int8 from, whole or not at all.
 * @param path of the file; its folder is made where there is none
 * @throws Error that says what no reader would take, or the file system's
 */
export async function writeQuantization(
  path: string,
  record: ModelRecord,
  quantization: Quantization,
): Promise<void> {
  const text = quantizationText(record.name, quantization);
  parseQuantization(text, record);
  await makeFolder(dirname(path));
  await sweep(dirname(path));
  await writeAtomically(path, Buffer.from(text));
}
