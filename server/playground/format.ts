// Numbers and sentences for people.
import type { Detection, Model, Segment } from '../../openapi/types.ts';
import { type ClassPresent, MOST_DETECTIONS } from './filter.ts';

/** A share of the photo, with enough digits that something is never called nothing. */
export function sharePercent(fraction: number): string {
  const percent = fraction * 100;
  if (percent < 0.1) return 'under 0.1 %';
  return `${percent < 10 ? percent.toFixed(1) : Math.round(percent)} %`;
}

/** Milliseconds with three digits or so: 0.45 ms, 7.2 ms, 128 ms. */
export function milliseconds(ms: number): string {
  if (ms === 0) return '0 ms';
  return `${ms < 1 ? ms.toFixed(2) : ms < 100 ? ms.toFixed(1) : Math.round(ms)} ms`;
}

/** A count with the prefix that keeps it below 1000: 749.5 M, 2.07 G. */
export function count(value: number): string {
  if (value >= 1e9) return `${(value / 1e9).toFixed(2)} G`;
  if (value >= 1e6) return `${(value / 1e6).toFixed(value < 1e8 ? 2 : 1)} M`;
  return String(value);
}

/** Text as a sentence: a capital first, a full stop last. */
export function sentence(text: string): string {
  const trimmed = text.trim();
  const begun = trimmed.charAt(0).toUpperCase() + trimmed.slice(1);
  return /[.!?…]$/.test(begun) || begun === '' ? begun : `${begun}.`;
}

/** `1 object`, `2 objects`. */
export function plural(amount: number, one: string, many = `${one}s`): string {
  return `${amount} ${amount === 1 ? one : many}`;
}

/** What was found: a short sentence to see, and with it the classes for those who listen, as the chips show them. */
export interface Summary {
  readonly short: string;
  readonly full: string;
}

/**
 * What was detected.
 * @param all of the answer, best first; as many as the page asks for may be all, or the best of more
 * @param above those of at least the threshold
 * @param classes of `above`
 * @param shown how many of `above` are of a class that is not hidden
 */
export function detectionSummary(
  all: readonly Detection[],
  above: readonly Detection[],
  classes: readonly ClassPresent[],
  shown: number,
  threshold: number,
): Summary {
  const [best] = all;
  if (!best) return alone('Nothing was found.');
  const floor = `${Math.round(threshold * 100)} %`;
  if (above.length === 0) {
    // Rounded down: the best must not seem to reach what it does not.
    const most = (Math.floor(best.score * 1000) / 10).toFixed(1);
    return alone(`Nothing scores ${floor} or more; the best is ${best.label} with ${most} %.`);
  }
  const isCut = all.length >= MOST_DETECTIONS && above.length === all.length;
  const objects = `${isCut ? 'The best ' : ''}${plural(above.length, 'object')}`;
  const short = `${objects} at ${floor} or more${aside(above.length, shown)}.`;
  return { short, full: `${short} ${sentence(classes.map(classCount).join(', '))}` };
}

/** What was segmented. */
export function segmentSummary(segments: readonly Segment[], shown: number): Summary {
  if (segments.length === 0) return alone('No class was found; the whole photo is background.');
  const share = sharePercent(segments.reduce((sum, { fraction }) => sum + fraction, 0));
  const classes = plural(segments.length, 'class', 'classes');
  const short = `${classes} on ${share} of the photo${aside(segments.length, shown)}.`;
  const found = segments.map(({ label, fraction }) => `${label} ${sharePercent(fraction)}`);
  return { short, full: `${short} ${sentence(found.join(', '))}` };
}

/** `cat`, `cat × 2`. */
export function classCount({ label, count: amount }: ClassPresent): string {
  return amount === 1 ? label : `${label} × ${amount}`;
}

const alone = (short: string): Summary => ({ short, full: short });
const aside = (found: number, shown: number) =>
  shown === found ? '' : `, ${shown === 0 ? 'all' : found - shown} hidden`;

/** What a model is worth in one precision, and what it costs. */
export function modelFacts({ accuracy, parameters, madds, licence }: Model, precision: string): string[] {
  const value = precision === 'int8' ? accuracy?.value_int8 : accuracy?.value;
  const worth =
    accuracy && value !== undefined
      ? [`${accuracy.metric} ${value.toFixed(3)} on ${accuracy.measured_on}`]
      : [];
  return [...worth, `${count(parameters)} parameters`, `${count(madds)} MAdds`, licence];
}

/** What a model is called in the picker, with the reason where it cannot be picked. */
export function modelOption({ title, state, reason }: Model): string {
  if (state === 'ready') return title;
  return `${title} – ${state === 'loading' ? 'loading' : (reason ?? state)}`;
}
