import { classColor } from '../playground/class_colors.ts';
import { scorePercent } from '../playground/score_percent.ts';
import type { Canvas } from './canvas.ts';
import { drawnIn, fillFrame } from './canvas.ts';
import type { Label, Style } from './labels.ts';
import { BLACK, drawLabels, isSmall, styleFor, WHITE } from './labels.ts';
import type { PictureLimits, PictureType } from './picture.ts';
import { drawOn } from './picture.ts';
import type { Region, Size } from './region.ts';

/** An object and what is written beside it. */
export interface LabelledBox {
  readonly classId: number;
  readonly label: string;
  /** 0 to 1 */
  readonly score: number;
  /** In pixels of the upright photo. */
  readonly box: Region;
}

/** A box whose sides are no longer than so many of its lines' thickness is framed from outside, so that what it holds is seen. */
const SHORT = 6;
/** A label goes inside a box only if that is so many times as large. */
const ROOMY = 4;

/**
 * The upright photo with boxes, labels and scores drawn on it.
 * @param bytes of the photo's file
 * @param boxes the best first: they lie on top, and their labels get the best places
 * @returns the bytes of a file
 * @throws ImageError as `decodeImage`, or where a JPEG cannot be so large
 */
export function drawBoxes(
  bytes: Uint8Array,
  boxes: readonly LabelledBox[],
  type: PictureType,
  limits: PictureLimits,
): Promise<Uint8Array> {
  return drawOn(bytes, type, limits, (canvas) => paintBoxes(canvas, boxes));
}

/** Draws boxes, labels and scores; see `drawBoxes`. A line has a dark edge outside and a light one inside, so that it shows on anything. */
export function paintBoxes(canvas: Canvas, boxes: readonly LabelledBox[]): void {
  const style = styleFor(canvas);
  const { line, edge } = style;
  const framed = boxes.map(({ box, ...rest }) => ({ ...rest, frame: frameAround(box, style, canvas) }));
  for (const { frame, classId } of framed.toReversed()) {
    fillFrame(canvas, frame, edge, BLACK);
    fillFrame(canvas, drawnIn(frame, edge), line, classColor(classId));
    fillFrame(canvas, drawnIn(frame, edge + line), edge, WHITE);
  }
  const labels = framed.map(({ frame, classId, label, score }): Label => {
    const percent = scorePercent(score);
    return {
      texts: [`${label} ${percent}`, percent],
      name: label,
      color: classColor(classId),
      places: (plate) => placesAt(frame, plate, edge),
    };
  });
  // The dark edge may be covered: plate and box share it.
  const small = framed.filter(({ frame }) => isSmall(frame, style)).map(({ frame }) => drawnIn(frame, edge));
  drawLabels(canvas, style, labels, small);
}

/** The outer edge of a box's line, in whole pixels and on the picture: a line along the picture's border is as thick as any. */
function frameAround(box: Region, style: Style, { width, height }: Size): Region {
  const [x_min, x_max] = outerSides(box.x_min, box.x_max, width, style);
  const [y_min, y_max] = outerSides(box.y_min, box.y_max, height, style);
  return { x_min, y_min, x_max, y_max };
}

/** @returns where a line around the stretch from `start` to `end` begins and ends, between 0 and `size` */
function outerSides(start: number, end: number, size: number, { line, edge }: Style): [number, number] {
  const band = line + 2 * edge;
  const isShort = end - start < SHORT * band;
  const out = isShort ? band : edge + Math.ceil(line / 2);
  const [low, high] = [Math.round(start) - out, Math.round(end) + out];
  if (!isShort) return [Math.max(0, low), Math.min(size, high)];
  // Pushed in from the border, it goes as far beyond the other side.
  const length = Math.min(size, Math.max(high - low, 2 * band + 1));
  const from = Math.max(0, Math.min(low, size - length));
  return [from, from + length];
}

/** Above the box, else inside, below or beside it. Plate and box share their dark edge. */
function placesAt(frame: Region, { width, height }: Size, edge: number): [number, number][] {
  const above = frame.y_min - height + edge;
  const below = frame.y_max - edge;
  const right = frame.x_max - width;
  const outside: [number, number][] = [
    [frame.x_min, above],
    [right, above],
    [frame.x_min, below],
    [right, below],
    [frame.x_max - edge, frame.y_min],
    [frame.x_min - width + edge, frame.y_min],
  ];
  const inside: [number, number][] = [
    [frame.x_min, frame.y_min],
    [right, frame.y_min],
    [frame.x_min, frame.y_max - height],
    [right, frame.y_max - height],
  ];
  const isRoomy =
    (frame.x_max - frame.x_min) * (frame.y_max - frame.y_min) > ROOMY * width * height &&
    frame.y_max - frame.y_min > 2 * height;
  return isRoomy
    ? [...outside.slice(0, 1), ...inside.slice(0, 1), ...outside.slice(1), ...inside.slice(1)]
    : [...outside, ...inside];
}
