import { Detector } from '../inference/detector.ts';
import { readSettings } from '../settings.ts';
import { catalog, recordNamed } from '../zoo/catalog.ts';
import { ModelStore } from '../zoo/store.ts';
import { CommandError } from './arguments.ts';

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
