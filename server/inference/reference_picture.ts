/** A picture's height and width in pixels. */
interface Size {
  readonly height: number;
  readonly width: number;
}

/** Cells of the coarsest noise, in pixels; each finer one has half the side. */
const COARSEST = 64;
/** What a cell of noise may add, either way, at every scale. */
const AMPLITUDE = 96;
const SHAPES = 24;

/** A number of 0 to 2^32 - 1 that looks as if drawn, but follows from `seed`. Source: the finaliser of MurmurHash3 (Appleby). */
function hash(seed: number): number {
  let x = Math.imul(seed ^ (seed >>> 16), 0x85ebca6b);
  x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35);
  return (x ^ (x >>> 16)) >>> 0;
}

/**
 * The same picture on every machine, for comparing what networks make of it: whole numbers only. Coloured discs and rectangles of
 * all sizes under noise of all scales, at full contrast, so that every layer has something to see and what it gives is large.
 * @returns [height, width, 3]
 */
export function referencePicture({ height, width }: Size): Uint8Array {
  const pixels = new Uint8Array(height * width * 3);
  const shapes = Array.from({ length: SHAPES }, (_, index) => shapeAt(index, { height, width }));
  for (let y = 0, at = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const shape = shapes.findLast((each) => covers(each, x, y));
      for (let channel = 0; channel < 3; channel++, at++) {
        const colour = shape ? (shape.colour >>> (8 * channel)) & 255 : 128;
        pixels[at] = Math.max(0, Math.min(255, colour + noiseAt(x, y, channel)));
      }
    }
  }
  return pixels;
}

interface Shape {
  readonly x: number;
  readonly y: number;
  /** Half its side, or its radius. */
  readonly reach: number;
  readonly isRound: boolean;
  /** One byte a channel. */
  readonly colour: number;
}

/** Each a little smaller than the one before, which it lies upon. */
function shapeAt(index: number, { height, width }: Size): Shape {
  const drawn = (what: number) => hash(index * 8 + what + 1);
  const largest = Math.min(height, width) >> 1;
  return {
    x: drawn(0) % width,
    y: drawn(1) % height,
    reach: Math.max(1, Math.floor((largest * (SHAPES - index)) / SHAPES)),
    isRound: index % 2 === 0,
    colour: drawn(2),
  };
}

function covers({ x, y, reach, isRound }: Shape, atX: number, atY: number): boolean {
  const [dx, dy] = [Math.abs(atX - x), Math.abs(atY - y)];
  return isRound ? dx * dx + dy * dy <= reach * reach : dx <= reach && dy <= reach;
}

/** Sum over the scales of one number a cell. */
function noiseAt(x: number, y: number, channel: number): number {
  let sum = 0;
  for (let side = COARSEST; side >= 1; side >>= 1) {
    const cell = hash(Math.imul(Math.floor(x / side), 73856093) ^ Math.imul(Math.floor(y / side), 19349663));
    // Mostly grey, a little of each channel's own.
    const own = hash(cell + channel + side) % (AMPLITUDE / 2 + 1);
    sum += (cell % (AMPLITUDE + 1)) - AMPLITUDE / 2 + own - AMPLITUDE / 4;
  }
  return sum >> 2;
}

/** Numbers that are kept of each output. */
const MOST_SAMPLED = 64;

/** Evenly spread numbers of each output, at most 64: all of a smaller one. */
export function sampleOutputs(outputs: Readonly<Record<string, Float32Array>>): Map<string, number[]> {
  return new Map(
    Object.entries(outputs).map(([name, data]) => {
      const count = Math.min(MOST_SAMPLED, data.length);
      const at = (index: number) => Math.floor((index * data.length) / count);
      return [name, Array.from({ length: count }, (_, index) => data[at(index)] as number)];
    }),
  );
}

/** Numbers by the name of the output that they are of. */
export type Samples = ReadonlyMap<string, ArrayLike<number>>;

/**
 * How much larger the reference is than the difference to it, in decibels, of the output where that is least: infinite where nothing
 * differs, NaN where a number is.
 * @throws RangeError where the outputs are others, or have other lengths
 */
export function signalToNoise(actual: Samples, reference: Samples): number {
  if (actual.size !== reference.size) {
    throw new RangeError(`there are ${actual.size} outputs, and ${reference.size} to compare them with`);
  }
  const each = [...reference].map(([name, expected]) => {
    const found = actual.get(name);
    if (found?.length !== expected.length) {
      throw new RangeError(
        `'${name}' has ${found?.length ?? 'no'} numbers, and ${expected.length} to compare them with`,
      );
    }
    let [signal, noise] = [0, 0];
    for (let i = 0; i < expected.length; i++) {
      signal += (expected[i] as number) ** 2;
      noise += ((found[i] as number) - (expected[i] as number)) ** 2;
    }
    return noise === 0 ? Number.POSITIVE_INFINITY : 10 * Math.log10(signal / noise);
  });
  return Math.min(...each);
}
