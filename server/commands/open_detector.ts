import { Detector } from '../inference/detector.ts';
import { readSettings } from '../settings.ts';
import type { ModelRecord } from '../zoo/record.ts';
import { DEFAULT_MODEL, recordNamed, records } from '../zoo/records.ts';
import { ModelStore } from '../zoo/store.ts';
import { CommandError } from './arguments.ts';

export { DEFAULT_MODEL };

/** The record called `name`, catalogued or imported. @throws CommandError listing the models, if there is none */
export function namedRecord(name: string, home: string): ModelRecord {
  const record = recordNamed(name, home);
  if (record) return record;
  const known = records(home).map((entry) => entry.name);
  throw new CommandError(`there is no model '${name}': the models are ${known.join(', ')}`);
}

/** Opens a detection model in this process. @throws CommandError listing the models, if there is none of that name */
export async function openDetector(name: string): Promise<Detector> {
  const { home, threads } = readSettings({}, process.env);
  const record = namedRecord(name, home);
  if (record.task !== 'detection') {
    const fitting = records(home).filter(({ task }) => task === 'detection');
    throw new CommandError(
      `${name} is for ${record.task}, not detection: models for that are ${fitting.map((entry) => entry.name).join(', ')}`,
    );
  }
  return Detector.open(record, new ModelStore(home), threads);
}
