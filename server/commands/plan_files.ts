import { access, realpath } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { makeFolder } from '../zoo/files.ts';
import { CommandError } from './arguments.ts';

export interface PlanOptions {
  /** Replace files that are there, but for the photos themselves. */
  readonly force?: boolean;
}

/**
 * What is written where.
 * @param filesOf paths of what is written for a photo, in a folder that may be yet to be made
 * @returns by photo
 * @throws CommandError where a photo is given twice, two would be written to one file, or a file would be overwritten
 */
export async function planFiles<Files extends object>(
  photos: readonly string[],
  filesOf: (photo: string) => Files,
  { force = false }: PlanOptions,
): Promise<Map<string, Files>> {
  const originals = new Map<string, string>();
  for (const photo of photos) {
    const entry = await entryOf(photo);
    const other = originals.get(entry);
    if (other !== undefined) throw new CommandError(`${twice(other, photo)}: leave one out`);
    originals.set(entry, photo);
  }
  const planned = new Map<string, Files>();
  const taken = new Map<string, string>();
  for (const photo of photos) {
    const files = filesOf(photo);
    for (const file of Object.values(files) as string[]) {
      const other = taken.get(file);
      if (other !== undefined) {
        throw new CommandError(
          `${other} and ${photo} would both be written to ${file}: rename one, or give them to two runs with different --out`,
        );
      }
      taken.set(file, photo);
      const original = originals.get(await entryOf(file));
      if (original !== undefined)
        throw new CommandError(`${file} would overwrite the photo ${original}: choose another --out`);
      if (!force && (await exists(file)))
        throw new CommandError(`${file} is there already: --force replaces it, another --out leaves it`);
    }
    planned.set(photo, files);
  }
  return planned;
}

/** Makes the folder of --out, unless it is there. @throws CommandError where none can be made */
export async function makeOut(folder: string): Promise<void> {
  await makeFolder(folder).catch((error: Error) => {
    throw new CommandError(`--out must be a folder, or where one can be made: ${error.message}`);
  });
}

const twice = (one: string, other: string) =>
  one === other ? `${one} is given twice` : `${one} and ${other} are the same file, given twice`;

const exists = (path: string) =>
  access(path).then(
    () => true,
    () => false,
  );

/** The place of a file's name, whichever way its folder was reached. */
async function entryOf(path: string): Promise<string> {
  const folder = dirname(resolve(path));
  return join(await realpath(folder).catch(() => folder), basename(path));
}
