import type { Rgb } from '../playground/class_colors.ts';
import type { Canvas, Coverage } from './canvas.ts';
import { fillShape } from './canvas.ts';
import { CAP_HEIGHT, GLYPHS, MARKS, MISSING } from './stroke_font.ts';

/** In units of the font's grid. */
const STROKE = 1.75;
const SPACING = 4;
/** Strokes thinner than this, in pixels, would be grey. */
const THINNEST = 1.25;
/** Rows above a capital and below the baseline that accents and tails take, with half a stroke. */
const BEYOND = 5;
/** Pieces that a curve is drawn as. */
const PIECES = 8;
/** No label is looked at further than this: an imported model's may be of any length. */
const LONGEST = 200;
/** Marks under the letter stay where they are when it is a capital. */
const CEDILLA = '\u0327';

interface Glyph extends Coverage {
  /** Pixels to the next letter. */
  readonly advance: number;
}

type Point = readonly [x: number, y: number];
type Line = readonly Point[];

let segmenter: Intl.Segmenter | undefined;

/** Text of one size, in pixels. Letters keep to whole pixels, so that each looks the same wherever it stands. */
export class Lettering {
  /** Of any line of text, with what hangs below and stands above it. */
  readonly height: number;
  readonly #unit: number;
  readonly #stroke: number;
  readonly #glyphs = new Map<string, Glyph>();

  /** @param capHeight pixels from the baseline to the top of a capital, a whole number */
  constructor(capHeight: number) {
    this.#unit = capHeight / CAP_HEIGHT;
    this.#stroke = Math.max(THINNEST, STROKE * this.#unit);
    this.height = capHeight + 2 * this.#beyond;
  }

  /** Width of a text in pixels. */
  measure(text: string): number {
    return this.#glyphsOf(text).reduce((sum, { advance }) => sum + advance, 0);
  }

  /** As much of a text as `width` pixels hold, with an ellipsis where that is not all; '' where nothing fits. */
  shorten(text: string, width: number): string {
    if (text.length <= LONGEST && this.measure(text) <= width) return text;
    const all = charactersOf(text);
    for (let kept = all.length - 1; kept > 0; kept--) {
      const short = `${all.slice(0, kept).join('').trimEnd()}…`;
      if (this.measure(short) <= width) return short;
    }
    return '';
  }

  /** @param left and `top` of the line's box, whole pixels */
  draw(canvas: Canvas, text: string, left: number, top: number, color: Rgb): void {
    let x = left;
    for (const glyph of this.#glyphsOf(text)) {
      fillShape(canvas, glyph, x, top, color);
      x += glyph.advance;
    }
  }

  get #beyond(): number {
    return Math.ceil(BEYOND * this.#unit);
  }

