/** The two 16-bit float formats of checkpoints: IEEE 754 binary16 ("half") and bfloat16. */

/** IEEE half precision bits to a number; exact. */
export function halfToFloat(half: number): number {
  const sign = half & 0x8000 ? -1 : 1;
  const exponent = (half >> 10) & 0x1f;
  const fraction = half & 0x3ff;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

let everyHalf: Float32Array | undefined;

/** Decodes halves; a table of all 65 536 makes it one look-up an element. */
export function decodeHalf(halves: Uint16Array): Float32Array {
  everyHalf ??= Float32Array.from({ length: 0x10000 }, (_, half) => halfToFloat(half));
  const floats = new Float32Array(halves.length);
  for (let i = 0; i < halves.length; i++) floats[i] = everyHalf[halves[i] as number] as number;
  return floats;
}

/**
 * Encodes as halves, rounding to nearest and ties to even (IEEE 754, 4.3.1). What is too large becomes infinite, what
 * is too small becomes zero of the same sign, NaN stays NaN.
 */
export function encodeHalf(floats: Float32Array): Uint16Array {
  const words = new Uint32Array(floats.buffer, floats.byteOffset, floats.length);
  const halves = new Uint16Array(floats.length);
  for (let i = 0; i < words.length; i++) {
    const word = words[i] as number;
    const sign = (word >>> 16) & 0x8000;
    const exponent = (word >>> 23) & 0xff;
    const fraction = word & 0x7fffff;
    const biased = exponent - 127 + 15;
    if (exponent === 0xff) halves[i] = sign | 0x7c00 | (fraction ? 0x200 : 0);
    else if (biased >= 31) halves[i] = sign | 0x7c00;
    // A carry out of the fraction moves into the exponent, which is right: the next power of two, or infinity.
    else if (biased > 0) halves[i] = sign | roundedShift((biased << 23) | fraction, 13);
    else if (biased >= -10) halves[i] = sign | roundedShift(0x800000 | fraction, 14 - biased);
    else halves[i] = sign;
  }
  return halves;
}

/** `value` / 2^`bits`, to nearest, ties to even. */
function roundedShift(value: number, bits: number): number {
  const kept = value >>> bits;
  const rest = value & ((1 << bits) - 1);
  const middle = 1 << (bits - 1);
  return rest > middle || (rest === middle && kept & 1) ? kept + 1 : kept;
}

/** Decodes bfloat16, which is the upper half of a float32; exact. */
export function decodeBfloat16(words: Uint16Array): Float32Array {
  const floats = new Float32Array(words.length);
  const bits = new Uint32Array(floats.buffer);
  for (let i = 0; i < words.length; i++) bits[i] = (words[i] as number) << 16;
  return floats;
}
