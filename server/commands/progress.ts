import cliProgress from 'cli-progress';

/** How far a command is, on stderr; only where that is a terminal. */
export interface Progress {
  /** One more is done. */
  advance(): void;
  /** A line on stderr, which waits for the bar to be done. */
  say(line: string): void;
  stop(): void;
}

/** Draws a bar for `total` images. */
export function startProgress(total: number): Progress {
  const isDrawn = process.stderr.isTTY === true;
  const bar = new cliProgress.SingleBar(
    // Ctrl-C leaves the terminal as it was: its cursor is not hidden, nor its lines kept from wrapping.
    { stream: process.stderr, format: '{bar} {value}/{total} images, {eta} s left', linewrap: true },
    cliProgress.Presets.shades_grey,
  );
  const waiting: string[] = [];
  bar.start(total, 0);
  return {
    advance: () => bar.increment(),
    say(line) {
      if (isDrawn) waiting.push(line);
      else console.error(line);
    },
    stop() {
      bar.stop();
      for (const line of waiting.splice(0)) console.error(line);
    },
  };
}

/** For a command that shows what it does otherwise. */
export const noProgress: Progress = {
  advance() {},
  say: (line) => console.error(line),
  stop() {},
};
