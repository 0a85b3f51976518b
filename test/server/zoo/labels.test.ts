// What classes are called.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { backgroundOf, COCO_LABELS, idsByName, VOC_LABELS } from '../../../server/zoo/labels.ts';

const labelled = (...labels: string[]) => labels.map((label, classId) => ({ classId, label }));

test('the background is known by its usual names, wherever it stands', () => {
  assert.equal(backgroundOf(VOC_LABELS), 0);
  assert.equal(backgroundOf(labelled('__background__', 'aeroplane')), 0);
  assert.equal(backgroundOf(labelled('cup', 'Background')), 1);
  assert.equal(backgroundOf(labelled('cup', 'background noise')), undefined);
  assert.equal(backgroundOf(COCO_LABELS), undefined);
});

test('classes are asked for by label, or else by id; one label may be that of several', () => {
  const ids = idsByName(labelled('cup', 'thing', 'thing', '1'));
  assert.deepEqual(ids.get('thing'), [1, 2]);
  assert.deepEqual(ids.get('1'), [3], 'a label comes before an id');
  assert.deepEqual(ids.get('2'), [2]);
  assert.equal(ids.get('4'), undefined);
  assert.deepEqual(idsByName(COCO_LABELS).get('90'), [90]);
});

test("VOC's labels are 21, the background first", () => {
  assert.equal(VOC_LABELS.length, 21);
  assert.deepEqual(VOC_LABELS[20], { classId: 20, label: 'tvmonitor' });
});
