import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { ParseArgsConfig } from 'node:util';
import { parseArgs } from 'node:util';
import { usableCpus } from '../../server/inference/cpus.ts';
import type { Precision } from '../../server/zoo/record.ts';
import { PRECISIONS } from '../../server/zoo/record.ts';
import type { BenchTask, ContestantKind } from './plan.ts';
import { KINDS, TASKS } from './plan.ts';

/** An option that cannot be used. The message is a sentence for the person who gave it. */
export class OptionError extends Error {
  override readonly name = 'OptionError';
}

export interface BenchOptions {
  readonly images: string;
  readonly seconds: number;
  readonly rounds: number;
  readonly warmUp: number;
  readonly workers: number;
  readonly tasks: readonly BenchTask[];
  readonly precisions: readonly Precision[];
  readonly only: readonly ContestantKind[];
  /** Files to write. */
  readonly json: string | undefined;
  readonly svg: string | undefined;
  /** An earlier result, to be printed and drawn instead of measuring. */
  readonly from: string | undefined;
}

export const BENCH_USAGE = `npm run bench -- [options]
  --images DIR       folder of .jpg photos (samples)
  --seconds N        length of each turn: 16 clients so long, then one client so long (5)
  --rounds N         turns of each contestant (5)
  --warm-up N        seconds that each works before anything is measured (10)
  --workers N        worker processes of thinlens and processes of the floor (CPUs that may be used)
  --tasks NAMES      of ${TASKS.join(', ')}; separated by commas, as are the next two
  --precisions NAMES of ${PRECISIONS.join(', ')}
  --only NAMES       of ${KINDS.join(', ')}
  --quick            a glance: 2 rounds of 2 seconds after 3 of warm-up
  --json FILE        write all figures there
  --svg FILE         write a chart there
  --from FILE        print and draw what --json wrote, instead of measuring
  --help`;

/** @throws OptionError */
export function parseBenchOptions(args: readonly string[]): BenchOptions | 'help' {
  const values = parsed(args, {
    images: { type: 'string', default: 'samples' },
    seconds: { type: 'string' },
    rounds: { type: 'string' },
    'warm-up': { type: 'string' },
    workers: { type: 'string', default: String(usableCpus()) },
    tasks: { type: 'string', default: TASKS.join() },
    precisions: { type: 'string', default: PRECISIONS.join() },
    only: { type: 'string', default: KINDS.join() },
    quick: { type: 'boolean', default: false },
    json: { type: 'string' },
    svg: { type: 'string' },
    from: { type: 'string' },
    help: { type: 'boolean', default: false },
  });
  if (values.help) return 'help';
  const [seconds, rounds, warmUp] = values.quick ? ['2', '2', '3'] : ['5', '5', '10'];
  return {
    images: values.images,
    seconds: positive('seconds', values.seconds ?? seconds),
    rounds: count('rounds', values.rounds ?? rounds),
    warmUp: positive('warm-up', values['warm-up'] ?? warmUp),
    workers: count('workers', values.workers),
    tasks: names('tasks', values.tasks, TASKS),
    precisions: names('precisions', values.precisions, PRECISIONS),
    only: names('only', values.only, KINDS),
    json: values.json,
    svg: values.svg,
    from: values.from,
  };
}

type OptionTable = NonNullable<ParseArgsConfig['options']>;

/** `parseArgs` of node:util, with OptionError. */
export function parsed<const Table extends OptionTable>(
  args: readonly string[],
  options: Table,
): ReturnType<typeof parseArgs<{ options: Table }>>['values'] {
  try {
    return parseArgs({ args: [...args], options }).values;
  } catch (error) {
    throw new OptionError((error as Error).message);
  }
}

/** @throws OptionError where `text` is no number above 0 */
export function positive(option: string, text: string): number {
  const value = Number(text);
  if (/^\d*\.?\d+$/.test(text) && value > 0) return value;
  throw new OptionError(`--${option} is '${text}', but must be a number above 0`);
}

/** @throws OptionError where `text` is no whole number above 0 */
export function count(option: string, text: string): number {
  const value = Number(text);
  if (/^\d+$/.test(text) && value > 0) return value;
  throw new OptionError(`--${option} is '${text}', but must be a whole number above 0`);
}

function names<Name extends string>(option: string, text: string, known: readonly Name[]): Name[] {
  const wanted = text.split(',').map((name) => name.trim());
  const stray = wanted.find((name) => !known.includes(name as Name));
  if (stray === undefined) return known.filter((name) => wanted.includes(name));
  throw new OptionError(
    `--${option} names '${stray}', but must be of ${known.join(', ')}, separated by commas`,
  );
}

/** The photos of a folder, in the order of their names. @throws OptionError where there are none */
export function photosIn(folder: string): string[] {
  let found: string[];
  try {
    found = readdirSync(folder);
  } catch (error) {
    throw new OptionError(
      `--images is '${folder}', but must be a folder of .jpg photos (${(error as NodeJS.ErrnoException).code})`,
    );
  }
  const photos = found.filter((name) => /\.jpe?g$/i.test(name)).sort();
  if (photos.length > 0) return photos.map((name) => join(folder, name));
  throw new OptionError(`there is no .jpg in ${folder}: --images must be a folder of .jpg photos`);
}
