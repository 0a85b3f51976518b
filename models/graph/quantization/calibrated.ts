import type { Graph } from '../graph.ts';
import { valueNamed } from '../graph.ts';
import type { QuantizationPlan } from './plan.ts';
import type { Range } from './quantizer.ts';

/** Ranges of a network's values by name. */
export type ActivationRanges = ReadonlyMap<string, Range>;

/** Mean of each channel of what convolutions read, by the name of the value. */
export type ChannelMeans = ReadonlyMap<string, readonly number[]>;

/** What has to be known of a network's values before it can be quantised. */
export interface Calibrated {
  readonly ranges: ActivationRanges;
  readonly means: ChannelMeans;
}

/** Calibration data that cannot be used. The message names the value and what is wrong with it. */
export class CalibrationError extends Error {
  override readonly name = 'CalibrationError';
}

/** `Calibrated` as it goes into a JSON file. */
export interface CalibratedJson {
  readonly ranges: Readonly<Record<string, Range>>;
  readonly means: Readonly<Record<string, readonly number[]>>;
}

/** In single precision: more digits would not be of the network. */
export function calibratedJson({ ranges, means }: Calibrated): CalibratedJson {
  const short = (x: number) => Number(Math.fround(x).toPrecision(8));
  return {
    ranges: Object.fromEntries(
      [...ranges].map(([name, [low, high]]) => [name, [short(low), short(high)] as const]),
    ),
    means: Object.fromEntries([...means].map(([name, numbers]) => [name, numbers.map(short)])),
  };
}

/**
 * Reads what `calibratedJson` wrote, for a plan of the same network.
 * @param json parsed
 * @throws CalibrationError naming what is missing, not of this network, or no range
 */
export function readCalibrated(json: unknown, plan: QuantizationPlan): Calibrated {
  const { ranges, means } = objectAt(json, 'calibration data');
  const calibrated = {
    ranges: new Map(
      Object.entries(objectAt(ranges, "'ranges'")).map(([name, range]) => [name, rangeAt(name, range)]),
    ),
    means: new Map(
      Object.entries(objectAt(means, "'means'")).map(([name, numbers]) => [name, meansAt(name, numbers)]),
    ),
  };
  checkCalibrated(calibrated, plan);
  return calibrated;
}

function objectAt(json: unknown, what: string): Record<string, unknown> {
  if (typeof json !== 'object' || json === null || Array.isArray(json)) {
    throw new CalibrationError(`${what} must be an object, not ${JSON.stringify(json)?.slice(0, 60)}`);
  }
  return json as Record<string, unknown>;
}

function rangeAt(name: string, json: unknown): Range {
  if (!Array.isArray(json) || json.length !== 2 || !json.every((x) => typeof x === 'number')) {
    throw new CalibrationError(
      `the range of '${name}' must be two numbers [low, high], not ${JSON.stringify(json)?.slice(0, 60)}`,
    );
  }
  return [json[0], json[1]];
}

function meansAt(name: string, json: unknown): readonly number[] {
  if (!Array.isArray(json) || !json.every((x) => typeof x === 'number')) {
    throw new CalibrationError(`the means of '${name}' must be an array of numbers`);
  }
  return json;
}

/** @throws CalibrationError where a value of the plan has no range, or a range or mean is none or of no value of the network */
export function checkCalibrated({ ranges, means }: Calibrated, { graph, observed }: QuantizationPlan): void {
  const missing = observed.find((name) => !ranges.has(name));
  if (missing !== undefined) throw new CalibrationError(`the range of '${missing}' is missing`);
  for (const [name, [low, high]] of ranges) {
    checkKnown(graph, name);
    if (!Number.isFinite(low) || !Number.isFinite(high)) {
      throw new CalibrationError(`the range of '${name}' must be finite, not ${low} to ${high}`);
    }
    if (low > high) throw new CalibrationError(`the range of '${name}' goes from ${low} down to ${high}`);
  }
  for (const [name, numbers] of means) {
    checkKnown(graph, name);
    const { shape } = valueNamed(graph, name);
    // Channels that were added for the integer kernels hold zeros and are not observed.
    if (numbers.length > (shape[0] ?? 0)) {
      throw new CalibrationError(`'${name}' has ${shape[0]} channels, and means for ${numbers.length}`);
    }
    if (!numbers.every(Number.isFinite)) throw new CalibrationError(`the means of '${name}' must be finite`);
  }
}

function checkKnown(graph: Graph, name: string): void {
  if (!graph.values.has(name)) {
    throw new CalibrationError(
      `'${name}' is no value of '${graph.name}': it was calibrated as another network`,
    );
  }
}
