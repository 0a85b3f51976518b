import { join, parse } from 'node:path';
import type { PictureType } from '../image/picture.ts';

/** The files that are written for one photo. */
export interface DetectFiles {
  /** The photo with what was found drawn on it. */
  readonly picture: string;
}

/** What is written for a photo in `folder`: under the photo's own name, but as JPEG where it is neither that nor PNG. */
export function detectFiles(photo: string, folder: string): DetectFiles {
  const { base, name, ext } = parse(photo);
  return { picture: join(folder, /^\.(jpe?g|png)$/i.test(ext) ? base : `${name}.jpg`) };
}

/** What a planned file is written as. */
export const pictureTypeOf = ({ picture }: DetectFiles): PictureType =>
  /\.png$/i.test(picture) ? 'png' : 'jpeg';
