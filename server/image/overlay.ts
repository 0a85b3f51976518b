import { classColor } from '../playground/class_colors.ts';
import type { Canvas } from './canvas.ts';
import type { Label, Style } from './labels.ts';
import { drawLabels, isSmall, styleFor } from './labels.ts';
import type { PictureLimits, PictureType } from './picture.ts';
import { drawOn } from './picture.ts';
import type { Region, Size } from './region.ts';

/** Share of the class's colour inside its region; its outline has the whole of it. */
const OPACITY = 0.5;
/** Lengths along and across, and along diagonals, of steps from pixel to pixel. Source: Borgefors, "Distance transformations in digital images" (1986). */
const STRAIGHT = 3;
const DIAGONAL = 4;
/** Depths are kept in a byte. */
const DEEPEST = 255;
/** Pixels of the longest side of the map that places for labels are looked for in. */
const COARSE = 256;
/** A label goes inside a region only if that is so many times as large. */
const ROOMY = 4;

/** What is drawn of a class map. */
export interface ClassPicture {
  /** [height, width] of the upright photo */
  readonly map: Uint8Array;
  /** The class that nothing is laid over. */
  readonly background: number;
  /** Names of classes by id; the others stay without a label. */
  readonly names: ReadonlyMap<number, string>;
}

/**
 * The upright photo with every class laid over it in its colour, outlined and named; the background is left as it is.
 * @param bytes of the photo's file
 * @returns the bytes of a file
 * @throws ImageError as `decodeImage`, or where a JPEG cannot be so large
 */
export function drawClasses(
  bytes: Uint8Array,
  picture: ClassPicture,
  type: PictureType,
  limits: PictureLimits,
): Promise<Uint8Array> {
  return drawOn(bytes, type, limits, (canvas) => paintClasses(canvas, picture));
}

/** Lays classes over pixels; see `drawClasses`. Along its border a class has a dark edge, and then a line in its colour. */
export function paintClasses(
  canvas: Canvas,
  { map, background, names }: ClassPicture,
  style: Style = styleFor(canvas),
): void {
  const edge = style.edge * STRAIGHT;
  const outline = Math.min(DEEPEST, edge + style.line * STRAIGHT);
  const depth = depths(map, canvas, outline);
  const colors = Array.from({ length: 256 }, (_, classId) => classColor(classId));
  for (let at = 0; at < map.length; at++) {
    const classId = map[at] as number;
    if (classId === background) continue;
    const color = colors[classId] as readonly number[];
    const within = depth[at] as number;
    for (let channel = 0; channel < 3; channel++) {
      const own = color[channel] as number;
      const under = canvas.pixels[at * 3 + channel] as number;
      canvas.pixels[at * 3 + channel] =
        within < edge ? 0 : within < outline ? own : Math.round(own * OPACITY + under * (1 - OPACITY));
    }
  }
  const shapes = shapesOf(map, canvas, (classId) => classId !== background && names.has(classId));
  const labels = shapes.map((shape): Label => {
    const name = names.get(shape.classId) as string;
    return {
      texts: [name],
      name,
      color: classColor(shape.classId),
      places: (plate) => placesFor(shape, plate, canvas),
    };
  });
  const small = shapes.map(({ box }) => box).filter((box) => isSmall(box, style));
  drawLabels(canvas, style, labels, small);
}

/** In the middle of a large region, or a little above or below; around a small one, so that it is seen. */
function placesFor(
  { area, box, middle: [x, y] }: Shape,
  { width, height }: Size,
  picture: Size,
): [number, number][] {
  const inside = [0, -1, 1, -2, 2, -3, 3].map((step): [number, number] => [
    x - width / 2,
    y - height / 2 + step * height,
  ]);
  const [left, top] = [(box.x_min + box.x_max - width) / 2, (box.y_min + box.y_max - height) / 2];
  const around: [number, number][] = [
    [left, box.y_min - height],
    [left, box.y_max],
  ];
  // Moved onto the picture, such a one would stand on the region.
  if (box.x_max + width <= picture.width) around.push([box.x_max, top]);
  if (box.x_min >= width) around.push([box.x_min - width, top]);
  const room = area / (width * height);
  return room > ROOMY ? [...inside, ...around] : room > 1 ? [...around, ...inside] : around;
}

/**
 * How far each pixel is from the nearest of another class, STRAIGHT for each pixel in between; beyond `most` not to be relied on.
 * The picture's border is none.
 * @param most up to DEEPEST
 */
function depths(map: Uint8Array, { width, height }: Size, most: number): Uint8Array {
  const depth = new Uint8Array(map.length).fill(most);
  for (let y = 0, at = 0; y < height; y++) {
    for (let x = 0; x < width; x++, at++) {
      const classId = map[at];
      if (
        (x > 0 && map[at - 1] !== classId) ||
        (x < width - 1 && map[at + 1] !== classId) ||
        (y > 0 && map[at - width] !== classId) ||
        (y < height - 1 && map[at + width] !== classId)
      ) {
        depth[at] = 0;
      }
    }
  }
  spread(depth, { width, height });
  return depth;
}

