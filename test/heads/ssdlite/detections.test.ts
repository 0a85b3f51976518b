import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Detection, DetectionOptions } from '../../../heads/ssdlite/detections.ts';
import { detections, MAX_CANDIDATES } from '../../../heads/ssdlite/detections.ts';
import { mulberry32 } from '../../reference/noise.ts';

const COLUMNS = 5;
const defaults: DetectionOptions = {
  scoreThreshold: 0.3,
  iouThreshold: 0.6,
  maxDetections: 100,
  agnosticNms: false,
  classIds: [1, 2, 3, 4],
};

/** Random anchors with random encodings and logits. */
function scene(seed: number, count: number) {
  const random = mulberry32(seed);
  const anchors = new Float32Array(count * 4);
  for (let i = 0; i < count; i++) {
    const [y, x, h, w] = [random() * 0.8, random() * 0.8, 0.05 + random() * 0.4, 0.05 + random() * 0.4];
    anchors.set([y, x, y + h, x + w], i * 4);
  }
  const encodings = Float32Array.from({ length: count * 4 }, () => random() * 2 - 1);
  // Quarter steps, so that many scores are equal.
  const logits = Float32Array.from({ length: count * COLUMNS }, () => Math.round((random() * 8 - 5) * 4) / 4);
  return { anchors, encodings, logits };
}

const run = (
  { anchors, encodings, logits }: ReturnType<typeof scene>,
  options: Partial<DetectionOptions> = {},
) => detections(encodings, logits, anchors, { ...defaults, ...options });

type Box = Detection['box'];

function iou(a: Box, b: Box): number {
  const height = Math.min(a.yMax, b.yMax) - Math.max(a.yMin, b.yMin);
  const width = Math.min(a.xMax, b.xMax) - Math.max(a.xMin, b.xMin);
  if (height <= 0 || width <= 0) return 0;
  const area = ({ yMin, xMin, yMax, xMax }: Box) => (yMax - yMin) * (xMax - xMin);
  return (height * width) / (area(a) + area(b) - height * width);
}

/** The definition, written out: sort all pairs, decode each, keep greedily, and clip what was kept. */
function bySpecification(
  { anchors, encodings, logits }: ReturnType<typeof scene>,
  options: DetectionOptions,
): Detection[] {
  const all = [];
  for (let anchor = 0; anchor < anchors.length / 4; anchor++) {
    const [y0, x0, y1, x1] = anchors.subarray(anchor * 4, anchor * 4 + 4) as unknown as [
      number,
      number,
      number,
      number,
    ];
    const [ty, tx, th, tw] = encodings.subarray(anchor * 4, anchor * 4 + 4) as unknown as [
      number,
      number,
      number,
      number,
    ];
    const [cy, cx] = [(ty / 10) * (y1 - y0) + (y0 + y1) / 2, (tx / 10) * (x1 - x0) + (x0 + x1) / 2];
    const [h, w] = [Math.exp(th / 5) * (y1 - y0), Math.exp(tw / 5) * (x1 - x0)];
    const box = { yMin: cy - h / 2, xMin: cx - w / 2, yMax: cy + h / 2, xMax: cx + w / 2 };
    for (const classId of options.classIds) {
      const score = 1 / (1 + Math.exp(-(logits[anchor * COLUMNS + classId] as number)));
      if (score >= options.scoreThreshold)
        all.push({ classId, score, box, order: anchor * COLUMNS + classId });
    }
  }
  all.sort((a, b) => b.score - a.score || a.order - b.order);
  const kept: typeof all = [];
  for (const candidate of all) {
    const rivals = kept.filter(({ classId }) => options.agnosticNms || classId === candidate.classId);
    if (rivals.every(({ box }) => iou(box, candidate.box) <= options.iouThreshold)) kept.push(candidate);
  }
  const clip = (value: number) => Math.min(1, Math.max(0, value));
  return kept.slice(0, options.maxDetections).map(({ classId, score, box }) => ({
    classId,
    score,
    box: { yMin: clip(box.yMin), xMin: clip(box.xMin), yMax: clip(box.yMax), xMax: clip(box.xMax) },
  }));
}

