import { drawBoxes } from '../image/boxes.ts';
import { namesOf } from '../zoo/labels.ts';
import type { Detector } from './detector.ts';
import { limitsLeft } from './limits_left.ts';
import type { DetectOptions, DetectOutcome, Photo, PhotoLimits } from './protocol.ts';

/**
 * Looks at one photo, and draws what was found where a picture was asked for.
 * @throws ImageError where the bytes are no photo that can be used; Error where pixels are to be drawn on, not a file
 */
export async function answerDetect(
  detector: Detector,
  photo: Photo,
  options: DetectOptions,
  limits: PhotoLimits,
): Promise<DetectOutcome> {
  const { picture } = options;
  const started = performance.now();
  const found = await detector.detect(photo, options, limits);
  if (!picture) return found;
  if (photo.kind !== 'encoded') throw new Error('only a file can be drawn on');
  const names = namesOf(detector.record);
  const boxes = found.objects.map(({ classId, score, box }) => ({
    classId,
    score,
    box,
    label: names.get(classId) ?? String(classId),
  }));
  const encodedFrom = performance.now();
  const body = await drawBoxes(photo.bytes, boxes, picture, limitsLeft(limits, started));
  return { ...found, body, times: { ...found.times, encode: performance.now() - encodedFrom } };
}
