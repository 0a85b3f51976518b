// Comparison of detections.
import assert from 'node:assert/strict';
import type { Detection } from '../../openapi/types.ts';

type Box = Detection['box'];

const EDGES = ['x_min', 'y_min', 'x_max', 'y_max'] as const;

/** Intersection over union. */
export function overlap(a: Box, b: Box): number {
  const width = Math.max(0, Math.min(a.x_max, b.x_max) - Math.max(a.x_min, b.x_min));
  const height = Math.max(0, Math.min(a.y_max, b.y_max) - Math.max(a.y_min, b.y_min));
  const area = (box: Box) => (box.x_max - box.x_min) * (box.y_max - box.y_min);
  const union = area(a) + area(b) - width * height;
  return union > 0 ? (width * height) / union : 0;
}

/** Asserts the same objects in the same order, boxes within `pixels` and scores within `score`. */
export function assertAlike(
  actual: readonly Detection[],
  expected: readonly Detection[],
  tolerance: { readonly pixels: number; readonly score: number },
): void {
  assert.deepEqual(
    actual.map(({ label, class_id }) => [label, class_id]),
    expected.map(({ label, class_id }) => [label, class_id]),
  );
  actual.forEach((detection, index) => {
    const wanted = expected[index] as Detection;
    const { label } = detection;
    for (const edge of EDGES) {
      const off = Math.abs(detection.box[edge] - wanted.box[edge]);
      assert.ok(off <= tolerance.pixels, `${label}: ${edge} is ${off} pixels off`);
    }
    const off = Math.abs(detection.score - wanted.score);
    assert.ok(off <= tolerance.score, `${label}: the score is ${off} off`);
  });
}

/** Detections as they are after their image was moved. */
export function shift(detections: readonly Detection[], x: number, y: number): Detection[] {
  return detections.map((detection) => ({
    ...detection,
    box: {
      x_min: detection.box.x_min + x,
      y_min: detection.box.y_min + y,
      x_max: detection.box.x_max + x,
      y_max: detection.box.y_max + y,
    },
  }));
}
