import type { Crew } from '../inference/profiles.ts';
import { counted } from '../inference/profiles.ts';
import { costOf } from '../zoo/network.ts';
import type { ModelRecord } from '../zoo/record.ts';
import type { Finding } from './finding.ts';
import { ok, problem, warning } from './finding.ts';

/** Whether `version` satisfies `range`: alternatives of ^1.2.3 and >=1.2.3, which is all that package.json says of Node. */
export function satisfies(version: string, range: string): boolean {
  const numbers = (text: string) => (text.match(/\d+/g) ?? []).slice(0, 3).map(Number);
  const have = numbers(version);
  return range.split('||').some((alternative) => {
    const least = numbers(alternative);
    const first = have.findIndex((number, at) => number !== least[at]);
    const isReached = first < 0 || (have[first] as number) > (least[first] ?? 0);
    return isReached && (!alternative.trim().startsWith('^') || have[0] === least[0]);
  });
}

/** @param range package.json's engines.node */
export function checkNode(version: string, range: string): Finding {
  return satisfies(version, range)
    ? ok('node', `Node.js ${version}`)
    : problem(
        'node',
        `Node.js ${version} is none of ${range}`,
        `Install Node.js ${range.replaceAll('||', 'or')}.`,
      );
}

/** @param products see `byteProducts` */
export function checkPlatform(
  { platform, arch }: { readonly platform: string; readonly arch: string },
  products: string | undefined,
): Finding {
  const what = `${platform} ${arch}`;
  if (platform !== 'linux' || !['x64', 'arm64'].includes(arch)) {
    return warning(
      'platform',
      `${what} is not a platform that thinlens is tested on`,
      'Run it on Linux, x64 or arm64, where you can.',
    );
  }
  return products
    ? ok('platform', `${what}; the CPU multiplies bytes fast (${products}), so int8 is worth having`)
    : warning(
        'platform',
        `${what}; the CPU has neither VNNI nor dot-product instructions, so models run in fp32`,
        'Leave --precision at auto; a CPU that has them is about twice as fast.',
      );
}

/**
 * What there is for the crew, which the settings hold to that.
 * @param usable see `usableCpus`
 * @param present that the machine has
 */
export function checkCpus(usable: number, present: number, { workers, threads }: Crew): Finding {
  const crew = `${counted(workers, 'worker')} of ${counted(threads, 'thread')}`;
  return ok(
    'cpus',
    `${usable} of the machine's ${counted(present, 'CPU')} may be used, by affinity and control group; ${crew}`,
  );
}

const MEBI = 2 ** 20;
/**
 * An estimate for fp32, on the safe side: one model with one worker took 219 MiB when it was ready, and this says 257; the six of
 * the catalog with two workers took 806 MiB, 870 under load, and this says 868. In int8 they took 544 MiB.
 */
const SERVER_MIB = 110;
const WORKER_MIB = 80;
const MODEL_MIB = 15;
/** ONNX Runtime keeps weights as they came and as its kernels want them, and the maps between layers. */
const COPIES = 3;
const FLOAT_BYTES = 4;

/** Memory that a server with these models is likely to take, in bytes. */
export function memoryNeeded(models: readonly ModelRecord[], workers: number): number {
  const each = models.reduce((sum, record) => {
    const weights = costOf(record).parametersFolded * FLOAT_BYTES;
    return sum + MODEL_MIB * MEBI + COPIES * weights;
  }, 0);
  return SERVER_MIB * MEBI + workers * (WORKER_MIB * MEBI + each);
}

export interface Memory {
  readonly total: number;
  /** The control group's limit; 0 or more than the total where there is none. */
  readonly limit: number;
  /** What can be had now without swapping. */
  readonly available: number;
}

/** All in bytes. */
export function checkMemory(
  { total, limit, available }: Memory,
  models: readonly ModelRecord[],
  workers: number,
): Finding {
  const isLimited = limit > 0 && limit < total;
  const most = isLimited ? limit : total;
  const needed = memoryNeeded(models, workers);
  const mib = (bytes: number) => `${Math.round(bytes / MEBI)} MiB`;
  const detail = `${mib(most)} (${isLimited ? "the control group's limit" : "the machine's"}), ${mib(Math.min(available, most))} of it free; ${counted(models.length, 'model')} with ${counted(workers, 'worker')} take up to about ${mib(needed)}`;
  const remedy = 'Give it more memory, or load less: fewer --workers, or only the --models that you need.';
  if (needed > most) return problem('memory', detail, remedy);
  return needed > available ? warning('memory', detail, remedy) : ok('memory', detail);
}
