import type { PhotoLimits } from './protocol.ts';

/** For decoding a photo once more, to draw on it: what is left of the time since `started`, a value of `performance.now()`. */
export function limitsLeft({ maxPixels, timeoutSeconds }: PhotoLimits, started: number): PhotoLimits {
  if (timeoutSeconds === undefined) return { maxPixels };
  const left = timeoutSeconds - Math.floor((performance.now() - started) / 1000);
  return { maxPixels, timeoutSeconds: Math.max(1, left) };
}
