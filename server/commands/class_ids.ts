import { quote } from '../../models/weights/quote.ts';
import { idsByName } from '../zoo/labels.ts';
import type { ModelRecord } from '../zoo/record.ts';
import { CommandError } from './arguments.ts';

/** No more labels than this are named in one sentence. */
const MOST_NAMED = 24;

/**
 * Class ids of a list of labels or ids, separated by commas, as --classes takes it.
 * @throws CommandError naming those that the model does not have
 */
export function classIdsOf({ name, labels }: Pick<ModelRecord, 'name' | 'labels'>, list: string): number[] {
  const ids = idsByName(labels);
  const wanted = list.split(',').map((text) => text.trim());
  const unknown = wanted.filter((text) => !ids.has(text));
  if (unknown.length > 0) {
    const some = labels.slice(0, MOST_NAMED).map(({ label }) => label);
    if (labels.length > some.length) some.push(`${labels.length - some.length} more`);
    throw new CommandError(
      `--classes has ${unknown.map(quote).join(', ')}, which ${name} does not know: its classes are ${some.join(', ')}`,
    );
  }
  return [...new Set(wanted.flatMap((text) => ids.get(text) ?? []))];
}
