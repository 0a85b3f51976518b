/** What the CPUs are used for: many photos at a time, or each photo sooner. */
export const PROFILES = ['throughput', 'latency'] as const;
export type Profile = (typeof PROFILES)[number];

/** How the CPUs are shared out. */
export interface Crew {
  /** Processes, each at one photo at a time. */
  readonly workers: number;
  /** Threads of one inference. */
  readonly threads: number;
}

/**
 * Threads of one inference beyond which more gain little: by Amdahl's law and the share that two threads leave (a network of
 * 12 ms takes 6.5), eight would spare 1.5 ms of what four take, in a photo whose decoding, on one thread, takes more than that.
 */
const MOST_THREADS = 4;

/**
 * Shares `cpus` out as `profile` says. What is given stays, and the rest follows from it.
 *  - throughput: one thread each, and as many workers as CPUs: a photo costs least CPU on one thread.
 *  - latency: as near to four threads each as it comes out, on as many workers as there are CPUs for: 2 CPUs are 1 x 2,
 *    6 are 2 x 3, 8 are 2 x 4.
 * @returns at least one of each; more than the CPUs only where what is given is
 */
export function shareCpus(profile: Profile, cpus: number, given: Partial<Crew> = {}): Crew {
  const fitting = (each: number) => Math.max(1, Math.floor(cpus / each));
  if (given.threads !== undefined || profile === 'throughput') {
    const threads = given.threads ?? 1;
    return { workers: given.workers ?? fitting(threads), threads };
  }
  const workers = given.workers ?? Math.max(1, Math.round(cpus / MOST_THREADS));
  return { workers, threads: Math.min(MOST_THREADS, fitting(workers)) };
}

/** Ways to share out `cpus` that keep one of a crew's two numbers, in words. */
export function fittingCrews({ workers, threads }: Crew, cpus: number): string {
  const crews = [
    ...(threads <= cpus ? [{ workers: Math.floor(cpus / threads), threads }] : []),
    ...(workers <= cpus ? [{ workers, threads: Math.floor(cpus / workers) }] : []),
  ];
  return (crews.length > 0 ? crews : [{ workers: cpus, threads: 1 }])
    .map((crew) => `${counted(crew.workers, 'worker')} of ${counted(crew.threads, 'thread')}`)
    .join(' or ');
}

export const counted = (count: number, what: string) => `${count} ${what}${count === 1 ? '' : 's'}`;
