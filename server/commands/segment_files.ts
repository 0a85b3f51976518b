import { access, realpath } from 'node:fs/promises';
import { basename, dirname, join, parse, resolve } from 'node:path';
import { CommandError } from './arguments.ts';

/** The files that are written for one photo. */
export interface SegmentFiles {
  /** Palette PNG of class ids. */
  readonly classes: string;
  /** JPEG of the photo with its classes laid over it. */
  readonly overlay?: string;
  /** Grey PNG, 255 for a probability of 1. */
  readonly confidence?: string;
}

export interface PlanOptions {
  readonly overlay?: boolean;
  readonly confidence?: boolean;
  /** Replace files that are there, but for `photos`. */
  readonly force?: boolean;
}

/**
 * What is written where.
 * @param folder may be yet to be made
 * @returns by photo
 * @throws CommandError where two photos would be written to one file, or a file would be overwritten
 */
export async function planFiles(
  photos: readonly string[],
  folder: string,
  { overlay = false, confidence = false, force = false }: PlanOptions,
): Promise<Map<string, SegmentFiles>> {
  const originals = new Map<string, string>();
  for (const photo of photos) originals.set(await entryOf(photo), photo);
  const planned = new Map<string, SegmentFiles>();
  const taken = new Map<string, string>();
  for (const photo of photos) {
    const stem = join(folder, parse(photo).name);
    const files = {
      classes: `${stem}.png`,
      ...(overlay && { overlay: `${stem}.overlay.jpg` }),
      ...(confidence && { confidence: `${stem}.confidence.png` }),
    };
    for (const file of Object.values(files)) {
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
