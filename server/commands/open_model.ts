import { Detector } from '../inference/detector.ts';
import { Segmenter } from '../inference/segmenter.ts';
import { readSettings } from '../settings.ts';
import type { ModelRecord, Task } from '../zoo/record.ts';
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

/** Opens a detection model in this process. @throws CommandError naming those that there are, if it is none */
export async function openDetector(name: string): Promise<Detector> {
  const { home, threads, executionProvider } = readSettings({}, process.env);
  return Detector.open(recordFor('detection', name, home), new ModelStore(home), threads, executionProvider);
}

/** Opens a segmentation model in this process. @throws CommandError naming those that there are, if it is none */
export async function openSegmenter(name: string): Promise<Segmenter> {
  const { home, threads, executionProvider } = readSettings({}, process.env);
  return Segmenter.open(
    recordFor('segmentation', name, home),
    new ModelStore(home),
    threads,
    executionProvider,
  );
}
