/**
 * Tells ICC profiles (ICC.1:2022) that are sRGB. Two photos of five carry a profile, most of them this one, and converting sRGB to
 * sRGB changes no pixel but takes as long as decoding the photo.
 */

/** Columns for red, green and blue of IEC 61966-2-1, adapted to the profile connection space's D50 (Bradford). */
const COLORANTS: Readonly<Record<string, readonly number[]>> = {
  rXYZ: [0.4361, 0.2225, 0.0139],
  gXYZ: [0.3851, 0.7169, 0.0971],
  bXYZ: [0.1431, 0.0606, 0.7139],
};
/** Profiles differ by their makers' rounding, to the fourth digit; no other colour space is nearer than the second. */
const COLORANT_TOLERANCE = 5e-4;
/** A curve counts as sRGB's where it moves no 8-bit level by as much as this. */
const LEVEL_TOLERANCE = 0.5;

const HEADER_BYTES = 128;
const TAG_BYTES = 12;
/** sRGB has some ten or twenty. */
const MOST_TAGS = 100;

/** Whether the profile stands for sRGB, so that there is nothing to convert. False for all that cannot be read. */
export function isSrgbProfile(bytes: Uint8Array): boolean {
  const profile = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  try {
    return isSrgb(profile, tagsOf(profile));
  } catch (error) {
    // Cut short, or an offset leads out of it.
    if (error instanceof RangeError) return false;
    throw error;
  }
}

function isSrgb(profile: Buffer, tags: ReadonlyMap<string, number>): boolean {
  if (profile.toString('latin1', 12, 24) !== 'mntrRGB XYZ ') return false;
  // A table from device to connection space would go before matrix and curves.
  for (const name of tags.keys()) if (/^[AD]2B/.test(name)) return false;
  for (const [name, wanted] of Object.entries(COLORANTS)) {
    const at = tags.get(name);
    if (at === undefined || typeAt(profile, at) !== 'XYZ ') return false;
    const far = wanted.some(
      (value, i) => Math.abs(fixed(profile, at + 8 + 4 * i) - value) > COLORANT_TOLERANCE,
    );
    if (far) return false;
  }
  // Most profiles have one curve for all three.
  const curves = new Set(['rTRC', 'gTRC', 'bTRC'].map((name) => tags.get(name)));
  return [...curves].every((at) => at !== undefined && isSrgbCurve(profile, at));
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

function isSrgbCurve(profile: Buffer, at: number): boolean {
  const curve = curveAt(profile, at);
  if (!curve) return false;
  for (let level = 0; level <= 255; level++) {
    if (!(Math.abs(encode(curve(level / 255)) * 255 - level) < LEVEL_TOLERANCE)) return false;
  }
  return true;
}

type Curve = (value: number) => number;

/** From encoded value to light, both 0 to 1; nothing for forms that sRGB profiles do not use. */
function curveAt(profile: Buffer, at: number): Curve | undefined {
  const type = typeAt(profile, at);
  if (type === 'curv') {
    const last = profile.readUInt32BE(at + 8) - 1;
    if (last < 1) return undefined;
    const entry = (index: number) => profile.readUInt16BE(at + 12 + 2 * index) / 65535;
    return (value) => {
      const below = Math.min(last - 1, Math.floor(value * last));
      const [low, high] = [entry(below), entry(below + 1)];
      return low + (high - low) * (value * last - below);
    };
  }
  if (type === 'para' && profile.readUInt16BE(at + 8) === 3) {
    const [g = 0, a = 0, b = 0, c = 0, d = 0] = [0, 1, 2, 3, 4].map((i) => fixed(profile, at + 12 + 4 * i));
    return (value) => (value >= d ? (a * value + b) ** g : c * value);
  }
  return undefined;
}

/** From light to encoded value, IEC 61966-2-1. */
const encode: Curve = (light) => (light <= 0.0031308 ? 12.92 * light : 1.055 * light ** (1 / 2.4) - 0.055);

const typeAt = (profile: Buffer, at: number) => profile.toString('latin1', at, at + 4);

/** s15Fixed16Number. */
const fixed = (profile: Buffer, at: number) => profile.readInt32BE(at) / 65536;