describe('detections', () => {
  for (const agnosticNms of [false, true]) {
    test(`equal the definition on random scenes, ${agnosticNms ? 'across' : 'within'} classes`, () => {
      for (let seed = 1; seed <= 30; seed++) {
        const random = scene(seed, 60);
        const options = {
          ...defaults,
          agnosticNms,
          iouThreshold: (seed % 10) / 10,
          maxDetections: seed % 3 ? 100 : 7,
        };
        const found = run(random, options);
        assert.ok(found.length > 3, 'the scene is not trivial');
        assert.deepEqual(found, bySpecification(random, options));
      }
    });
  }

  test('come best first, equal scores by anchor and then class', () => {
    const apart = scene(1, 4);
    apart.anchors.set([0, 0, 0.1, 0.1, 0.3, 0.3, 0.4, 0.4, 0.6, 0.6, 0.7, 0.7, 0.8, 0.8, 0.9, 0.9]);
    apart.encodings.fill(0);
    apart.logits.fill(1);
    const found = run(apart);
    assert.deepEqual(
      found.map(({ classId, box }) => [Math.round(box.yMin * 10), classId]),
      [0, 3, 6, 8].flatMap((y) => [1, 2, 3, 4].map((classId) => [y, classId])),
    );
  });

  test('a score equal to the threshold is reported, at every threshold', () => {
    for (const logit of [-6, -2.5, 0, 0.75, 3, 8]) {
      const one = scene(2, 1);
      one.logits.fill(-20);
      one.logits[2] = logit;
      const scoreThreshold = 1 / (1 + Math.exp(-logit));
      assert.equal(run(one, { scoreThreshold }).length, 1, `at ${scoreThreshold}`);
      assert.equal(run(one, { scoreThreshold: scoreThreshold + 1e-9 }).length, 0, `above ${scoreThreshold}`);
    }
  });

  test('passes over no prediction, wherever it stands', () => {
    for (let count = 1; count <= 5; count++) {
      for (let anchor = 0; anchor < count; anchor++) {
        for (const classId of defaults.classIds) {
          const one = scene(count, count);
          one.logits.fill(-20);
          one.logits[anchor * COLUMNS + classId] = 2;
          one.encodings.fill(0);
          assert.deepEqual(
            run(one).map((found) => found.classId),
            [classId],
          );
        }
      }
    }
  });

  test('threshold 1 reports nothing but certainty, threshold 0 is bounded', () => {
    const many = scene(3, 2000);
    assert.deepEqual(run(many, { scoreThreshold: 1 }), []);
    const certain = scene(3, 2);
    certain.logits.fill(-20);
    certain.logits[1] = 40;
    assert.deepEqual(
      run(certain, { scoreThreshold: 1 }).map(({ score }) => score),
      [1],
    );
    const all = run(many, { scoreThreshold: 0, iouThreshold: 1, maxDetections: 100_000 });
    assert.equal(all.length, MAX_CANDIDATES);
    const best = bySpecification(many, {
      ...defaults,
      scoreThreshold: 0,
      iouThreshold: 1,
      maxDetections: MAX_CANDIDATES,
    });
    assert.deepEqual(all, best);
  });

  test('the background and classes not asked for are never reported', () => {
    const loud = scene(4, 40);
    for (let i = 0; i < loud.logits.length; i += COLUMNS) loud.logits[i] = 20;
    const found = run(loud, { classIds: [3] });
    assert.ok(found.length > 0);
    assert.ok(found.every(({ classId }) => classId === 3));
  });

  test('a box outside the image is left out, one across the border is clipped', () => {
    const border = scene(5, 2);
    border.anchors.set([-0.5, 0.2, -0.1, 0.4, -0.1, 0.2, 0.3, 0.4]);
    border.encodings.fill(0);
    border.logits.fill(-20);
    border.logits[1] = 5;
    border.logits[COLUMNS + 1] = 4;
    const found = run(border);
    assert.equal(found.length, 1);
    assert.equal(found[0]?.box.yMin, 0);
  });

  test('numbers that are no box do not become one', () => {
    const broken = scene(6, 3);
    broken.encodings.fill(Number.NaN);
    broken.logits.fill(5);
    assert.deepEqual(run(broken), []);
  });

  test('arrays that do not belong together are refused', () => {
    const { anchors, encodings, logits } = scene(7, 3);
    assert.throws(() => detections(encodings.subarray(4), logits, anchors, defaults), /do not fit/);
  });
});
