import { Detector } from '../inference/detector.ts';
import { readSettings } from '../settings.ts';
import { catalog, recordNamed } from '../zoo/catalog.ts';
import { ModelStore } from '../zoo/store.ts';

/** A request on the command line that cannot be met; the message is a sentence for the person who typed it. */
export class CommandError extends Error {
  override readonly name = 'CommandError';
}

/** The model that commands use where none is named. */
export const DEFAULT_MODEL = catalog[0]?.name ?? '';

/** Opens a catalogued detection model in this process. @throws CommandError listing the models, if there is none of that name */
export async function openDetector(name: string): Promise<Detector> {
  const { home, threads } = readSettings({}, process.env);
  const record = recordNamed(name);
  if (!record) {
    throw new CommandError(
      `there is no model '${name}': the models are ${catalog.map((entry) => entry.name).join(', ')}`,
    );
  }
  return Detector.open(record, new ModelStore(home), threads);
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
