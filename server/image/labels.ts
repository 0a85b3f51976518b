import type { Canvas } from './canvas.ts';
import { drawnIn, fillRectangle } from './canvas.ts';
import type { Rgb } from './class_colors.ts';
import { inkOn } from './class_colors.ts';
import { Lettering } from './lettering.ts';
import type { Region, Size } from './region.ts';

export const BLACK: Rgb = [0, 0, 0];
export const WHITE: Rgb = [255, 255, 255];

/** Capitals are so high, as a share of the picture's side, and never lower than so many pixels unless the picture is. */
const CAP_SHARE = 0.018;
const LOWEST_CAP = 8;
/** Lower ones cannot be read. */
const LEAST_CAP = 5;
/** Room to the left and right of the text, as a share of a capital. */
const PADDING = 0.3;

/** How thick what is drawn on a picture is, in pixels. */
export interface Style {
  /** Of a line in a class's colour. */
  readonly line: number;
  /** Of the dark and the light edge along it. */
  readonly edge: number;
  /** Height of capitals; undefined where the picture is too small for text. */
  readonly cap: number | undefined;
}

/** The larger a picture, the smaller it is shown: what is drawn grows with it. */
export function styleFor({ width, height }: Size): Style {
  // Of a long strip the short side counts.
  const side = Math.min(Math.sqrt(width * height), 3 * Math.min(width, height));
  const line = Math.max(2, Math.round(0.004 * side));
  const edge = Math.max(1, Math.round(line / 4));
  let cap = Math.max(LOWEST_CAP, Math.round(CAP_SHARE * side));
  while (cap >= LEAST_CAP && plateHeight(new Lettering(cap), edge) > height) cap--;
  return { line, edge, cap: cap >= LEAST_CAP ? cap : undefined };
}

/** A text and where it may stand. */
export interface Label {
  readonly text: string;
  /** What it is shortened to where there is no room; the text with its end left off where absent. */
  readonly short?: string;
  readonly color: Rgb;
  /** Upper left corners for a plate of a size, the best first; they may lie off the picture. */
  readonly places: (plate: Size) => readonly (readonly [left: number, top: number])[];
}

interface Plate {
  readonly area: Region;
  readonly text: string;
  readonly color: Rgb;
}

/**
 * Writes labels on plates of their colour, in black or white, whichever reads better. A plate lies on the picture, and off the others
 * where one of its places is free; where none is, it goes below them.
 * @param labels the more important ones first: they choose first
 * @param spared not to be covered where another place is free
 */
export function drawLabels(
  canvas: Canvas,
  { edge, cap }: Style,
  labels: readonly Label[],
  spared: readonly Region[] = [],
): void {
  if (cap === undefined) return;
  const lettering = new Lettering(cap);
  const beside = Math.max(1, Math.round(PADDING * cap));
  const plates: Plate[] = [];
  for (const { text, short = text, color, places } of labels) {
    const room = canvas.width - 2 * (beside + edge);
    const fitting = lettering.measure(text) <= room ? text : lettering.shorten(short, room);
    if (fitting === '') continue;
    const plate = {
      width: lettering.measure(fitting) + 2 * (beside + edge),
      height: plateHeight(lettering, edge),
    };
    const taken = plates.map(({ area }) => area);
    plates.push({ area: freePlace(canvas, plate, places(plate), taken, spared), text: fitting, color });
  }
  for (const { area, text, color } of plates.toReversed()) {
    fillRectangle(canvas, area, BLACK);
    fillRectangle(canvas, drawnIn(area, edge), color);
    const ink = inkOn(color) === '#000' ? BLACK : WHITE;
    lettering.draw(canvas, text, area.x_min + edge + beside, area.y_min + edge, ink);
  }
}

const plateHeight = (lettering: Lettering, edge: number) => lettering.height + 2 * edge;

function freePlace(
  canvas: Size,
  plate: Size,
  places: readonly (readonly [number, number])[],
  taken: readonly Region[],
  spared: readonly Region[],
): Region {
  const areas: Region[] = [];
  for (const [x, y] of places) {
    const [left, top] = [Math.round(x), Math.round(y)];
    // Moved far up or down it would no longer say what it belongs to.
    if (top < 0 || top + plate.height > canvas.height) continue;
    areas.push(within(canvas, plate, left, top));
  }
  const isFree = (others: readonly Region[]) => (area: Region) =>
    !others.some((other) => isOverlapping(area, other));
  const [first = [0, 0]] = places;
  return (
    areas.find(isFree([...taken, ...spared])) ??
    areas.find(isFree(taken)) ??
    areas[0] ??
    within(canvas, plate, Math.round(first[0]), Math.round(first[1]))
  );
}

/** A plate at a place, moved onto the picture where it would stand over its edge. */
function within(canvas: Size, plate: Size, left: number, top: number): Region {
  const x_min = Math.max(0, Math.min(left, canvas.width - plate.width));
  const y_min = Math.max(0, Math.min(top, canvas.height - plate.height));
  return { x_min, y_min, x_max: x_min + plate.width, y_max: y_min + plate.height };
}

const isOverlapping = (a: Region, b: Region) =>
  a.x_min < b.x_max && b.x_min < a.x_max && a.y_min < b.y_max && b.y_min < a.y_max;
