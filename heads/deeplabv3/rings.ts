import { forEachHorizontal, type RowEdges } from './row_runs.ts';

/**
 * Boundary of a region of pixels as closed rings of corners. Corners lie on the corners of pixels, so that
 * the pixel in column x and row y covers x to x + 1 and y to y + 1. Pixels that touch at a corner only are
 * not connected (4-connectivity). No ring passes a point twice: where one would touch itself, it is two rings
 * that touch. Along a ring the region is to the left as seen on the screen: outer rings run
 * counter-clockwise, holes clockwise.
 */
export interface Rings {
  /**
   * [corners] Corners are numbered by row, then column, so that those of one line between rows are
   * neighbours.
   */
  readonly x: Int32Array;
  readonly y: Int32Array;
  /** [height + 2] first corner on each line between rows. */
  readonly lineStart: Uint32Array;
  /** [corners] following corner of the ring. */
  readonly next: Int32Array;
  /** [corners] the other corner at the same place, where two rings touch; -1 for none. */
  readonly twin: Int32Array;
  /** First corner of every ring, ascending. */
  readonly outer: readonly number[];
  /** First corner of every hole, ascending, and that of the outer ring that it is in. */
  readonly holes: readonly (readonly [hole: number, outer: number])[];
}

export function traceRings(edges: RowEdges): Rings {
  const corners = collectCorners(edges);
  const { x, y } = corners;
  const starts = splitAtTouches(corners);
  const { next, twin } = corners;

  const ringOf = new Int32Array(x.length);
  const outer: number[] = [];
  const owners = new Map<number, number>();
  const holes: [number, number][] = [];
  for (const start of starts) {
    let area = 0;
    for (let at = start, first = true; first || at !== start; at = next[at], first = false) {
      ringOf[at] = start;
      area += x[at] * y[next[at]] - x[next[at]] * y[at];
    }
    if (area < 0) outer.push(start); // y grows downwards.
  }
  const isOuter = new Set(outer);
  for (const start of starts) {
    if (isOuter.has(start)) continue;
    // The upper left corner of a hole has the region to its left, and the run that ends here begins at a side
    // of the ring that the hole is in, or of another hole in it. That hole begins further up, or as far up
    // and to the left: its ring is known.
    const end = corners.sideBelow[start] >= 0 ? corners.sideBelow[start] : corners.sideBelow[twin[start]];
    const side = corners.upper[end - 1];
    const owner = owners.get(ringOf[side]) ?? ringOf[side];
    owners.set(start, owner);
    holes.push([start, owner]);
  }
  return { x, y, lineStart: corners.lineStart, next, twin, outer, holes };
}

/** Follows every side down the picture and links its two ends, and the two ends of every horizontal edge. */
function collectCorners(edges: RowEdges) {
  const { height } = edges;
  const lineStart = new Uint32Array(height + 2);
  let count = 0;
  for (let line = 0; line <= height; line++) {
    forEachHorizontal(edges, line, (from, to) => {
      if (edges.x[from] !== edges.x[to]) count += 2;
    });
    lineStart[line + 1] = count;
  }
  const x = new Int32Array(count);
  const y = new Int32Array(count);
  const next = new Int32Array(count);
  const twin = new Int32Array(count).fill(-1);
  /** Edge of the row below that begins at a corner, if one does. */
  const sideBelow = new Int32Array(count).fill(-1);
  /** Corner at which the side of an edge begins, above. */
  const upper = new Int32Array(edges.x.length);
  let corner = 0;
  for (let line = 0; line <= height; line++) {
    const firstBelow = edges.rowStart[line];
    const attach = (edge: number) => {
      x[corner] = edges.x[edge];
      y[corner] = line;
      if (corner > lineStart[line] && x[corner - 1] === x[corner]) {
        twin[corner] = corner - 1;
        twin[corner - 1] = corner;
      }
      if (edge >= firstBelow) {
        upper[edge] = corner;
        sideBelow[corner] = edge;
      } else if (edge % 2 === 0) next[upper[edge]] = corner;
      else next[corner] = upper[edge];
      corner++;
    };
    forEachHorizontal(edges, line, (from, to) => {
      if (edges.x[from] === edges.x[to]) upper[Math.max(from, to)] = upper[Math.min(from, to)];
      else {
        attach(from);
        attach(to);
        // Rightwards if the region is above: if it begins above here, or ends below.
        if (from >= firstBelow === (from % 2 === 1)) next[corner - 2] = corner - 1;
        else next[corner - 1] = corner - 2;
      }
    });
  }
  return { x, y, lineStart, next, twin, sideBelow, upper };
}

/** Makes two rings of every ring that touches itself. Returns the first corner of each, ascending. */
function splitAtTouches({ next, twin }: { next: Int32Array; twin: Int32Array }): number[] {
  const starts: number[] = [];
  const seen = new Uint8Array(next.length);
  const path = new Int32Array(next.length);
  /** Place on the path, + 1; 0 for a corner that is not on it. */
  const place = new Int32Array(next.length);
  let length = 0;
  const cutOff = (from: number) => {
    let start = path[from];
    for (let i = from; i < length; i++) {
      start = Math.min(start, path[i]);
      place[path[i]] = 0;
    }
    next[path[length - 1]] = path[from];
    starts.push(start);
    length = from;
  };
  for (let first = 0; first < next.length; first++) {
    for (let at = first; !seen[at]; at = next[at]) {
      seen[at] = 1;
      if (twin[at] >= 0 && place[twin[at]] > 0) {
        const from = place[twin[at]] - 1;
        cutOff(from);
        if (from > 0) next[path[from - 1]] = at;
      }
      path[length++] = at;
      place[at] = length;
    }
    if (length > 0) cutOff(0);
  }
  return starts.sort((a, b) => a - b);
}
