import type { Rgb } from '../playground/class_colors.ts';
import type { Canvas } from './canvas.ts';
import { drawnIn, fillRectangle } from './canvas.ts';
import { Lettering } from './lettering.ts';
import type { Region, Size } from './region.ts';

export const BLACK: Rgb = [0, 0, 0];
export const WHITE: Rgb = [255, 255, 255];

/** Lines are so thick, as a share of the picture's side. */
const LINE_SHARE = 0.005;
/** Capitals are so high, as a share of the picture's side, and never lower than so many pixels, for those cannot be read. */
const CAP_SHARE = 0.018;
const LOWEST_CAP = 8;
/** On a picture with a shorter side, labels would cover most of what there is to see, and thick lines, too. */
const LEAST_LABELLED = 160;
/** A region narrower than so many lines with their edges is small. */
const SMALL = 8;
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
  const isLarge = side >= LEAST_LABELLED;
  const line = Math.max(isLarge ? 2 : 1, Math.round(LINE_SHARE * side));
  const edge = Math.max(1, Math.round(line / 4));
  return { line, edge, cap: isLarge ? Math.max(LOWEST_CAP, Math.round(CAP_SHARE * side)) : undefined };
}

/** Whether a plate could hide most of a region, or all of it. */
export const isSmall = ({ x_min, y_min, x_max, y_max }: Region, { line, edge }: Style): boolean =>
  Math.min(x_max - x_min, y_max - y_min) < SMALL * (line + 2 * edge);

/** A text and where it may stand. */
export interface Label {
  /** What says most first; a later one stands in where only that finds a free place. */
  readonly texts: readonly [string, ...string[]];
  /** What is left of the first where the picture is too narrow for it, its own end left off as need be. */
  readonly name: string;
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
 * Writes labels on plates of their colour, in black. A plate lies on the picture, and off the others and what is spared; a label that
 * finds no such place is left out, and so are all on a picture too small for them.
 * @param labels the more important ones first: they choose first
 * @param spared not to be covered
 */
export function drawLabels(
  canvas: Canvas,
  { edge, cap }: Style,
  labels: readonly Label[],
  spared: readonly Region[],
): void {
  if (cap === undefined) return;
  const lettering = new Lettering(cap);
  const beside = Math.max(1, Math.round(PADDING * cap));
  const plates: Plate[] = [];
  for (const { texts, name, color, places } of labels) {
    const room = canvas.width - 2 * (beside + edge);
    const fitting = texts.filter((text) => lettering.measure(text) <= room);
    const wanted = fitting[0] === texts[0] ? fitting : [lettering.shorten(name, room)];
    const areas = wanted.map((text) => {
      const width = lettering.measure(text) + 2 * (beside + edge);
      const size = { width, height: plateHeight(lettering, edge) };
      return { text, color, areas: areasAt(places(size), size, canvas) };
    });
    const taken = plates.map(({ area }) => area);
    const plate = freePlate(areas, [...taken, ...spared]);
    if (plate && plate.text !== '') plates.push(plate);
  }
  for (const { area, text, color } of plates) {
    fillRectangle(canvas, area, BLACK);
    fillRectangle(canvas, drawnIn(area, edge), color);
    // Classes' colours are such that it reads on all of them.
    lettering.draw(canvas, text, area.x_min + edge + beside, area.y_min + edge, BLACK);
  }
}

const plateHeight = (lettering: Lettering, edge: number) => lettering.height + 2 * edge;

/** A text, and where its plate may stand, the best place first. */
interface Choice {
  readonly text: string;
  readonly color: Rgb;
  readonly areas: readonly Region[];
}

/** The first choice of text and place that lies off all `others`. */
function freePlate(choices: readonly Choice[], others: readonly Region[]): Plate | undefined {
  for (const { text, color, areas } of choices) {
    const area = areas.find((place) => !others.some((other) => isOverlapping(place, other)));
    if (area) return { text, color, area };
  }
  return undefined;
}

/** The places at which a plate lies on the picture, moved there from its left or right. */
function areasAt(places: readonly (readonly [number, number])[], plate: Size, canvas: Size): Region[] {
  const whole = places.map(([left, top]) => [Math.round(left), Math.round(top)] as const);
  // Moved far up or down it would no longer say what it belongs to.
  const fitting = whole.filter(([, top]) => top >= 0 && top + plate.height <= canvas.height);
  return fitting.map(([left, top]) => {
    const x_min = Math.max(0, Math.min(left, canvas.width - plate.width));
    return { x_min, y_min: top, x_max: x_min + plate.width, y_max: top + plate.height };
  });
}

const isOverlapping = (a: Region, b: Region) =>
  a.x_min < b.x_max && b.x_min < a.x_max && a.y_min < b.y_max && b.y_min < a.y_max;
