import type { RowRuns } from './row_runs.ts';

/** One class as found in a class map. */
export interface ClassSummary {
  readonly class_id: number;
  /** Pixels of the class. */
  readonly pixels: number;
  /** Share of the picture, above 0 to 1. */
  readonly fraction: number;
  /**
   * Smallest box around its pixels, in pixels; the right and lower sides lie behind the last one, as
   * detections' boxes do.
   */
  readonly box: {
    readonly x_min: number;
    readonly y_min: number;
    readonly x_max: number;
    readonly y_max: number;
  };
}

/** Every class that occurs, ascending class id. */
export function summarizeClasses({ height, width, rowStart, end, value }: RowRuns): ClassSummary[] {
  const found = new Map<number, { pixels: number; box: { -readonly [side in keyof Box]: number } }>();
  for (let y = 0; y < height; y++) {
    for (let run = rowStart[y], x = 0; run < rowStart[y + 1]; x = end[run++]) {
      const entry = found.get(value[run]);
      const length = end[run] - x;
      if (entry) {
        entry.pixels += length;
        entry.box.x_min = Math.min(entry.box.x_min, x);
        entry.box.x_max = Math.max(entry.box.x_max, end[run]);
        entry.box.y_max = y + 1;
      } else {
        found.set(value[run], { pixels: length, box: { x_min: x, y_min: y, x_max: end[run], y_max: y + 1 } });
      }
    }
  }
  return [...found]
    .sort(([a], [b]) => a - b)
    .map(([class_id, { pixels, box }]) => ({ class_id, pixels, fraction: pixels / (height * width), box }));
}

type Box = ClassSummary['box'];
