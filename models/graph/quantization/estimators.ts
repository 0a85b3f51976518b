import type { Histogram } from './histogram.ts';
import type { Range } from './quantizer.ts';

/** Chooses the range that a value's bytes are to cover, from what it was seen to take. */
export type RangeEstimator = (histogram: Histogram) => Range;

/** From the least to the largest number seen. */
export const minMax: RangeEstimator = ({ least, largest }) => [least, largest];

/**
 * What is left when the rarest numbers at both ends are cut off, half of them at each.
 * @param percent of the numbers that are kept; zeros count, though a ReLU makes many
 */
export function percentile(percent: number): RangeEstimator {
  if (!(percent > 50 && percent <= 100)) {
    throw new RangeError(`a percentile to keep is above 50 and at most 100, not ${percent}`);
  }
  return (histogram) => {
    const spare = ((100 - percent) / 200) * histogram.total;
    const { least, largest } = histogram;
    const zeros = { center: 0, count: histogram.zeros };
    const bins = [...histogram.bins(), zeros].sort((a, b) => a.center - b.center);
    const end = (from: typeof bins, extreme: number) => {
      let left = spare;
      for (const { center, count } of from) {
        if (count > left) return left < 1 ? extreme : center;
        left -= count;
      }
      return extreme;
    };
    return [end(bins, least), end(bins.toReversed(), largest)];
  };
}

/** Candidates for each end. */
const STEPS = 128;
const ROUNDS = 3;
const LEVELS = 255;

/**
 * The range with the least mean squared error: a wider one rounds more coarsely (step^2 / 12 on average), a narrower one
 * cuts off more. Zero is exact in either and costs nothing. Of a value by itself that is the best; what layers behind make of
 * rare large numbers it does not know, and in networks with squeeze-and-excitation `percentile(99.99)` loses less.
 * Source: Nagel et al., "A white paper on neural network quantization" (arXiv 2106.08295), section 3.1.
 */
export const leastSquares: RangeEstimator = (histogram) => {
  const { least, largest } = histogram;
  const bins = histogram.bins();
  const error = (low: number, high: number) => {
    const rounding = ((high - low) / LEVELS) ** 2 / 12;
    let sum = 0;
    for (const { center, count } of bins) {
      const beyond = center > high ? center - high : center < low ? low - center : 0;
      sum += count * (beyond === 0 ? rounding : beyond ** 2);
    }
    return sum;
  };
  let [low, high] = [Math.min(0, least), Math.max(0, largest)];
  const best = (candidates: readonly number[], errorOf: (candidate: number) => number) => {
    let [chosen = 0] = candidates;
    let lowest = Number.POSITIVE_INFINITY;
    for (const candidate of candidates) {
      const found = errorOf(candidate);
      if (found < lowest) [chosen, lowest] = [candidate, found];
    }
    return chosen;
  };
  const [widestLow, widestHigh] = [low, high];
  const shares = Array.from({ length: STEPS }, (_, i) => 1 - i / STEPS);
  for (let round = 0; round < ROUNDS; round++) {
    const fixedLow = low;
    if (widestHigh > 0)
      high = best(
        shares.map((share) => share * widestHigh),
        (end) => error(fixedLow, end),
      );
    const fixedHigh = high;
    if (widestLow < 0)
      low = best(
        shares.map((share) => share * widestLow),
        (end) => error(end, fixedHigh),
      );
  }
  return [low, high];
};
