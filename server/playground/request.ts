// The request that answers what the page shows: what is hidden and below the threshold left out.
import type { DetectResponse, SegmentResponse } from '../../openapi/types.ts';
import { classTerm, type Query } from './curl.ts';
import { MOST_DETECTIONS, notHidden, scoringAtLeast } from './filter.ts';

/** `max_detections` where the query has none. */
const USUAL_MOST = 100;

/**
 * The parameters that make the server answer what the page shows of one of its answers.
 * @param hidden ids of the classes that are not shown
 * @param threshold of detections, 0 to 1
 * @returns undefined where every class is hidden: no request asks for none
 */
export function shownQuery(
  body: Pick<DetectResponse, 'detections'> | Pick<SegmentResponse, 'segments'>,
  hidden: ReadonlySet<number>,
  threshold: number,
): Query | undefined {
  const isDetection = 'detections' in body;
  const findings = isDetection ? scoringAtLeast(body.detections, threshold) : body.segments;
  const shown = notHidden<(typeof findings)[number]>(findings, hidden);
  if (shown.length === 0 && findings.length > 0) return undefined;
  const terms = new Set(shown.map(({ class_id: classId, label }) => classTerm({ classId, label })));
  const classes = shown.length < findings.length ? [...terms].join(',') : undefined;
  if (!isDetection) return { classes };
  // Where the answer was cut off, hidden classes took places that a request without them would give to others.
  const isCut = findings.length >= MOST_DETECTIONS;
  const most = isCut ? shown.length : shown.length > USUAL_MOST ? MOST_DETECTIONS : undefined;
  return {
    score_threshold: String(threshold),
    max_detections: most === undefined ? undefined : String(most),
    classes,
  };
}
