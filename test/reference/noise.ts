/** Seeded images that need no files: the same seed gives the same pixels on every machine. */

/**
 * The mulberry32 generator (Tommy Ettinger, public domain): 32 bits of state, and integer arithmetic alone,
 * so the sequence is the same wherever JavaScript runs.
 *
 * @returns a function that gives the next number in [0, 1)
 */
export function mulberry32(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Every byte on its own, uniform over 0..255: [height, width, 3]. Reaches every value but holds no shapes. */
export function uniformNoise(seed: number, width = 300, height = 300): Uint8Array {
  const random = mulberry32(seed);
  return Uint8Array.from({ length: width * height * 3 }, () => Math.floor(random() * 256));
}

/**
 * Soft blobs, [height, width, 3]: a random colour at every corner of a lattice, bilinear in between. Closer to a
 * photo than uniform noise: neighbours agree, so the deep layers see a signal.
 *
 * @param cell pixels from one lattice corner to the next, in both directions
 */
export function smoothNoise(seed: number, width = 300, height = 300, cell = 25): Uint8Array {
  const random = mulberry32(seed);
  const columns = Math.ceil(width / cell) + 1;
  const rows = Math.ceil(height / cell) + 1;
  const lattice = Float64Array.from({ length: rows * columns * 3 }, () => random() * 255);
  const pixels = new Uint8Array(width * height * 3);
  for (let y = 0, at = 0; y < height; y++) {
    const row = Math.floor(y / cell);
    const down = y / cell - row;
    for (let x = 0; x < width; x++) {
      const column = Math.floor(x / cell);
      const right = x / cell - column;
      for (let channel = 0; channel < 3; channel++, at++) {
        const corner = (row * columns + column) * 3 + channel;
        const below = corner + columns * 3;
        const top = lattice[corner]! * (1 - right) + lattice[corner + 3]! * right;
        const bottom = lattice[below]! * (1 - right) + lattice[below + 3]! * right;
        pixels[at] = Math.round(top * (1 - down) + bottom * down);
      }
    }
  }
  return pixels;
}
