// The colours that people see classes in: in drawn boxes, in overlays and on the page. The same class id has the same colour in
// every picture. It lies among the page's files because browsers load it from there; what draws pictures takes it from here too.

/** Red, green and blue, 0 to 255. */
export type Rgb = readonly [red: number, green: number, blue: number];

/** As many ids as a class map can have. */
const COUNT = 256;
/** Candidates have multiples of this in each channel. */
const STEP = 17;
/** Black text on a class's colour has at least this contrast. Source: WCAG 2.2, success criterion 1.4.6. */
const CONTRAST = 7;
/** In OKLab: dark enough for white pages, and clearly no grey. */
const LIGHTEST = 0.92;
const CHROMA = 0.07;
const FIRST: Rgb = [0, 204, 255];

type Lab = readonly [lightness: number, a: number, b: number];

let palette: readonly Rgb[] | undefined;

/**
 * Colour of a class: each id's is the one that is farthest from those of all lower ids, so that the classes of a small dataset are
 * far apart, and those of a large one as far as can be. Ids beyond 255 begin again.
 */
export function classColor(classId: number): Rgb {
  palette ??= farthestFirst();
  return palette[classId % COUNT] as Rgb;
}

/** Source: Gonzalez, "Clustering to minimize the maximum intercluster distance" (1985): the farthest-first traversal. */
function farthestFirst(): Rgb[] {
  const candidates = suitableColors().map((color) => ({ color, lab: oklab(color), far: Infinity }));
  const chosen: Rgb[] = [];
  let next = { color: FIRST, lab: oklab(FIRST), far: 0 };
  while (chosen.length < COUNT) {
    chosen.push(next.color);
    const [lightness, a, b] = next.lab;
    for (const candidate of candidates) {
      const [otherLightness, otherA, otherB] = candidate.lab;
      const squares = (otherLightness - lightness) ** 2 + (otherA - a) ** 2 + (otherB - b) ** 2;
      // Rounded: the last bits of powers and roots differ between JavaScript engines, and the colours must not.
      candidate.far = Math.min(candidate.far, Math.round(1e6 * Math.sqrt(squares)));
    }
    next = candidates.reduce((best, candidate) => (candidate.far > best.far ? candidate : best));
  }
  return chosen;
}

function suitableColors(): Rgb[] {
  const levels = Array.from({ length: 255 / STEP + 1 }, (_, level) => level * STEP);
  const all = levels.flatMap((red) =>
    levels.flatMap((green) => levels.map((blue): Rgb => [red, green, blue])),
  );
  return all.filter((color) => {
    const [lightness, a, b] = oklab(color);
    return contrastWithBlack(color) >= CONTRAST && lightness <= LIGHTEST && Math.hypot(a, b) >= CHROMA;
  });
}

/** As CSS writes it. */
export function css([red, green, blue]: Rgb): string {
  return `rgb(${red} ${green} ${blue})`;
}

/** Relative luminance, 0 to 1. Source: WCAG 2.2, "relative luminance". */
function luminance(color: Rgb): number {
  const [red, green, blue] = linear(color);
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}

/** Contrast of black text on it. Source: WCAG 2.2, "contrast ratio". */
const contrastWithBlack = (color: Rgb): number => (luminance(color) + 0.05) / 0.05;

/** Linear light of an sRGB colour's channels, 0 to 1. Source: IEC 61966-2-1. */
function linear(color: Rgb): Rgb {
  return color.map((value) => {
    const share = value / 255;
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  }) as unknown as Rgb;
}

/** A colour in OKLab, where distances are about as large as they look. Source: Björn Ottosson, "A perceptual color space for image processing" (2020). */
function oklab(color: Rgb): Lab {
  const [red, green, blue] = linear(color);
  const long = Math.cbrt(0.4122214708 * red + 0.5363325363 * green + 0.0514459929 * blue);
  const medium = Math.cbrt(0.2119034982 * red + 0.6806995451 * green + 0.1073969566 * blue);
  const short = Math.cbrt(0.0883024619 * red + 0.2817188376 * green + 0.6299787005 * blue);
  return [
    0.2104542553 * long + 0.793617785 * medium - 0.0040720468 * short,
    1.9779984951 * long - 2.428592205 * medium + 0.4505937099 * short,
    0.0259040371 * long + 0.7827717662 * medium - 0.808675766 * short,
  ];
}
