import { statSync } from 'node:fs';
import { isIP } from 'node:net';
import { join } from 'node:path';
import envPaths from 'env-paths';
import { environmentName, isServiceLink, nearestVariables } from './environment.ts';
import { usableCpus } from './inference/cpus.ts';
import type { ExecutionProvider } from './inference/execution_providers.ts';
import { EXECUTION_PROVIDERS } from './inference/execution_providers.ts';
import type { PrecisionSetting } from './inference/precision.ts';
import type { Crew, Profile } from './inference/profiles.ts';
import { counted, fittingCrews, PROFILES, shareCpus } from './inference/profiles.ts';
import { isServed, MODEL_NAME, PRECISIONS } from './zoo/record.ts';
import { records } from './zoo/records.ts';

export { environmentName };

/** A setting that cannot be used. The message is a sentence for the person who started the server. */
export class SettingError extends Error {
  override readonly name = 'SettingError';
}

interface Setting<T> {
  /** Command-line flag; the environment variable is THINLENS_ and the same in capitals. */
  readonly flag: string;
  /** Placeholder of the value in help texts. */
  readonly value: string;
  readonly default: T;
  /** How the default is described where it depends on the machine. */
  readonly defaultText?: string;
  /** Allowed values in words. */
  readonly range: string;
  readonly effect: string;
  /** The value that `text` stands for, or undefined where it is out of range. */
  readonly parse: (text: string) => T | undefined;
}

const MEBI = 1024 * 1024;
/** Letters, digits and hyphens between dots (RFC 1123); underscores, which container networks use; not all digits, which would be a wrong address. */
const HOST_NAME =
  /^(?![\d.]+$)(?=.{1,253}$)[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)*\.?$/i;

function wholeNumber(
  flag: string,
  fallback: number,
  [low, high]: readonly [number, number],
  effect: string,
  defaultText?: string,
): Setting<number> {
  return {
    flag,
    value: 'N',
    default: fallback,
    ...(defaultText && { defaultText }),
    range: `whole number, ${low} to ${high}`,
    effect,
    parse: (text) => {
      const number = Number(text);
      return /^\d+$/.test(text) && number >= low && number <= high ? number : undefined;
    },
  };
}

