import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ConfusionMatrix } from '../../../heads/deeplabv3/mean_iou.ts';
import { mulberry32 } from '../../reference/noise.ts';

test('a small picture, counted by hand', () => {
  const matrix = new ConfusionMatrix(4);
  //                        right        0 as 1  1 as 2  void
  const truth = Uint8Array.of(0, 0, 0, 0, 1, 1, 0, 0, 1, 255, 255);
  const prediction = Uint8Array.of(0, 0, 0, 0, 1, 1, 1, 1, 2, 3, 77);
  matrix.add(truth, prediction);
  assert.deepEqual(matrix.evaluate(), {
    // 0: 4 of 6; 1: 2 of 5; 2 does not occur in the truth.
    mIoU: (4 / 6 + 2 / 5) / 2,
    pixel_accuracy: 6 / 9,
    per_class: [
      { class_id: 0, IoU: 4 / 6, ground_truth: 6 },
      { class_id: 1, IoU: 2 / 5, ground_truth: 3 },
    ],
  });
});

test('a class that was never found counts with 0', () => {
  const matrix = new ConfusionMatrix(2);
  matrix.add(Uint8Array.of(0, 0, 0, 1), Uint8Array.of(0, 0, 0, 0));
  assert.equal(matrix.evaluate().mIoU, (3 / 4 + 0) / 2);
});

test('pictures add up pixel by pixel, as sets of places give it', () => {
  const random = mulberry32(3);
  const classes = 6;
  const matrix = new ConfusionMatrix(classes);
  const truth: number[] = [];
  const prediction: number[] = [];
  for (let picture = 0; picture < 20; picture++) {
    const length = 1 + Math.floor(random() * 300);
    const most = 1 + Math.floor(random() * 5); // Class 5 never occurs.
    const t = Array.from({ length }, () => (random() < 0.1 ? 255 : Math.floor(random() * most)));
    const p = t.map((label) => (label < 255 && random() < 0.7 ? label : Math.floor(random() * classes)));
    matrix.add(Uint8Array.from(t), Uint8Array.from(p));
    truth.push(...t);
    prediction.push(...p);
  }
  const kept = [...truth.keys()].filter((i) => truth[i] !== 255);
  const ious = [0, 1, 2, 3, 4].map((c) => {
    const a = new Set(kept.filter((i) => truth[i] === c));
    const b = new Set(kept.filter((i) => prediction[i] === c));
    return [...a].filter((i) => b.has(i)).length / new Set([...a, ...b]).size;
  });
  const found = matrix.evaluate();
  assert.deepEqual(
    found.per_class.map(({ IoU }) => IoU),
    ious,
  );
  assert.ok(Math.abs(found.mIoU - ious.reduce((a, b) => a + b) / 5) < 1e-12);
  const right = kept.filter((i) => truth[i] === prediction[i]).length;
  assert.equal(found.pixel_accuracy, right / kept.length);
});

test('nothing to find: undefined, as -1', () => {
  const matrix = new ConfusionMatrix(21);
  matrix.add(Uint8Array.of(255, 255), Uint8Array.of(0, 1));
  assert.deepEqual(matrix.evaluate(), { mIoU: -1, pixel_accuracy: -1, per_class: [] });
});

test('pictures that do not fit are errors, and leave no trace', () => {
  const matrix = new ConfusionMatrix(3);
  assert.throws(
    () => matrix.add(new Uint8Array(4), new Uint8Array(5)),
    /truth has 4 pixels, the prediction 5/,
  );
  assert.throws(
    () => matrix.add(Uint8Array.of(0, 3), Uint8Array.of(0, 0)),
    /label 3 of the truth is not one of the 3 classes, 0 to 2/,
  );
  assert.throws(() => matrix.add(Uint8Array.of(0, 1), Uint8Array.of(0, 200)), /label 200 of the prediction/);
  assert.equal(matrix.evaluate().mIoU, -1);
  for (const classes of [0, 256, 1.5]) assert.throws(() => new ConfusionMatrix(classes), /classes must be/);
});