/** Lowers each value to the least that a way from another pixel adds up to: once from the upper left, once from the lower right. */
function spread(depth: Uint8Array | Uint16Array, { width, height }: Size): void {
  const relax = (at: number, from: number, step: number) => {
    const through = (depth[from] as number) + step;
    if (through < (depth[at] as number)) depth[at] = through;
  };
  for (let y = 0, at = 0; y < height; y++) {
    for (let x = 0; x < width; x++, at++) {
      if (x > 0) relax(at, at - 1, STRAIGHT);
      if (y === 0) continue;
      relax(at, at - width, STRAIGHT);
      if (x > 0) relax(at, at - width - 1, DIAGONAL);
      if (x < width - 1) relax(at, at - width + 1, DIAGONAL);
    }
  }
  for (let y = height - 1, at = width * height - 1; y >= 0; y--) {
    for (let x = width - 1; x >= 0; x--, at--) {
      if (x < width - 1) relax(at, at + 1, STRAIGHT);
      if (y === height - 1) continue;
      relax(at, at + width, STRAIGHT);
      if (x < width - 1) relax(at, at + width + 1, DIAGONAL);
      if (x > 0) relax(at, at + width - 1, DIAGONAL);
    }
  }
}

/** The part of a class that its label belongs to. */
interface Shape {
  readonly classId: number;
  /** The place that lies deepest inside it, where a label covers least of its border. */
  readonly middle: readonly [x: number, y: number];
  /** In pixels, about. */
  readonly area: number;
  /** It does not reach beyond. */
  readonly box: Region;
}

/** Of each class the part that is widest, on a coarse map, for that is near enough; the widest of all first. */
function shapesOf(map: Uint8Array, size: Size, isWanted: (classId: number) => boolean): Shape[] {
  const step = Math.ceil(Math.max(size.width, size.height) / COARSE);
  const [width, height] = [Math.ceil(size.width / step), Math.ceil(size.height / step)];
  const classes = new Uint8Array(width * height);
  const depth = new Uint16Array(width * height).fill(STRAIGHT * COARSE);
  for (let y = 0, at = 0; y < height; y++) {
    for (let x = 0; x < width; x++, at++) classes[at] = map[y * step * size.width + x * step] as number;
  }
  for (let y = 0, at = 0; y < height; y++) {
    for (let x = 0; x < width; x++, at++) {
      const classId = classes[at];
      // A label belongs away from the picture's border, too.
      const isBorder =
        x === 0 ||
        x === width - 1 ||
        y === 0 ||
        y === height - 1 ||
        classes[at - 1] !== classId ||
        classes[at + 1] !== classId ||
        classes[at - width] !== classId ||
        classes[at + width] !== classId;
      if (isBorder) depth[at] = 0;
    }
  }
  spread(depth, { width, height });
  const deepest = new Map<number, number>();
  for (const [at, classId] of classes.entries()) {
    const best = deepest.get(classId);
    if (best === undefined || (depth[at] as number) > (depth[best] as number)) deepest.set(classId, at);
  }
  return [...deepest]
    .filter(([classId]) => isWanted(classId))
    .sort(([, a], [, b]) => (depth[b] as number) - (depth[a] as number))
    .map(([classId, at]) => {
      const { count, box } = connected(classes, { width, height }, at);
      return {
        classId,
        middle: [(at % width) * step, Math.floor(at / width) * step],
        area: count * step * step,
        // Between two pixels of the coarse map it may go on unseen.
        box: {
          x_min: (box.x_min - 1) * step + 1,
          y_min: (box.y_min - 1) * step + 1,
          x_max: box.x_max * step,
          y_max: box.y_max * step,
        },
      };
    });
}

/** The pixels of one class that hang together with the one at `start`, also over corners: how many there are, and where. */
function connected(
  classes: Uint8Array,
  { width, height }: Size,
  start: number,
): { count: number; box: Region } {
  const seen = new Uint8Array(classes.length);
  seen[start] = 1;
  const found = [start];
  const box = { x_min: width, y_min: height, x_max: 0, y_max: 0 };
  for (const at of found) {
    const [x, y] = [at % width, Math.floor(at / width)];
    box.x_min = Math.min(box.x_min, x);
    box.y_min = Math.min(box.y_min, y);
    box.x_max = Math.max(box.x_max, x + 1);
    box.y_max = Math.max(box.y_max, y + 1);
    for (let down = Math.max(0, y - 1); down <= Math.min(height - 1, y + 1); down++) {
      for (let across = Math.max(0, x - 1); across <= Math.min(width - 1, x + 1); across++) {
        const next = down * width + across;
        if (seen[next] || classes[next] !== classes[start]) continue;
        seen[next] = 1;
        found.push(next);
      }
    }
  }
  return { count: found.length, box };
}
