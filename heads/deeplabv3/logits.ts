/** Scores of every class at every point of a grid, before softmax. */
export interface LogitMap {
  /** [classes, height, width] */
  readonly data: Float32Array;
  readonly classes: number;
  readonly height: number;
  readonly width: number;
}

/** @throws RangeError unless the numbers fit the shape, are finite, and a class index fits a byte */
export function checkLogits({ data, classes, height, width }: LogitMap): void {
  const shape = [classes, height, width];
  if (!shape.every((length) => Number.isInteger(length) && length > 0) || classes > 256) {
    throw new RangeError(
      `logits of shape [${shape}]: whole numbers from 1 on are needed, and at most 256 classes`,
    );
  }
  if (data.length !== classes * height * width)
    throw new RangeError(`logits of shape [${shape}] are not ${data.length} numbers`);
  for (let i = 0; i < data.length; i++) {
    if (!Number.isFinite(data[i])) throw new RangeError(`logit ${i} of [${shape}] is ${data[i]}, not finite`);
  }
}

/**
 * Copies the four corners of one cell of the grid for all classes, as upper left, upper right, lower left,
 * lower right. The neighbour of the last point is itself.
 * @param out [classes, 4]
 */
export function readCell(map: LogitMap, row: number, column: number, out: Float64Array): void {
  const { data, classes, height, width } = map;
  const right = column + 1 < width ? 1 : 0;
  const down = row + 1 < height ? width : 0;
  for (let c = 0, at = row * width + column, to = 0; c < classes; c++, at += height * width, to += 4) {
    out[to] = data[at];
    out[to + 1] = data[at + right];
    out[to + 2] = data[at + down];
    out[to + 3] = data[at + down + right];
  }
}

/** First class with the largest value at one corner of a cell. */
export function cornerWinner(cell: Float64Array, corner: number): number {
  let best = corner;
  for (let at = corner + 4; at < cell.length; at += 4) if (cell[at] > cell[best]) best = at;
  return best >> 2;
}
