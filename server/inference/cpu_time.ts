/** Runs before the first that counts: ONNX Runtime arranges memory, and processors speed up. */
const WARM_UP = 3;

/** Middle of some numbers. */
const median = (values: readonly number[]): number =>
  values.toSorted((a, b) => a - b)[values.length >> 1] as number;

/** What two ways to do the same take, side by side. */
export interface CpuTimes {
  /** Milliseconds of CPU time, medians. */
  readonly first: number;
  readonly second: number;
  /** How many times as fast the second is: median of the rounds' ratios, which others' load moves less than the times. */
  readonly ratio: number;
}

/** Does both in turns. */
export async function compareCpuTime(
  first: () => Promise<unknown>,
  second: () => Promise<unknown>,
  rounds: number,
): Promise<CpuTimes> {
  const taken = { first: [] as number[], second: [] as number[] };
  for (let round = -WARM_UP; round < rounds; round++) {
    const times = [await timeOf(first), await timeOf(second)] as const;
    if (round < 0) continue;
    taken.first.push(times[0]);
    taken.second.push(times[1]);
  }
  return {
    first: median(taken.first),
    second: median(taken.second),
    ratio: median(taken.first.map((time, round) => time / (taken.second[round] as number))),
  };
}

async function timeOf(work: () => Promise<unknown>): Promise<number> {
  const before = process.cpuUsage();
  await work();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1000;
}
