/** A request on the command line that cannot be met; the message is a sentence for the person who typed it. */
export class CommandError extends Error {
  override readonly name = 'CommandError';
}

/** A commander option parser for numbers of a range. @throws CommandError naming option and range */
export function numberBetween(
  option: string,
  low: number,
  high: number,
  whole = false,
): (text: string) => number {
  return (text) => {
    const value = text.trim() === '' ? Number.NaN : Number(text);
    if (!(value >= low && value <= high) || (whole && !Number.isInteger(value))) {
      throw new CommandError(
        `${option} must be a ${whole ? 'whole ' : ''}number from ${low} to ${high}, got '${text}'`,
      );
    }
    return value;
  };
}
