/**
 * ICC profiles (ICC.1:2022) of displays and cameras: three curves and a matrix. Of a sample of COCO's photos two in five carry
 * a profile, most of them sRGB's, from which there is nothing to convert. libvips converts a photo at its full size, which takes as long as decoding it;
 * here the few pixels of a network's input are converted.
 */

/** From an encoded value to light, both 0 to 1. */
type Curve = (value: number) => number;

/** Colour as light: a curve for each channel, then the colour of each, columns for red, green and blue. */
export interface MatrixProfile {
  readonly curves: readonly [Curve, Curve, Curve];
  /** XYZ of each channel at its brightest, in the connection space (D50). */
  readonly colorants: readonly [Triple, Triple, Triple];
}

type Triple = readonly [number, number, number];

/** Columns for red, green and blue of IEC 61966-2-1, adapted to D50 (Bradford), as sRGB profiles round them. */
const SRGB_COLORANTS: readonly [Triple, Triple, Triple] = [
  [0.43607, 0.22249, 0.01392],
  [0.38515, 0.71687, 0.09708],
  [0.14307, 0.06061, 0.7141],
];
/** Profiles differ by their makers' rounding, to the fourth digit; no other colour space is nearer than the second. */
const COLORANT_TOLERANCE = 5e-4;
/** A curve counts as sRGB's where it moves no 8-bit level by as much as this. */
const LEVEL_TOLERANCE = 0.5;

const HEADER_BYTES = 128;
const TAG_BYTES = 12;
/** Such a profile has some ten or twenty. */
const MOST_TAGS = 100;
/** Steps of light from black to white: fine enough that the darkest level, 1 / (255 * 12.92) wide, has several. */
const LIGHT_STEPS = 1 << 14;

/** @returns nothing where the profile is of another kind, or cannot be read */
export function readMatrixProfile(bytes: Uint8Array): MatrixProfile | undefined {
  const profile = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  try {
    return matrixProfile(profile, tagsOf(profile));
  } catch (error) {
    // Cut short, or an offset leads out of it.
    if (error instanceof RangeError) return undefined;
    throw error;
  }
}

/** Whether the profile stands for sRGB. */
export function isSrgb({ colorants, curves }: MatrixProfile): boolean {
  const near = colorants.every((xyz, channel) =>
    xyz.every((value, i) => Math.abs(value - (SRGB_COLORANTS[channel]?.[i] as number)) <= COLORANT_TOLERANCE),
  );
  return near && [...new Set(curves)].every(isSrgbCurve);
}

function isSrgbCurve(curve: Curve): boolean {
  for (let level = 0; level <= 255; level++) {
    if (!(Math.abs(encode(curve(level / 255)) * 255 - level) < LEVEL_TOLERANCE)) return false;
  }
  return true;
}

/**
 * Converts pixels to sRGB in place, relative to the white of each; what sRGB cannot show is clipped.
 * @param pixels [pixels, 3] as the profile means them
 */
export function convertToSrgb(pixels: Uint8Array, { curves, colorants }: MatrixProfile): void {
  const [red, green, blue] = curves.map((curve) =>
    Float64Array.from({ length: 256 }, (_, level) => curve(level / 255) * LIGHT_STEPS),
  ) as [Float64Array, Float64Array, Float64Array];
  const [toRed, toGreen, toBlue] = inverse(SRGB_COLORANTS);
  const row = (of: Triple) => colorants.map((xyz) => dot(of, xyz)) as [number, number, number];
  const [rr, rg, rb] = row(toRed);
  const [gr, gg, gb] = row(toGreen);
  const [br, bg, bb] = row(toBlue);
  for (let at = 0; at + 2 < pixels.length; at += 3) {
    const r = red[pixels[at] as number] as number;
    const g = green[pixels[at + 1] as number] as number;
    const b = blue[pixels[at + 2] as number] as number;
    pixels[at] = levelOf(rr * r + rg * g + rb * b);
    pixels[at + 1] = levelOf(gr * r + gg * g + gb * b);
    pixels[at + 2] = levelOf(br * r + bg * g + bb * b);
  }
}

const levelOf = (light: number) =>
  LEVELS[light <= 0 ? 0 : light >= LIGHT_STEPS ? LIGHT_STEPS : (light + 0.5) | 0] as number;

/** From light to encoded value, IEC 61966-2-1. */
const encode: Curve = (light) => (light <= 0.0031308 ? 12.92 * light : 1.055 * light ** (1 / 2.4) - 0.055);

