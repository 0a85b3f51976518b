import type { Progress } from './progress.ts';

/** A file that could not be used. */
export interface FailedFile {
  readonly file: string;
  readonly error: { readonly code: string; readonly message: string };
}

/** How `eachPhoto` tells what it does. */
export interface Report<Answer> {
  readonly progress: Progress;
  /** Called with each answer as soon as it is there. */
  show(file: string, answer: Answer): void;
}

/**
 * Works on one photo after another. One bad file is named on stderr, makes the command end with 1, and does not hide
 * what the others show.
 * @returns what is printed of each as JSON, in the order of `files`
 */
export async function eachPhoto<Answer extends object>(
  files: readonly string[],
  work: (file: string) => Promise<Answer>,
  { progress, show }: Report<Answer>,
): Promise<(({ file: string } & Answer) | FailedFile)[]> {
  const images: (({ file: string } & Answer) | FailedFile)[] = [];
  try {
    for (const file of files) {
      try {
        const answer = await work(file);
        images.push({ file, ...answer });
        show(file, answer);
      } catch (error) {
        const { code = 'error', message } = error as { code?: string; message: string };
        images.push({ file, error: { code, message } });
        process.exitCode = 1;
        progress.say(`thinlens: ${file}: ${message}`);
      }
      progress.advance();
    }
  } finally {
    progress.stop();
  }
  return images;
}