/** Every setting of the server, by the name that the code uses. */
export const SETTINGS = {
  host: {
    flag: 'host',
    value: 'ADDRESS',
    default: '127.0.0.1',
    range: 'IP address or host name',
    effect: 'Address to listen on. 0.0.0.0 is every interface: put authentication in front first.',
    parse: (text) => (isIP(text) > 0 || HOST_NAME.test(text) ? text : undefined),
  } satisfies Setting<string>,
  port: wholeNumber('port', 8080, [0, 65535], 'TCP port to listen on; 0 takes a free one and logs it.'),
  home: {
    flag: 'home',
    value: 'DIR',
    default: envPaths('thinlens', { suffix: '' }).cache,
    defaultText: "thinlens in the user's cache directory",
    range: 'folder that can be written',
    effect:
      'Where models are kept: compiled/ can be deleted, what is missing is made again; imported/ and quantized/ hold what thinlens import and thinlens quantize brought.',
    parse: (text) => (text && !isNoFolder(text) ? join(text) : undefined),
  } satisfies Setting<string>,
  models: {
    flag: 'models',
    value: 'NAMES',
    default: [] as readonly string[],
    defaultText: 'every detection and segmentation model, catalogued or imported, that is there',
    range: 'names of detection and segmentation models, catalogued or imported, separated by commas',
    effect:
      'Models to load. The first for its task is used where a request names none. One that is named here and cannot be loaded stops the start.',
    parse: (text) => {
      const names = text.split(',').map((name) => name.trim());
      return names.every((name) => MODEL_NAME.test(name)) ? names : undefined;
    },
  } satisfies Setting<readonly string[]>,
  profile: {
    flag: 'profile',
    value: 'NAME',
    default: 'throughput' as Profile,
    range: 'throughput or latency',
    effect:
      'What the CPUs are used for. throughput: a worker for each, of one thread, for most photos a second. latency: fewer workers of up to four threads, for photos that come one by one.',
    parse: (text) => PROFILES.find((name) => name === text),
  } satisfies Setting<Profile>,
  workers: wholeNumber(
    'workers',
    shareCpus('throughput', usableCpus()).workers,
    [1, 256],
    'Worker processes, each working on one photo at a time. Workers times threads must not exceed the CPUs that the process may use, by its affinity mask and the CPU quota of its control group.',
    'by the profile, and as many as there are CPUs for',
  ),
  threads: wholeNumber(
    'threads',
    shareCpus('throughput', usableCpus()).threads,
    [1, 256],
    'Threads of one inference.',
    'by the profile: 1 for throughput; for latency as many as there are CPUs for, up to 4',
  ),
  precision: {
    flag: 'precision',
    value: 'PRECISION',
    default: 'auto' as PrecisionSetting,
    range: `auto, ${PRECISIONS.join(' or ')}`,
    effect:
      'Arithmetic of the networks. auto: int8 where the CPU multiplies bytes fast and the model keeps its accuracy, else fp32; requests may ask for fp32. The others pin it.',
    parse: (text) => (['auto', ...PRECISIONS] as const).find((known) => known === text),
  } satisfies Setting<PrecisionSetting>,
  executionProvider: {
    flag: 'execution-provider',
    value: 'NAME',
    default: 'cpu' as ExecutionProvider,
    range: `one of ${EXECUTION_PROVIDERS.join(', ')}`,
    effect:
      'What ONNX Runtime computes with. A build has some of these, and some need libraries or devices beside it; one that cannot be used stops the start.',
    parse: (text) => EXECUTION_PROVIDERS.find((name) => name === text),
  } satisfies Setting<ExecutionProvider>,
  maxImageBytes: wholeNumber(
    'max-image-bytes',
    20 * MEBI,
    [1024, 1024 * MEBI],
    'Largest photo in bytes, and no more than --max-request-bytes; more is answered 413.',
  ),
  maxImagePixels: wholeNumber(
    'max-image-pixels',
    50_000_000,
    [1, 268_402_689],
    'Largest photo in pixels; more is answered 413.',
  ),
  maxBatch: wholeNumber(
    'max-batch',
    16,
    [1, 1024],
    'Photos that one request may carry; more is answered 413.',
  ),
  maxRequestBytes: wholeNumber(
    'max-request-bytes',
    64 * MEBI,
    [1024, 2047 * MEBI],
    'Largest request body in bytes, over all photos of a batch; more is answered 413.',
  ),
  bodyBytes: wholeNumber(
    'body-bytes',
    512 * MEBI,
    [1024, 65536 * MEBI],
    'Bytes of request bodies, masks and pictures held at once, over all requests; beyond that 503.',
  ),
  queueImages: wholeNumber(
    'queue-images',
    64,
    [1, 100_000],
    'Photos that may wait for a worker; beyond that requests are answered 503. A single batch always fits an empty queue. Where several models are served, the last quarter of this, of --queue-bytes and of --queue-pixels is for those with no more than a quarter waiting.',
  ),
  queueBytes: wholeNumber(
    'queue-bytes',
    256 * MEBI,
    [1024, 65536 * MEBI],
    'Compressed bytes that may wait for a worker; beyond that 503.',
  ),
  queuePixels: wholeNumber(
    'queue-pixels',
    500_000_000,
    [1, 1e12],
    'Pixels, once decoded, that may wait for a worker; beyond that 503.',
  ),
  requestTimeoutMs: wholeNumber(
    'request-timeout-ms',
    30_000,
    [100, 3_600_000],
    'Time for one request, from its first byte to its answer: 408 where the body is late, 504 where the answer would be.',
  ),
  workerTimeoutMs: wholeNumber(
    'worker-timeout-ms',
    20_000,
    [100, 3_600_000],
    'A worker that is at one photo for longer is killed and replaced.',
  ),
  drainDelayMs: wholeNumber(
    'drain-delay-ms',
    0,
    [0, 600_000],
    'After SIGTERM, time in which /readyz already says no but requests are still taken, for a load balancer to notice.',
  ),
  shutdownTimeoutMs: wholeNumber(
    'shutdown-timeout-ms',
    30_000,
    [0, 600_000],
    'Time that running requests have to finish after SIGTERM.',
  ),
  logLevel: {
    flag: 'log-level',
    value: 'LEVEL',
    default: 'info',
    range: 'fatal, error, warn, info, debug, trace or silent',
    effect: 'Lowest level that is logged.',
    parse: (text) =>
      ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'].includes(text) ? text : undefined,
  } satisfies Setting<string>,
};

export type Settings = {
  readonly [Name in keyof typeof SETTINGS]: (typeof SETTINGS)[Name]['default'];
};

