import { readdir } from 'node:fs/promises';
import { parse } from 'node:path';
import { CommandError } from './arguments.ts';

/** By what a photo's name may end. */
const PHOTO_EXTENSIONS = ['.jpg', '.jpeg', '.png', '.webp', '.avif', '.gif', '.tif', '.tiff'];

/**
 * Names of a folder's photos in order; hidden files are not looked at.
 * @throws CommandError where the folder cannot be read or holds none
 */
export async function photosIn(folder: string): Promise<string[]> {
  const names = await readdir(folder).catch((error: Error) => {
    throw new CommandError(`${folder} cannot be read: ${error.message}`);
  });
  const photos = names.filter(
    (name) => !name.startsWith('.') && PHOTO_EXTENSIONS.includes(parse(name).ext.toLowerCase()),
  );
  if (photos.length === 0)
    throw new CommandError(`${folder} holds no photos: their names end in ${PHOTO_EXTENSIONS.join(', ')}`);
  return photos.sort();
}
