import type { DetectResponse, SegmentResponse } from '../../openapi/types.ts';
import { namesOf } from '../zoo/labels.ts';
import type { ModelRecord, Precision } from '../zoo/record.ts';
import type { DetectOutcome, SegmentOutcome, StageTimes } from './protocol.ts';

/** To so many digits behind the point. */
export const round = (value: number, digits: number) => Math.round(value * 10 ** digits) / 10 ** digits;

/** A model, and what it ran in. */
export interface Ran {
  readonly record: ModelRecord;
  readonly precision: Precision;
}

/**
 * What the API and the command line say of one photo. Scores keep five digits, boxes hundredths of a pixel, times
 * hundredths of a millisecond: more would be noise.
 * @param total milliseconds since the photo, or the whole request, was there
 */
export function detectResponse(
  { record, precision, madds }: Ran & { readonly madds: number },
  { image, objects, times, queued }: DetectOutcome & { readonly queued: number },
  total: number,
): DetectResponse {
  const names = namesOf(record);
  return {
    model: record.name,
    precision,
    image,
    detections: objects.map(({ classId, score, box }) => ({
      label: names.get(classId) ?? String(classId),
      class_id: classId,
      score: round(score, 5),
      box: {
        x_min: round(box.x_min, 2),
        y_min: round(box.y_min, 2),
        x_max: round(box.x_max, 2),
        y_max: round(box.y_max, 2),
      },
    })),
    timing: { ...stagesOf(times, queued), total_ms: round(total, 2) },
    madds,
  };
}

/** What stands around what was found in a photo: in the order of SegmentResponse, before it and after. */
interface SegmentFrame {
  readonly before: Omit<SegmentResponse, 'segments' | 'confidence_map' | 'timing' | 'madds'>;
  readonly after: Pick<SegmentResponse, 'timing' | 'madds'>;
}

/** @param total milliseconds since the photo, or the whole request, was there */
export function segmentFrame(
  { record, precision }: Ran,
  { image, input, madds, times, queued }: Omit<SegmentOutcome, 'body'> & { readonly queued: number },
  total: number,
): SegmentFrame {
  return {
    before: {
      model: record.name,
      precision,
      image,
      input: { width: input.width, height: input.height },
    },
    after: {
      timing: {
        ...stagesOf(times, queued),
        encode_ms: round(times.encode ?? 0, 2),
        total_ms: round(total, 2),
      },
      madds,
    },
  };
}

/**
 * The JSON of what is said of one photo's classes, around what the worker wrote already, in parts.
 * @param total milliseconds since the photo, or the whole request, was there
 */
export function segmentResponse(
  ran: Ran,
  outcome: SegmentOutcome & { readonly queued: number },
  total: number,
): Uint8Array[] {
  const { before, after } = segmentFrame(ran, outcome, total);
  return [
    Buffer.from(`${JSON.stringify(before).slice(0, -1)},`),
    outcome.body,
    Buffer.from(`,${JSON.stringify(after).slice(1)}`),
  ];
}

const stagesOf = (times: StageTimes, queued: number) => ({
  queue_ms: round(queued, 2),
  decode_ms: round(times.decode, 2),
  preprocess_ms: round(times.preprocess, 2),
  inference_ms: round(times.inference, 2),
  postprocess_ms: round(times.postprocess, 2),
});
