const DIVISOR = 8;

/**
 * Rounds a channel count to a multiple of 8, never more than 10 % below the wanted count.
 * Source: make_divisible of tensorflow/models research/slim/nets/mobilenet/mobilenet.py.
 */
export function makeDivisible(channels: number): number {
  const rounded = Math.max(DIVISOR, Math.floor((channels + DIVISOR / 2) / DIVISOR) * DIVISOR);
  return rounded < 0.9 * channels ? rounded + DIVISOR : rounded;
}

/**
 * What `table` holds for `width`, for families that are published as a few tables instead of a rule.
 * @throws RangeError listing the widths that there are
 */
export function tableAtWidth<Row>(family: string, table: ReadonlyMap<number, Row>, width: number): Row {
  const row = table.get(width);
  if (row === undefined) {
    const known = [...table.keys()].join(', ');
    throw new RangeError(
      `${family} has no channel table for width ${width}: the published widths are ${known}`,
    );
  }
  return row;
}
