import { Option } from 'commander';
import { Detector } from '../inference/detector.ts';
import type { Opener } from '../inference/open.ts';
import { openFastest } from '../inference/open.ts';
import type { PrecisionSetting } from '../inference/precision.ts';
import { Segmenter } from '../inference/segmenter.ts';
import { readSettings } from '../settings.ts';
import type { ModelRecord, Task } from '../zoo/record.ts';
import { PRECISIONS } from '../zoo/record.ts';
import { recordNamed, records } from '../zoo/records.ts';
import { ModelStore } from '../zoo/store.ts';
import { CommandError } from './arguments.ts';

/** The record called `name`, catalogued or imported. @throws CommandError listing the models, if there is none */
export function namedRecord(name: string, home: string): ModelRecord {
  const record = recordNamed(name, home);
  if (record) return record;
  const known = records(home).map((entry) => entry.name);
  throw new CommandError(`there is no model '${name}': the models are ${known.join(', ')}`);
}

/** @throws CommandError naming the models for `task`, if that of this name is for another */
function recordFor(task: Task, name: string, home: string): ModelRecord {
  const record = namedRecord(name, home);
  if (record.task === task) return record;
  const fitting = records(home).filter((other) => other.task === task);
  throw new CommandError(
    `${name} is for ${record.task}, not ${task}: models for that are ${fitting.map((entry) => entry.name).join(', ')}`,
  );
}

/** The precision that a model is to run in; what the settings say, where the option is not given. */
export const precisionOption = (): Option =>
  new Option(
    '--precision <precision>',
    'arithmetic: fp32, int8, or auto for the faster that is sound (default: auto)',
  ).choices(['auto', ...PRECISIONS]);

/**
 * Opens a detection model in this process.
 * @param wanted what the settings say where it is left out
 * @throws CommandError naming those that there are, if it is none
 */
export function openDetector(name: string, wanted?: PrecisionSetting): Promise<Detector> {
  return open('detection', Detector.open, name, wanted);
}

/** Opens a segmentation model in this process; otherwise as `openDetector`. */
export function openSegmenter(name: string, wanted?: PrecisionSetting): Promise<Segmenter> {
  return open('segmentation', Segmenter.open, name, wanted);
}

async function open<Runner>(
  task: Task,
  opener: Opener<Runner>,
  name: string,
  wanted: PrecisionSetting | undefined,
): Promise<Runner> {
  const { home, threads, precision } = readSettings({}, process.env);
  const options = { threads, precision: wanted ?? precision };
  const { runner } = await openFastest(opener, recordFor(task, name, home), new ModelStore(home), options);
  return runner;
}
