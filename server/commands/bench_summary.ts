/** How long something took. */
export interface Summary {
  readonly median_ms: number;
  /** The shortest time that at least 95 % did not exceed (nearest rank). */
  readonly p95_ms: number;
}

/** The middle value, or the mean of the two in the middle. NaN for none. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const at = (index: number) => sorted[index] as number;
  const middle = (sorted.length - 1) / 2;
  return (at(Math.floor(middle)) + at(Math.ceil(middle))) / 2;
}

/** The smallest of `values` that at least the share `rank` of them does not exceed. NaN for none. */
export function nearestRank(values: readonly number[], rank: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(rank * sorted.length) - 1)] ?? Number.NaN;
}

const MICROSECOND = 1e3;
const round = (ms: number) => Math.round(ms * MICROSECOND) / MICROSECOND;

/** @param times in milliseconds, at least one */
export const summarize = (times: readonly number[]): Summary => ({
  median_ms: round(median(times)),
  p95_ms: round(nearestRank(times, 0.95)),
});
