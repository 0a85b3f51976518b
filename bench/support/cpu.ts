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
  return processTree(root).reduce((sum, pid) => sum + (statOf(pid)?.seconds ?? 0), 0);
}

/** Largest resident memory that each process of the tree ever had, in bytes, added up. */
export function peakMemory(root: number): number {
  return processTree(root).reduce((sum, pid) => {
    const status = readFileSync(`/proc/${pid}/status`, 'utf8');
    return sum + Number(/VmHWM:\s+(\d+) kB/.exec(status)?.[1] ?? 0) * 1024;
  }, 0);
}
