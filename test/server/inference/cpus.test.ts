import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { usableCpus } from '../../../server/inference/cpus.ts';

/** The CPUs of a process whose system has these files, and an affinity mask of 16 CPUs. */
function cpus(t: TestContext, files: Readonly<Record<string, string>>, affinity = 16): number {
  const root = mkdtempSync(join(tmpdir(), 'thinlens-cgroup-'));
  t.after(() => rmSync(root, { recursive: true, force: true }));
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(root, name)), { recursive: true });
    writeFileSync(join(root, name), `${text}\n`);
  }
  return usableCpus(root, affinity);
}

const SELF = 'proc/self/cgroup';
const CGROUP = 'sys/fs/cgroup';
const v1 = (folder: string, quota: number, period = 100_000) => ({
  [`${CGROUP}/${folder}/cpu.cfs_quota_us`]: String(quota),
  [`${CGROUP}/${folder}/cpu.cfs_period_us`]: String(period),
});

describe('the CPUs that may be used', () => {
  const cases: Readonly<Record<string, [Readonly<Record<string, string>>, number]>> = {
    'are the affinity mask where there are no control groups': [{}, 16],
    'are a container quota (v2)': [{ [SELF]: '0::/', [`${CGROUP}/cpu.max`]: '400000 100000' }, 4],
    'count a period other than 100 ms': [{ [SELF]: '0::/', [`${CGROUP}/cpu.max`]: '60000 20000' }, 3],
    'are not limited by max (v2)': [{ [SELF]: '0::/', [`${CGROUP}/cpu.max`]: 'max 100000' }, 16],
    'leave out a part of a CPU': [{ [SELF]: '0::/', [`${CGROUP}/cpu.max`]: '150000 100000' }, 1],
    'are at least one': [{ [SELF]: '0::/', [`${CGROUP}/cpu.max`]: '20000 100000' }, 1],
    'are no more than the mask under a larger quota': [
      { [SELF]: '0::/', [`${CGROUP}/cpu.max`]: '6400000 100000' },
      16,
    ],
    'are the quota of the own group (v2)': [
      {
        [SELF]: '0::/system.slice/thinlens.service',
        [`${CGROUP}/system.slice/thinlens.service/cpu.max`]: '300000 100000',
      },
      3,
    ],
    'are the least quota of the groups that the own lies in': [
      {
        [SELF]: '0::/a/b/c',
        [`${CGROUP}/a/b/c/cpu.max`]: '800000 100000',
        [`${CGROUP}/a/b/cpu.max`]: 'max 100000',
        [`${CGROUP}/a/cpu.max`]: '200000 100000',
      },
      2,
    ],
    'are not the quota of a group beside': [
      { [SELF]: '0::/a/b', [`${CGROUP}/a/c/cpu.max`]: '100000 100000', [`${CGROUP}/c/cpu.max`]: '100000 1' },
      16,
    ],
    'are found where a container sees the path of the host': [
      { [SELF]: '0::/kubepods.slice/pod1/abc', [`${CGROUP}/cpu.max`]: '500000 100000' },
      5,
    ],
    'are found where the group lies outside of what is seen': [
      { [SELF]: '0::/../../other', [`${CGROUP}/cpu.max`]: '500000 100000' },
      5,
    ],
    'are those of a group whose name has a colon': [
      { [SELF]: '0::/a:b', [`${CGROUP}/a:b/cpu.max`]: '200000 100000' },
      2,
    ],
    'are a container quota (v1)': [{ [SELF]: '4:memory:/x\n1:cpu:/', ...v1('cpu', 250_000) }, 2],
    'are not limited by -1 (v1)': [{ [SELF]: '1:cpu:/', ...v1('cpu', -1) }, 16],
    'are the quota of the own group (v1), mounted with another controller': [
      { [SELF]: '0::/\n3:cpu,cpuacct:/docker/abc', ...v1('cpu,cpuacct/docker/abc', 350_000) },
      3,
    ],
    'are the least quota of groups above (v1)': [
      { [SELF]: '3:cpu,cpuacct:/a/b', ...v1('cpu/a/b', 600_000), ...v1('cpu/a', 400_000) },
      4,
    ],
    'are not what another controller is said to have': [
      { [SELF]: '3:cpuacct:/a\n2:memory:/a', ...v1('cpuacct/a', 100_000), ...v1('cpu/a', 100_000) },
      16,
    ],
  };
  for (const [name, [files, expected]] of Object.entries(cases)) {
    test(name, (t) => assert.equal(cpus(t, files), expected));
  }

  test('are a mask smaller than the quota', (t) => {
    assert.equal(cpus(t, { [SELF]: '0::/', [`${CGROUP}/cpu.max`]: '400000 100000' }, 2), 2);
  });
});
