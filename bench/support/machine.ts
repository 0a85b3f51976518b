import { readFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { cpuSeconds } from './process_tree.ts';

/** What was measured on. */
export interface Machine {
  readonly cpu: string;
  readonly cpus: number;
  readonly node: string;
}

export const thisMachine = (): Machine => ({
  cpu: cpus()[0]?.model ?? 'unknown',
  cpus: cpus().length,
  node: process.version,
});

/** CPU seconds that the whole machine was not idle, time stolen by its host included. */
export function busySeconds(stat: string): number {
  const [user = 0, nice = 0, system = 0, , , irq = 0, softirq = 0, steal = 0] =
    /^cpu +(.+)/m.exec(stat)?.[1]?.split(' ').map(Number) ?? [];
  return (user + nice + system + irq + softirq + steal) / 100;
}

/** Watches how much of the machine goes to work that is not the benchmark's own, which wall-clock figures suffer from. */
export class OtherWork {
  #busy = 0;
  #own = 0;
  #at = 0;

  /** From here on. */
  begin(): void {
    this.#busy = busySeconds(readFileSync('/proc/stat', 'utf8'));
    this.#own = cpuSeconds(process.pid);
    this.#at = performance.now();
  }

  /** @returns the share of all CPUs that went to others since `begin`, 0 to 1 */
  share(): number {
    const busy = busySeconds(readFileSync('/proc/stat', 'utf8')) - this.#busy;
    const own = cpuSeconds(process.pid) - this.#own;
    const seconds = (performance.now() - this.#at) / 1000;
    return Math.min(1, Math.max(0, (busy - own) / (seconds * cpus().length)));
  }
}
