import { checkSize, type Size } from './size.ts';

/**
 * A class map as its runs along rows. A map of large regions has few, so that what is asked of one class (its
 * polygons, its columns' runs, its pixel count) does not have to look at every pixel again.
 */
export interface RowRuns extends Size {
  /** [height + 1] place of each row's first run; the last number is the count of all runs. */
  readonly rowStart: Uint32Array;
  /**
   * [runs] column behind the run's last pixel. A run begins at 0 or where the one before it in its row ends.
   */
  readonly end: Uint32Array;
  /** [runs] class of the run; never that of its neighbour in the row. */
  readonly value: Uint8Array;
}

/**
 * @param map [height, width] of classes, or of 0 and 1
 * @throws RangeError if the map is not of that size
 */
export function rowRuns(map: Uint8Array, { height, width }: Size): RowRuns {
  checkSize('the class map', map, { height, width });
  const rowStart = new Uint32Array(height + 1);
  let end = new Uint32Array(height * 4);
  let value = new Uint8Array(height * 4);
  let count = 0;
  for (let y = 0, at = 0; y < height; y++) {
    rowStart[y] = count;
    if (end.length < count + width) {
      // Room for a row of any kind, so that the loop below needs no check.
      const length = Math.max(count + width, end.length * 2);
      end = copyTo(new Uint32Array(length), end);
      value = copyTo(new Uint8Array(length), value);
    }
    let current = map[at++];
    for (let x = 1; x < width; x++, at++) {
      if (map[at] === current) continue;
      end[count] = x;
      value[count++] = current;
      current = map[at];
    }
    end[count] = width;
    value[count++] = current;
  }
  rowStart[height] = count;
  return { height, width, rowStart, end: end.slice(0, count), value: value.slice(0, count) };
}

function copyTo<Numbers extends Uint8Array | Uint32Array>(target: Numbers, source: Numbers): Numbers {
  target.set(source);
  return target;
}

/** Where the pixels of one class begin and end along rows: the vertical edges of its region. */
export interface RowEdges extends Size {
  /** [height + 1] place of each row's first edge. */
  readonly rowStart: Uint32Array;
  /**
   * [edges] column of the edge, ascending along the row. Even places are beginnings, each followed by its
   * end.
   */
  readonly x: Uint32Array;
}

export function rowEdges({ height, width, rowStart, end, value }: RowRuns, classId: number): RowEdges {
  let runs = 0;
  for (let run = 0; run < value.length; run++) if (value[run] === classId) runs++;
  const edges = { height, width, rowStart: new Uint32Array(height + 1), x: new Uint32Array(runs * 2) };
  let count = 0;
  for (let y = 0; y < height; y++) {
    edges.rowStart[y] = count;
    for (let run = rowStart[y]; run < rowStart[y + 1]; run++) {
      if (value[run] !== classId) continue;
      edges.x[count++] = run === rowStart[y] ? 0 : end[run - 1];
      edges.x[count++] = end[run];
    }
  }
  edges.rowStart[height] = count;
  return edges;
}

/**
 * Merges the edges of the rows above and below the line between rows `line - 1` and `line` (above the first
 * and below the last row lies nothing), from left to right, and gives their places in `edges.x` in pairs:
 * between the two of a pair, the region has a horizontal edge, of no length where its side goes straight on.
 *
 * Where four edges meet, because two pixels of the region touch at a corner only, the end of a run comes
 * before a beginning. Each of the two pixels so keeps a corner to itself: the region is 4-connected.
 */
export function forEachHorizontal(
  { rowStart, x, height }: RowEdges,
  line: number,
  visit: (from: number, to: number) => void,
): void {
  let above = line > 0 ? rowStart[line - 1] : 0;
  let below = line < height ? rowStart[line] : 0;
  const lastAbove = line > 0 ? rowStart[line] : 0;
  const lastBelow = line < height ? rowStart[line + 1] : 0;
  let pending = -1;
  while (above < lastAbove || below < lastBelow) {
    const takeAbove =
      below === lastBelow ||
      (above < lastAbove && (x[above] < x[below] || (x[above] === x[below] && above % 2 === 1)));
    const edge = takeAbove ? above++ : below++;
    if (pending < 0) pending = edge;
    else {
      visit(pending, edge);
      pending = -1;
    }
  }
}
