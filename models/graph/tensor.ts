/** A named weight's numbers, row-major. */
export interface Tensor {
  readonly shape: readonly number[];
  readonly data: Float32Array;
}

/** Weights by the names that a graph's nodes use. */
export type Weights = ReadonlyMap<string, Tensor>;

/** Makes a tensor. @throws RangeError if the element count is not the product of `shape`. */
export function tensor(shape: readonly number[], data: Float32Array): Tensor {
  const count = shape.reduce((product, dimension) => product * dimension, 1);
  if (count !== data.length) {
    throw new RangeError(
      `a tensor of shape [${shape.join(', ')}] holds ${count} elements, not ${data.length}`,
    );
  }
  return { shape, data };
}
