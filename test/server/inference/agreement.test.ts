// How far one form of a network agrees with another, on outputs made up for it.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { ssdAnchors } from '../../../heads/ssdlite/anchors.ts';
import { agreementOf } from '../../../server/inference/agreement.ts';
import { catalog } from '../../../server/zoo/catalog.ts';
import { networkOf } from '../../../server/zoo/network.ts';

const named = (name: string) => catalog.find((record) => record.name === name) ?? assert.fail(name);
const detector = named('ssdlite_mobilenet_v2_coco');
const segmenter = named('deeplabv3_mobilenet_v2_voc');
const square = { width: 300, height: 300 };
const photo = { pixels: new Uint8Array(), size: square, image: square };

/** A detector's outputs with one box: class and logit of each anchor that is named, at the anchor itself. */
function boxes(found: readonly (readonly [anchor: number, classId: number, logit: number])[]) {
  const anchors = ssdAnchors(networkOf(detector).grids).length / 4;
  const logits = new Float32Array(anchors * detector.classColumns).fill(-20);
  for (const [anchor, classId, logit] of found) logits[anchor * detector.classColumns + classId] = logit;
  return { box_encodings: new Float32Array(anchors * 4), class_logits: logits };
}

// Two that do not overlap.
const [FIRST, SECOND] = [1500, 1700];

describe('agreement of boxes', () => {
  const agreement = (actual: ReturnType<typeof boxes>, reference: ReturnType<typeof boxes>) => {
    const meter = agreementOf(detector);
    assert.equal(meter.metric, 'AP');
    meter.add(actual, reference, photo);
    return meter.value();
  };
  const two = boxes([
    [FIRST, 1, 2],
    [SECOND, 1, 1],
  ]);

  test('is 1 with oneself', () => assert.ok(Math.abs((agreement(two, two) as number) - 1) < 1e-9));

  test('is half, where one of two is found', () => {
    // Recall reaches 0.5: 51 of the 101 points that COCO averages over.
    const value = agreement(boxes([[FIRST, 1, 2]]), two) as number;
    assert.ok(Math.abs(value - 51 / 101) < 1e-9, `${value}`);
  });

  test('is 0, where another class is found', () => assert.equal(agreement(boxes([[FIRST, 2, 2]]), two), 0));

  test('does not count what the reference would not show', () => {
    // A logit of -1 is a score of 0.27.
    assert.equal(agreement(two, boxes([[FIRST, 1, -1]])), undefined);
  });
});

describe('agreement of class maps', () => {
  const size = { width: 33, height: 17 };
  const [columns, rows] = [3, 2];
  /** A segmenter's outputs: at each point of the grid one class. */
  const classes = (map: readonly number[]) => ({
    logits: Float32Array.from({ length: segmenter.classColumns * rows * columns }, (_, at) =>
      Math.floor(at / (rows * columns)) === map[at % (rows * columns)] ? 1 : 0,
    ),
  });
  const agreement = (actual: readonly number[], reference: readonly number[]) => {
    const meter = agreementOf(segmenter);
    assert.equal(meter.metric, 'mIoU');
    meter.add(classes(actual), classes(reference), { pixels: new Uint8Array(), size, image: square });
    return meter.value();
  };

  test('is 1 with oneself', () => assert.equal(agreement([0, 0, 8, 8, 0, 0], [0, 0, 8, 8, 0, 0]), 1));

  test('counts the classes that the reference found', () => {
    // Of the upper half, class 8 of the truth, all is missed; the lower half is there, and all that was missed is taken for it.
    const value = agreement([0, 0, 0, 0, 0, 0], [8, 8, 8, 0, 0, 0]) as number;
    // Rows 0 to 8 (9 of 17) or 0 to 7 are nearer to the upper points: a tie goes to the lower class.
    assert.ok(Math.abs(value - 9 / 17 / 2) < 1e-9, `${value}`);
  });
});

test('classes of whole photos have no such measure', () => {
  assert.throws(() => agreementOf({ ...segmenter, task: 'classification' }), /classification/);
});
