// Where the time of a request went.
import type { SegmentTiming, Timing } from '../../openapi/types.ts';

/** The stages in their order, and what is left of the total: handing the photo to a worker and the answer back. */
export const STAGES = [
  'queue',
  'decode',
  'preprocess',
  'inference',
  'postprocess',
  'encode',
  'other',
] as const;

export interface StageTime {
  readonly stage: (typeof STAGES)[number];
  readonly ms: number;
  /** Of the total. */
  readonly share: number;
}

/** The stages that the answer tells of, and the rest; the shares add up to 1. */
export function stageTimes(timing: Timing | SegmentTiming): StageTime[] {
  const known = STAGES.flatMap((stage) => {
    const ms = (timing as Readonly<Record<string, number>>)[`${stage}_ms`];
    return ms === undefined ? [] : [{ stage, ms }];
  });
  const sum = known.reduce((total, { ms }) => total + ms, 0);
  // Each figure is rounded, so the sum may exceed the total by a hair.
  const total = Math.max(timing.total_ms, sum);
  const all = [...known, { stage: 'other' as const, ms: total - sum }];
  return all.map(({ stage, ms }) => ({ stage, ms, share: total > 0 ? ms / total : 0 }));
}
