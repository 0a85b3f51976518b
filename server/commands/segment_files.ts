import { join, parse } from 'node:path';

/** The files that are written for one photo. */
export interface SegmentFiles {
  /** Palette PNG of class ids. */
  readonly classes: string;
  /** JPEG of the photo with its classes laid over it. */
  readonly overlay?: string;
  /** Grey PNG, 255 for a probability of 1. */
  readonly confidence?: string;
}

/** What of it is wanted. */
export interface SegmentFilesOptions {
  readonly overlay?: boolean;
  readonly confidence?: boolean;
}

/** What is written for a photo in `folder`. */
export function segmentFiles(
  photo: string,
  folder: string,
  { overlay = false, confidence = false }: SegmentFilesOptions,
): SegmentFiles {
  const stem = join(folder, parse(photo).name);
  return {
    classes: `${stem}.png`,
    ...(overlay && { overlay: `${stem}.overlay.jpg` }),
    ...(confidence && { confidence: `${stem}.confidence.png` }),
  };
}
