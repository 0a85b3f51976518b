import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';

function read(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8').trim();
  } catch {
    return undefined;
  }
}

/**
 * CPUs that this process may keep busy: the affinity mask's, and no more than a container's CPU quota (cgroup v2 or
 * v1), which Node 20 does not look at. At least 1.
 */
export function usableCpus(): number {
  const [quota, period] = read('/sys/fs/cgroup/cpu.max')?.split(' ') ?? [
    read('/sys/fs/cgroup/cpu/cpu.cfs_quota_us'),
    read('/sys/fs/cgroup/cpu/cpu.cfs_period_us'),
  ];
  const limit = Number(quota) / Number(period);
  const cpus = availableParallelism();
  return Number.isFinite(limit) && limit > 0 ? Math.max(1, Math.min(cpus, Math.floor(limit))) : cpus;
}