/** Whether there is something at `path` that is no folder, or a file where one of its parents should be. */
function isNoFolder(path: string): boolean {
  try {
    return !statSync(path).isDirectory();
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ENOTDIR';
  }
}

/**
 * Settings from flags, else the environment, else the defaults.
 * @param flags texts by setting name, as the command line gave them
 * @param cpus that the process may use
 * @throws SettingError naming the flag or variable, its value and the allowed range, or an unknown THINLENS_ variable
 */
export function readSettings(
  flags: Readonly<Partial<Record<string, string>>>,
  environment: Readonly<Record<string, string | undefined>>,
  cpus = usableCpus(),
): Settings {
  const known = new Set(Object.values(SETTINGS).map(({ flag }) => environmentName(flag)));
  const ours = new Map(
    Object.entries(environment).filter(
      (entry): entry is [string, string] =>
        entry[0].startsWith('THINLENS_') && entry[1] !== undefined && !isServiceLink(entry[0], entry[1]),
    ),
  );
  const stray = [...ours.keys()].find((name) => !known.has(name));
  if (stray) {
    const near = nearestVariables(stray, known).join(' or ');
    throw new SettingError(
      `${stray} is not a setting of thinlens${near ? `: did you mean ${near}?` : `; known are ${[...known].sort().join(', ')}`}`,
    );
  }
  /** The flags and variables that were used, by setting name. */
  const sources = new Map<string, string>();
  const entries = Object.entries(SETTINGS).map(([name, setting]): [string, unknown] => {
    const variable = environmentName(setting.flag);
    const [source, text] =
      flags[name] !== undefined ? [`--${setting.flag}`, flags[name]] : [variable, ours.get(variable)];
    if (text === undefined) return [name, setting.default];
    const value = setting.parse(text);
    if (value === undefined) throw new SettingError(`${source} is '${text}', but must be: ${setting.range}`);
    sources.set(name, source);
    return [name, value];
  });
  const read = Object.fromEntries(entries) as Settings;
  const settings = { ...read, ...crewOf(read, sources, cpus) };
  checkSizes(settings, sources);
  if (settings.models.length > 0) checkModels(settings, flags.models !== undefined);
  return settings;
}

/**
 * Workers and threads: those that were set, the others by the profile.
 * @throws SettingError where they are more than there are CPUs for: threads that take turns on a CPU make every photo slower
 */
function crewOf(settings: Settings, sources: ReadonlyMap<string, string>, cpus: number): Crew {
  const { profile } = settings;
  const given = (name: keyof Crew) => (sources.has(name) ? { [name]: settings[name] } : {});
  const crew = shareCpus(profile, cpus, { ...given('workers'), ...given('threads') });
  const total = crew.workers * crew.threads;
  if (total <= cpus) return crew;
  const [workers, threads] = (['workers', 'threads'] as const).map((name) => {
    const source = sources.get(name);
    return source
      ? `${source} ${crew[name]}`
      : `${counted(crew[name], name.slice(0, -1))} by the ${profile} profile`;
  });
  throw new SettingError(
    `${workers} and ${threads} make ${total} threads, but this process may use ${counted(cpus, 'CPU')}: right would be ${fittingCrews(crew, cpus)}`,
  );
}

/** @throws SettingError where photos are allowed to be larger than the request that they come in */
function checkSizes(
  { maxImageBytes, maxRequestBytes }: Settings,
  sources: ReadonlyMap<string, string>,
): void {
  const image = sources.get('maxImageBytes');
  // Who limits requests alone limits photos with them.
  if (image === undefined || maxImageBytes <= maxRequestBytes) return;
  const { flag } = SETTINGS.maxRequestBytes;
  const request = sources.get('maxRequestBytes') ?? `the default of --${flag} (${environmentName(flag)}),`;
  throw new SettingError(
    `${image} ${maxImageBytes} is more than ${request} ${maxRequestBytes}, and a photo is part of a request: raise the latter or lower the former`,
  );
}

/** @throws SettingError where the settings name a model that is not there, or that no route is for */
function checkModels({ models, home }: Settings, byFlag: boolean): void {
  const served = records(home).filter(isServed);
  const stray = models.find((wanted) => !served.some(({ name }) => name === wanted));
  if (stray === undefined) return;
  const { flag } = SETTINGS.models;
  throw new SettingError(
    `${byFlag ? `--${flag}` : environmentName(flag)} names '${stray}', but must be names of ${served.map(({ name }) => name).join(', ')}`,
  );
}
