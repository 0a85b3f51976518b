import { traceRings } from './rings.ts';
import { type RowRuns, rowEdges } from './row_runs.ts';
import { type Simplified, simplifyRings } from './simplification.ts';

/** Corners x1, y1, x2, y2 ... as in COCO's polygons; at least three, the last is joined to the first. */
export type Ring = readonly number[];

/** One connected part of a region. */
export interface Polygon {
  /** Runs counter-clockwise as seen on the screen. */
  readonly outer: Ring;
  /** Run clockwise. */
  readonly holes: readonly Ring[];
}

export interface PolygonOptions {
  /**
   * Pixels that the boundary may be off by, so that it needs fewer corners. Default 0: exactly the pixels of
   * the class. The stairs of a slanted edge are up to 1.42 pixels wide: from 1.5 on they give way to a
   * straight line, below that some of them stay.
   */
  readonly tolerance?: number;
}

/**
 * Outlines of the pixels of one class, top to bottom. Coordinates are whole pixels' corners: the pixel in
 * column x and row y covers x to x + 1 and y to y + 1, as in detections' boxes and COCO's. Pixels that touch
 * at a corner only belong to different polygons (4-connectivity). Rings are simple: they do not cross or
 * touch themselves; two may touch at a corner.
 *
 * With a tolerance of 0, the pixels whose centres are inside an outer ring and not in one of its holes are
 * those of the class. With a larger one every ring lies within the tolerance of its original and the other
 * way round, still simple, none is lost, and no two cross.
 * @throws RangeError if the tolerance is not a number from 0 on
 */
export function polygons(runs: RowRuns, classId: number, { tolerance = 0 }: PolygonOptions = {}): Polygon[] {
  if (!(tolerance >= 0 && tolerance < Infinity))
    throw new RangeError(`tolerance must be a number of pixels, 0 or more, not ${tolerance}`);
  const rings = traceRings(rowEdges(runs, classId));
  const next = simplifyRings(rings, tolerance);
  const read = (start: number) => ringFrom(rings.x, rings.y, rings.next, next, start);
  const found = new Map<number, { outer: Ring; holes: Ring[] }>();
  for (const start of rings.outer) found.set(start, { outer: read(start), holes: [] });
  for (const [hole, outer] of rings.holes) found.get(outer)?.holes.push(read(hole));
  return [...found.values()];
}

/** Coordinates of a ring, from its first corner that is left. */
function ringFrom(x: Int32Array, y: Int32Array, original: Int32Array, next: Simplified, start: number): Ring {
  let first = start;
  while (next[first] < 0) first = original[first];
  const ring: number[] = [];
  let at = first;
  do {
    ring.push(x[at], y[at]);
    at = next[at];
  } while (at !== first);
  return ring;
}
