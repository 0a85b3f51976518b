import type { Response } from 'express';
import type { ReadyModel } from '../inference/protocol.ts';
import type { InferenceService, ServedModel } from '../inference/service.ts';
import { idsByName } from '../zoo/labels.ts';
import type { Precision, Task } from '../zoo/record.ts';
import { context } from './context.ts';
import { HttpProblem } from './problem.ts';
import { quote } from './query.ts';

/** No more unknown classes than this are named in one problem. */
const MOST_NAMED = 10;
/** Nor are more labels than this. */
const MOST_LABELS = 32;

/** What a request says of the model that is to run. */
export interface ModelQuery {
  readonly model?: string;
  readonly precision?: Precision;
  readonly classes?: readonly string[];
}

/** The model that runs, what it runs in, and the classes of it that are asked for, by id. */
export interface ModelChoice {
  readonly served: ServedModel;
  readonly precision: Precision;
  readonly classIds?: readonly number[];
}

/**
 * The model that a request asks for, or the default one for `task`; metrics and log are told.
 * @throws HttpProblem where there is none of that name, it does something else, cannot run, or lacks precision or classes
 */
export function chooseModel(
  service: InferenceService,
  task: Task,
  { model, precision, classes }: ModelQuery,
  response: Response,
): ModelChoice {
  const { served, loaded } = modelFor(service, task, model ?? service.defaultModel(task));
  const { name } = served.record;
  const { seen } = context(response);
  seen.model = name;
  const chosen = precision ?? loaded.precision;
  if (!loaded.precisions.includes(chosen)) {
    const why = loaded.fallback ? ` (${loaded.fallback.detail})` : '';
    throw new HttpProblem(
      'precision_unavailable',
      `${name} has no ${chosen} here: its precisions are ${loaded.precisions.join(', ')}${why}`,
    );
  }
  seen.precision = chosen;
  return { served, precision: chosen, ...(classes && { classIds: classIdsOf(served, classes) }) };
}

function modelFor(
  service: InferenceService,
  task: Task,
  name: string,
): { served: ServedModel; loaded: ReadyModel } {
  const served = service.model(name);
  if (!served) {
    const known = service.models.map(({ record }) => record.name).join(', ');
    throw new HttpProblem('unknown_model', `there is no model ${quote(name)}: the models are ${known}`);
  }
  if (served.record.task !== task) {
    const fitting = service.models.filter(({ record }) => record.task === task);
    const names = fitting.map(({ record }) => record.name).join(', ');
    throw new HttpProblem(
      'wrong_task',
      `${name} is for ${served.record.task}, and this path is for ${task}: models for that are ${names}`,
    );
  }
  const { loaded } = served;
  if (loaded.state !== 'ready') {
    const why = 'reason' in loaded ? `cannot run: ${loaded.reason}` : 'is loading';
    throw new HttpProblem('model_unavailable', `${name} ${why}`, { headers: { 'Retry-After': '5' } });
  }
  return { served, loaded };
}

/** Class ids of labels or ids as a request gave them. @throws HttpProblem naming those that the model does not have */
function classIdsOf({ record }: ServedModel, wanted: readonly string[]): number[] {
  const ids = idsByName(record.labels);
  const unknown = wanted.filter((text) => !ids.has(text));
  if (unknown.length > 0) {
    const { labels, name } = record;
    const known =
      labels.length <= MOST_LABELS
        ? `its labels are ${labels.map(({ label }) => label).join(', ')}`
        : `GET /v1/models/${name} lists its labels and ids`;
    const detail = `classes has ${unknown.slice(0, MOST_NAMED).map(quote).join(', ')}, which ${record.name} does not know: ${known}`;
    throw new HttpProblem('invalid_parameter', detail, { errors: [{ parameter: 'classes', detail }] });
  }
  return [...new Set(wanted.flatMap((text) => ids.get(text) ?? []))].sort((a, b) => a - b);
}