const LEVELS = Uint8Array.from({ length: LIGHT_STEPS + 1 }, (_, step) =>
  Math.round(encode(step / LIGHT_STEPS) * 255),
);

function matrixProfile(profile: Buffer, tags: ReadonlyMap<string, number>): MatrixProfile | undefined {
  if (!/^(mntr|scnr)RGB XYZ $/.test(profile.toString('latin1', 12, 24))) return undefined;
  // A table from device to connection space would go before matrix and curves.
  for (const name of tags.keys()) if (/^[AD]2B/.test(name)) return undefined;
  const colorants = ['rXYZ', 'gXYZ', 'bXYZ'].map((name) => {
    const at = tags.get(name);
    if (at === undefined || typeAt(profile, at) !== 'XYZ ') return undefined;
    return [8, 12, 16].map((offset) => fixed(profile, at + offset));
  });
  // Most profiles have one curve for all three.
  const read = new Map<number, Curve | undefined>();
  const curves = ['rTRC', 'gTRC', 'bTRC'].map((name) => {
    const at = tags.get(name);
    if (at === undefined) return undefined;
    if (!read.has(at)) read.set(at, curveAt(profile, at));
    return read.get(at);
  });
  if (colorants.includes(undefined) || curves.includes(undefined)) return undefined;
  return { colorants, curves } as unknown as MatrixProfile;
}

/** Where each tag's data begins. */
function tagsOf(profile: Buffer): Map<string, number> {
  const count = profile.readUInt32BE(HEADER_BYTES);
  if (count > MOST_TAGS) throw new RangeError(`${count} tags`);
  return new Map(
    Array.from({ length: count }, (_, i) => {
      const at = HEADER_BYTES + 4 + TAG_BYTES * i;
      return [typeAt(profile, at), profile.readUInt32BE(at + 4)];
    }),
  );
}

/** curveType and the two forms of parametricCurveType that photos carry. */
function curveAt(profile: Buffer, at: number): Curve | undefined {
  const type = typeAt(profile, at);
  if (type === 'curv') return tableAt(profile, at + 8);
  if (type !== 'para') return undefined;
  const form = profile.readUInt16BE(at + 8);
  const parameter = (index: number) => fixed(profile, at + 12 + 4 * index);
  const g = parameter(0);
  if (form === 0) return (value) => value ** g;
  if (form !== 3) return undefined;
  const [a, b, c, d] = [parameter(1), parameter(2), parameter(3), parameter(4)];
  return (value) => (value >= d ? (a * value + b) ** g : c * value);
}

/** A gamma where there is one entry, otherwise a table. @param at of the count of entries */
function tableAt(profile: Buffer, at: number): Curve | undefined {
  const count = profile.readUInt32BE(at);
  if (count === 0) return undefined;
  if (count === 1) {
    const gamma = profile.readUInt16BE(at + 4) / 256;
    return (value) => value ** gamma;
  }
  const last = count - 1;
  // Asked for here, so that a table that leads out of the profile is found out at once.
  profile.readUInt16BE(at + 4 + 2 * last);
  const entry = (index: number) => profile.readUInt16BE(at + 4 + 2 * index) / 65535;
  return (value) => {
    const below = Math.min(last - 1, Math.floor(value * last));
    const [low, high] = [entry(below), entry(below + 1)];
    return low + (high - low) * (value * last - below);
  };
}

/** Rows of the inverse of the matrix with the columns `a`, `b`, `c`. */
function inverse([a, b, c]: readonly [Triple, Triple, Triple]): [Triple, Triple, Triple] {
  const determinant = dot(a, cross(b, c));
  const row = (x: Triple, y: Triple) => cross(x, y).map((value) => value / determinant) as unknown as Triple;
  return [row(b, c), row(c, a), row(a, b)];
}

const dot = (x: Triple, y: Triple) => x[0] * y[0] + x[1] * y[1] + x[2] * y[2];
const cross = (x: Triple, y: Triple): Triple => [
  x[1] * y[2] - x[2] * y[1],
  x[2] * y[0] - x[0] * y[2],
  x[0] * y[1] - x[1] * y[0],
];

const typeAt = (profile: Buffer, at: number) => profile.toString('latin1', at, at + 4);

/** s15Fixed16Number. */
const fixed = (profile: Buffer, at: number) => profile.readInt32BE(at) / 65536;
