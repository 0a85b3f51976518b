import { readdirSync, readFileSync } from 'node:fs';

/** Kernel clock ticks a second, as /proc counts: 100 on every Linux that Node runs on. */
const TICKS = 100;

interface Stat {
  readonly parent: number;
  readonly seconds: number;
}

function statOf(pid: number): Stat | undefined {
  try {
    // The command's name is in parentheses and may hold anything; what follows the last one is fields 3 and up.
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1)?.split(' ') ?? [];
    return { parent: Number(fields[1]), seconds: (Number(fields[11]) + Number(fields[12])) / TICKS };
  } catch {
    return undefined;
  }
}

/** Process ids of `root` and all its descendants. */
export function processTree(root: number): number[] {
  const stats = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map((name) => ({ pid: Number(name), stat: statOf(Number(name)) }));
  const tree = [root];
  for (const member of tree) {
    tree.push(...stats.filter(({ stat }) => stat?.parent === member).map(({ pid }) => pid));
  }
  return tree;
}

/** CPU seconds that `root` and its living descendants have used. */
export function cpuSeconds(root: number): number {
  return processTree(root).reduce((sum, pid) => sum + cpuSecondsOf(pid), 0);
}

/** CPU seconds that one process has used; 0 where it is gone. */
export const cpuSecondsOf = (pid: number): number => statOf(pid)?.seconds ?? 0;

/** Memory of one process, in bytes. */
export interface ProcessMemory {
  readonly pid: number;
  /** Resident now. */
  readonly rss: number;
  /** Resident, each page divided by the processes that share it. */
  readonly pss: number;
  /** Resident and of no file: heaps and stacks. */
  readonly anonymous: number;
  /** The most that was ever resident. */
  readonly peakRss: number;
}

/** @returns undefined where the process is gone */
export function memoryOf(pid: number): ProcessMemory | undefined {
  try {
    const rollup = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8');
    const status = readFileSync(`/proc/${pid}/status`, 'utf8');
    return {
      pid,
      rss: kilobytes(rollup, 'Rss'),
      pss: kilobytes(rollup, 'Pss'),
      anonymous: kilobytes(rollup, 'Anonymous'),
      peakRss: kilobytes(status, 'VmHWM'),
    };
  } catch {
    return undefined;
  }
}

const kilobytes = (text: string, field: string) =>
  Number(new RegExp(`^${field}:\\s+(\\d+) kB`, 'm').exec(text)?.[1] ?? 0) * 1024;

/** Memory of each process of the tree. */
export const treeMemory = (root: number): ProcessMemory[] =>
  processTree(root).flatMap((pid) => memoryOf(pid) ?? []);

/** Memory of processes that belong together, in bytes. */
export interface GroupMemory {
  /** The most that each ever had resident, added up: what they share is counted more than once. */
  readonly peakRss: number;
  /**
   * Now, shared pages once: what is of no file, of each, and the files' pages of the one that has most of them. (PSS would
   * divide the pages of Node and of the libraries by all that use them on this machine, the other contestants among them.)
   */
  readonly sharedOnce: number;
}

export function groupMemory(processes: readonly ProcessMemory[]): GroupMemory {
  const sum = (of: (process: ProcessMemory) => number) =>
    processes.reduce((total, process) => total + of(process), 0);
  return {
    peakRss: sum(({ peakRss }) => peakRss),
    sharedOnce:
      sum(({ anonymous }) => anonymous) +
      Math.max(0, ...processes.map(({ rss, anonymous }) => rss - anonymous)),
  };
}
