import type { InputSize } from '../../models/graph/image_input.ts';
import { LIMITS } from '../zoo/architecture.ts';

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

/** Parses `300` or `480x640` (height and width). @throws CommandError naming the range */
export function resolutionOf(text: string): InputSize {
  const [low, high] = LIMITS.resolution;
  const sides = text.split('x').map((side) => (/^\d+$/.test(side) ? Number(side) : Number.NaN));
  if (sides.length > 2 || !sides.every((side) => side >= low && side <= high)) {
    throw new CommandError(
      `--resolution must be one whole number from ${low} to ${high}, or two as HxW, got '${text}'`,
    );
  }
  const [height = 0, width = height] = sides;
  return { height, width };
}
