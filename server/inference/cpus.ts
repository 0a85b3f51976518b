import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { dirname, join } from 'node:path';

function read(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8').trim();
  } catch {
    return undefined;
  }
}

/** `folder` and those above it, up to the root: a group may use no more than the groups that it lies in. */
function* upwards(folder: string): Generator<string> {
  for (; folder !== dirname(folder); folder = dirname(folder)) yield folder;
  yield folder;
}

/**
 * CPU quotas, in CPUs, of the control groups that this process is in. A container may see the host's path of its group and
 * only its own group's files, at the root of them: what is not there says nothing.
 * @param root folder that proc/ and sys/ lie in
 */
function quotas(root: string): number[] {
  const lines = read(join(root, 'proc/self/cgroup'))?.split('\n') ?? [];
  return lines.flatMap((line) => {
    // cgroups(7): number, controllers (none where it is version 2), path; a path may hold colons.
    const [, controllers = '', ...rest] = line.split(':');
    // Joined to the root, a path that leads out of what is mounted here (/../other) cannot lead out of it.
    const groups = [...upwards(join('/', rest.join(':')))];
    if (controllers === '') {
      return groups.map((group) => {
        const [quota, period] = read(join(root, 'sys/fs/cgroup', group, 'cpu.max'))?.split(' ') ?? [];
        return Number(quota) / Number(period);
      });
    }
    if (!controllers.split(',').includes('cpu')) return [];
    return ['cpu', controllers].flatMap((mount) =>
      groups.map((group) => {
        const folder = join(root, 'sys/fs/cgroup', mount, group);
        return (
          Number(read(join(folder, 'cpu.cfs_quota_us'))) / Number(read(join(folder, 'cpu.cfs_period_us')))
        );
      }),
    );
  });
}

/**
 * CPUs that this process may keep busy: the affinity mask's, and no more than the CPU quota of its control group and of those
 * above it (cgroup v2 and v1), which Node 20 does not look at. A share of a CPU counts for nothing beyond the first: threads
 * that share a quota of 1.5 are stopped together when it is used up. At least 1.
 */
export function usableCpus(root = '/', affinity = availableParallelism()): number {
  // 'max', -1 and what is not there are no limits.
  const limits = quotas(root).filter((limit) => Number.isFinite(limit) && limit > 0);
  return Math.max(1, Math.floor(Math.min(affinity, ...limits)));
}
