/**
 * Rounds a channel count to a multiple of `divisor`, never more than 10 % below the wanted count.
 * Source: make_divisible of tensorflow/models research/slim/nets/mobilenet/mobilenet.py.
 */
export function makeDivisible(channels: number, divisor = 8, minimum = divisor): number {
  const rounded = Math.max(minimum, Math.floor((channels + divisor / 2) / divisor) * divisor);
  return rounded < 0.9 * channels ? rounded + divisor : rounded;
}
