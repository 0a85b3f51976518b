import { classColor } from '../playground/class_colors.ts';
import type { Canvas } from './canvas.ts';
import type { Label } from './labels.ts';
import { drawLabels, styleFor } from './labels.ts';
import type { PictureLimits, PictureType } from './picture.ts';
import { drawOn } from './picture.ts';
import type { Size } from './region.ts';

/** Share of the class's colour inside its region; its outline has the whole of it. */
const OPACITY = 0.5;
/** Lengths along and across, and along diagonals, of steps from pixel to pixel. Source: Borgefors, "Distance transformations in digital images" (1986). */
const STRAIGHT = 3;
const DIAGONAL = 4;
/** Pixels of the longest side of the map that places for labels are looked for in. */
const COARSE = 256;

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
export function paintClasses(canvas: Canvas, { map, background, names }: ClassPicture): void {
  const style = styleFor(canvas);
  const edge = style.edge * STRAIGHT;
  const outline = edge + style.line * STRAIGHT;
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
  const places = middles(map, canvas);
  const present = [...places.keys()].filter((classId) => classId !== background && names.has(classId));
  const labels = present.map((classId): Label => {
    const [x, y] = places.get(classId) as readonly [number, number];
    const name = names.get(classId) as string;
    return {
      texts: [name],
      name,
      color: classColor(classId),
      places: ({ width, height }) =>
        [0, -1, 1, -2, 2, -3, 3].map((step) => [x - width / 2, y - height / 2 + step * height]),
    };
  });
  drawLabels(canvas, style, labels);
}

/**
 * How far each pixel is from the nearest of another class, STRAIGHT for each pixel in between; beyond `most` not to be relied on.
 * The picture's border is none.
 */
function depths(map: Uint8Array, { width, height }: Size, most: number): Uint8Array {
  const top = Math.min(255, most);
  const depth = new Uint8Array(map.length).fill(top);
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

/**
 * The place of each class that lies deepest inside it, where its label covers least of its border: on a coarse map, for that is
 * near enough. Classes whose place is deepest come first.
 */
function middles(map: Uint8Array, size: Size): Map<number, readonly [x: number, y: number]> {
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
  return new Map(
    [...deepest]
      .sort(([, a], [, b]) => (depth[b] as number) - (depth[a] as number))
      .map(([classId, at]) => [classId, [(at % width) * step, Math.floor(at / width) * step] as const]),
  );
}
