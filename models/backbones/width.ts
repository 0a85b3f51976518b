const DIVISOR = 8;

/**
 * Rounds a channel count to a multiple of 8, never more than 10 % below the wanted count.
 * Source: make_divisible of tensorflow/models research/slim/nets/mobilenet/mobilenet.py.
 */
export function makeDivisible(channels: number): number {
  const rounded = Math.max(DIVISOR, Math.floor((channels + DIVISOR / 2) / DIVISOR) * DIVISOR);
  return rounded < 0.9 * channels ? rounded + DIVISOR : rounded;
}
