import { readFile } from 'node:fs/promises';
import { join, relative, resolve } from 'node:path';
import { CommandError } from './arguments.ts';

/** Reads a file of a dataset. @throws CommandError where it cannot be read, or `name` leads out of `folder` */
export async function readFrom(folder: string, name: string): Promise<Buffer> {
  const path = resolve(folder, name);
  if (relative(folder, path).startsWith('..'))
    throw new CommandError(`image file '${name}' lies outside ${folder}`);
  try {
    return await readFile(path);
  } catch (error) {
    throw new CommandError(`${join(folder, name)} cannot be read: ${(error as Error).message}`);
  }
}

/**
 * Works on a file of a dataset. What goes wrong with one stops the command, since its figures would be wrong.
 * @throws CommandError saying which file it was
 */
export async function naming<Result>(
  folder: string,
  name: string,
  work: () => Result | Promise<Result>,
): Promise<Result> {
  try {
    return await work();
  } catch (error) {
    throw new CommandError(`${join(folder, name)}: ${(error as Error).message}`, { cause: error });
  }
}