  #glyphsOf(text: string): Glyph[] {
    return charactersOf(text).map((character) => {
      const known = this.#glyphs.get(character);
      if (known) return known;
      const glyph = this.#rasterize(outlineOf(character));
      this.#glyphs.set(character, glyph);
      return glyph;
    });
  }

  /** Covers each pixel by how far it is from the nearest stroke. */
  #rasterize({ lines, width: units }: Outline): Glyph {
    const radius = this.#stroke / 2;
    // The outer edge of a stroke at the left, the top or along the baseline is a pixel's edge.
    const start = Math.round((SPACING / 2) * this.#unit - radius) + radius;
    const place = ([x, y]: Point): Point => [
      start + x * this.#unit,
      this.#beyond + radius + (y / CAP_HEIGHT) * (CAP_HEIGHT * this.#unit - 2 * radius),
    ];
    const pens = lines.map((line) => line.map(place));
    const advance = Math.max(1, Math.round((units + SPACING) * this.#unit));
    const { height } = this;
    const width = advance + 1;
    const alpha = new Uint8Array(width * height);
    for (let y = 0; y < height; y++) {
      for (let x = 0; x < width; x++) {
        const far = pens.reduce((least, pen) => Math.min(least, distance(x + 0.5, y + 0.5, pen)), Infinity);
        alpha[y * width + x] = Math.round(255 * Math.max(0, Math.min(1, radius + 0.5 - far)));
      }
    }
    return { alpha, width, height, advance };
  }
}

function charactersOf(text: string): string[] {
  // Made when it is first needed: it takes longer than drawing does, and not every worker draws.
  segmenter ??= new Intl.Segmenter('en', { granularity: 'grapheme' });
  return [...segmenter.segment(text.slice(0, LONGEST).replaceAll(/\s/g, ' '))].map(({ segment }) => segment);
}

/** Lines on the font's grid. */
interface Outline {
  readonly lines: readonly Line[];
  readonly width: number;
}

/** A character's strokes, put together from a letter and its accents where need be; a box where the font lacks it. */
function outlineOf(character: string): Outline {
  const own = GLYPHS[character];
  if (own !== undefined) return outline(linesOf(own));
  const [letter = '', ...marks] = character.normalize('NFD');
  const base = GLYPHS[letter];
  if (!base || marks.some((mark) => MARKS[mark] === undefined)) return outline(linesOf(MISSING));
  const isTall = /[\p{Lu}bdfhklt]/u.test(letter);
  // An accent takes the place of the dot.
  const lines = linesOf(base).filter((line) => line.length > 1);
  const { width } = outline(lines);
  for (const mark of marks) {
    const rise = isTall && mark !== CEDILLA ? -4 : 0;
    for (const line of linesOf(MARKS[mark] as string))
      lines.push(line.map(([x, y]): Point => [x + width / 2 - 3, y + rise]));
  }
  return { lines, width };
}

const outline = (lines: readonly Line[]): Outline => ({
  lines,
  width: Math.max(0, ...lines.flat().map(([x]) => x)),
});

/** Reads strokes as GLYPHS writes them, curves drawn as straight pieces. */
function linesOf(strokes: string): Line[] {
  return strokes
    .split(' ')
    .filter((stroke) => stroke !== '')
    .map((stroke) => {
      const line: Point[] = [];
      for (const [, bend, to] of stroke.matchAll(/(?:~(..))?([^~]{2})/g)) {
        const end = pointOf(to as string);
        const start = line.at(-1);
        if (bend && start) line.push(...curve(start, pointOf(bend), end));
        else line.push(end);
      }
      return line;
    });
}

const pointOf = (digits: string): Point => [
  Number.parseInt(digits[0] as string, 36),
  Number.parseInt(digits[1] as string, 36),
];

/** Points of a quadratic Bézier curve after its first. */
function curve(start: Point, bend: Point, end: Point): Point[] {
  return Array.from({ length: PIECES }, (_, piece) => {
    const t = (piece + 1) / PIECES;
    const mix = (axis: 0 | 1) =>
      (1 - t) * (1 - t) * start[axis] + 2 * t * (1 - t) * bend[axis] + t * t * end[axis];
    return [mix(0), mix(1)];
  });
}

/** From a point to the nearest one of a line, or of the dot that it is. */
function distance(x: number, y: number, line: Line): number {
  const [first = [Infinity, Infinity]] = line;
  let least = length(x - first[0], y - first[1]);
  for (let at = 1; at < line.length; at++) {
    const [from, to] = [line[at - 1] as Point, line[at] as Point];
    const [dx, dy] = [to[0] - from[0], to[1] - from[1]];
    const along = ((x - from[0]) * dx + (y - from[1]) * dy) / (dx * dx + dy * dy || 1);
    const t = Math.max(0, Math.min(1, along));
    least = Math.min(least, length(x - from[0] - t * dx, y - from[1] - t * dy));
  }
  return least;
}

/** Not Math.hypot or Math.pow: their last bits differ between JavaScript engines, and pictures must not. */
const length = (x: number, y: number) => Math.sqrt(x * x + y * y);
