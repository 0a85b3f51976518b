// The colours that people see classes in: in drawn boxes, in overlays and on the page. The same class id has the same colour in
// every picture. Pure arithmetic, so that browsers can run it too.

/** Red, green and blue, 0 to 255. */
export type Rgb = readonly [red: number, green: number, blue: number];

const GOLDEN_ANGLE = 137.50776405;
/** Neighbouring ids get far hues and, where hues come close again, another lightness; all are light enough for black text. */
const LIGHTNESS = [0.8, 0.9, 0.72] as const;
const CHROMA = 0.16;

/** Colour of a class: bright, so that its boxes and masks show on dark photos and in dark mode. */
export function classColor(classId: number): Rgb {
  const hue = (classId * GOLDEN_ANGLE) % 360;
  const lightness = LIGHTNESS[classId % LIGHTNESS.length] as number;
  // Not every hue has that much chroma in sRGB at that lightness: the most that fits.
  for (let chroma = CHROMA; ; chroma -= 0.01) {
    const color = fromOklch(lightness, chroma, hue);
    if (chroma <= 0 || color.every((value) => value >= 0 && value <= 255)) {
      return color.map((value) => Math.round(Math.min(255, Math.max(0, value)))) as unknown as Rgb;
    }
  }
}

/** Black or white, whichever reads better on `color`: at least 4.5 to 1 for any colour. */
export function inkOn(color: Rgb): '#000' | '#fff' {
  const light = luminance(color);
  return contrast(light, 0) >= contrast(light, 1) ? '#000' : '#fff';
}

/** As CSS writes it. */
export function css([red, green, blue]: Rgb): string {
  return `rgb(${red} ${green} ${blue})`;
}

/** Relative luminance, 0 to 1. Source: WCAG 2.2, "relative luminance". */
function luminance(color: Rgb): number {
  const [red, green, blue] = color.map((value) => {
    const share = value / 255;
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  }) as unknown as Rgb;
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}

/** Source: WCAG 2.2, "contrast ratio". */
function contrast(a: number, b: number): number {
  return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
}

/**
 * sRGB of a colour in OKLCH, beyond 0 to 255 where sRGB does not have it.
 * Source: Björn Ottosson, "A perceptual color space for image processing" (2020).
 */
function fromOklch(lightness: number, chroma: number, hue: number): Rgb {
  const angle = (hue * Math.PI) / 180;
  const a = chroma * Math.cos(angle);
  const b = chroma * Math.sin(angle);
  const long = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3;
  const medium = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3;
  const short = (lightness - 0.0894841775 * a - 1.291485548 * b) ** 3;
  const linear = [
    4.0767416621 * long - 3.3077115913 * medium + 0.2309699292 * short,
    -1.2684380046 * long + 2.6097574011 * medium - 0.3413193965 * short,
    -0.0041960863 * long - 0.7034186147 * medium + 1.707614701 * short,
  ];
  return linear.map(
    (value) => 255 * (value <= 0.0031308 ? 12.92 * value : 1.055 * value ** (1 / 2.4) - 0.055),
  ) as unknown as Rgb;
}
