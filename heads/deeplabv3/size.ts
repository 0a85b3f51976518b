/** Extent of a picture or of a grid, in pixels or points. */
export interface Size {
  readonly height: number;
  readonly width: number;
}

/** @throws RangeError unless `values` has one number for each pixel of `size`. */
export function checkSize(what: string, values: { readonly length: number }, { height, width }: Size): void {
  const whole = Number.isSafeInteger(height) && Number.isSafeInteger(width) && height > 0 && width > 0;
  if (!whole) throw new RangeError(`a size of ${width} x ${height} is none: whole numbers from 1 on`);
  if (values.length !== height * width) {
    throw new RangeError(
      `${what} has ${values.length} values; ${width} x ${height} pixels need ${height * width}`,
    );
  }
}
