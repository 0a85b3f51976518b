import type { Samples } from './noise_meter.ts';
import { NoiseMeter } from './noise_meter.ts';

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

/** The last that was drawn: models of the same task are checked one after another, at the same size. */
let last: (Size & { readonly pixels: Uint8Array }) | undefined;

/**
 * The same picture on every machine, for comparing what networks make of it: whole numbers only. Coloured discs and rectangles of
 * all sizes under noise of all scales, at full contrast, so that every layer has something to see and what it gives is large.
 * @returns [height, width, 3], to be read only
 */
export function referencePicture({ height, width }: Size): Uint8Array {
  if (last?.height !== height || last.width !== width)
    last = { height, width, pixels: draw({ height, width }) };
  return last.pixels;
}

function draw({ height, width }: Size): Uint8Array {
  const shapeOf = shapeMap({ height, width });
  const noise = new Noise(width);
  const pixels = new Uint8Array(height * width * 3);
  for (let y = 0, pixel = 0, at = 0; y < height; y++) {
    const row = noise.row(y);
    for (let inRow = 0; inRow < row.length; pixel++) {
      const colour = shapeOf[pixel] as number;
      for (let shift = 0; shift < 24; shift += 8, at++, inRow++) {
        const value = ((colour >>> shift) & 255) + ((row[inRow] as number) >> 2);
        pixels[at] = Math.max(0, Math.min(255, value));
      }
    }
  }
  return pixels;
}

const GREY = 0x808080;

/** The colour of the shape that is on top at each pixel. */
function shapeMap({ height, width }: Size): Uint32Array {
  const colours = new Uint32Array(height * width).fill(GREY);
  for (let index = 0; index < SHAPES; index++) {
    const { x, y, reach, isRound, colour } = shapeAt(index, { height, width });
    for (let row = Math.max(0, y - reach); row <= Math.min(height - 1, y + reach); row++) {
      const half = isRound ? Math.floor(Math.sqrt(reach * reach - (row - y) ** 2)) : reach;
      const from = row * width;
      colours.fill(colour, from + Math.max(0, x - half), from + Math.min(width, x + half + 1));
    }
  }
  return colours;
}

/** Noise of every scale, row by row from the top: one number a cell and channel. */
class Noise {
  /** From the coarsest scale to the finest: the sum of a scale's noise and all coarser ones', of the row that was asked for last. */
  readonly #sums: readonly { readonly side: number; readonly sum: Int32Array }[];

  constructor(width: number) {
    this.#sums = Array.from({ length: Math.log2(COARSEST) + 1 }, (_, finer) => ({
      side: COARSEST >> finer,
      sum: new Int32Array(width * 3),
    }));
  }

  /** The noise of a row of pixels, for each pixel and channel; valid until the next call. */
  row(y: number): Int32Array {
    let coarser: Int32Array | undefined;
    for (const { side, sum } of this.#sums) {
      // A scale's cells begin every `side` rows, and with them all finer ones': most rows need the finest alone.
      if (y % side === 0) {
        fillRow(sum, side, y / side);
        if (coarser)
          for (let at = 0; at < sum.length; at++) sum[at] = (sum[at] as number) + (coarser[at] as number);
      }
      coarser = sum;
    }
    return coarser as Int32Array;
  }
}

/** The noise of one row of cells, for each pixel and channel. */
function fillRow(row: Int32Array, side: number, cellY: number): void {
  const reach = side * 3;
  for (let from = 0, cellX = 0; from < row.length; from += reach, cellX++) {
    const cell = hash(Math.imul(cellX, 73856093) ^ Math.imul(cellY, 19349663));
    for (let channel = 0; channel < 3; channel++) {
      // Mostly grey, a little of each channel's own.
      const own = hash(cell + channel + side) % (AMPLITUDE / 2 + 1);
      const noise = (cell % (AMPLITUDE + 1)) - AMPLITUDE / 2 + own - AMPLITUDE / 4;
      for (let at = from + channel; at < Math.min(row.length, from + reach); at += 3) row[at] = noise;
    }
  }
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

/**
 * How much larger the reference is than the difference to it, in decibels, of the output where that is least: infinite where nothing
 * differs, NaN where a number is.
 * @throws RangeError where the outputs are others, or have other lengths
 */
export function signalToNoise(actual: Samples, reference: Samples): number {
  const meter = new NoiseMeter();
  meter.add(actual, reference);
  return meter.decibels;
}
