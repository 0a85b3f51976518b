// What of an answer is shown: the page asks once, with a low threshold, and leaves out here.
import type { Detection } from '../../openapi/types.ts';

/** The lowest score that the page asks the server for, and its slider goes down to. */
export const LOWEST_SCORE = 0.05;
/** The most detections that the page asks for, which is the most that the server gives. */
export const MOST_DETECTIONS = 1000;

/** One class among the findings of a photo. */
export interface ClassPresent {
  readonly classId: number;
  readonly label: string;
  /** Detections of this class. */
  readonly count: number;
}

/** Detections that score at least `threshold`, in the order of the answer: best first. */
export function scoringAtLeast(detections: readonly Detection[], threshold: number): Detection[] {
  return detections.filter(({ score }) => score >= threshold);
}

/** The classes of some detections, each at the place of its first one. */
export function classesOf(detections: readonly Detection[]): ClassPresent[] {
  const classes = new Map<number, ClassPresent>();
  for (const { class_id: classId, label } of detections) {
    classes.set(classId, { classId, label, count: (classes.get(classId)?.count ?? 0) + 1 });
  }
  return [...classes.values()];
}

/** Findings whose class is not among `hidden`. */
export function notHidden<Finding extends { readonly class_id: number }>(
  findings: readonly Finding[],
  hidden: ReadonlySet<number>,
): Finding[] {
  return findings.filter(({ class_id: classId }) => !hidden.has(classId));
}
