import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import type { CocoDetection } from '../../../../heads/ssdlite/coco/detections.ts';
import { type DetectionEvaluation, evaluateDetections } from '../../../../heads/ssdlite/coco/evaluation.ts';
import { type CocoInstances, parseInstances } from '../../../../heads/ssdlite/coco/instances.ts';
import {
  AREA_RANGES,
  IOU_THRESHOLDS,
  MAX_DETECTIONS,
  RECALL_THRESHOLDS,
} from '../../../../heads/ssdlite/coco/parameters.ts';

type Box = [number, number, number, number];
type Figures = Record<string, number | string | number[]>;

const read = (name: string) => JSON.parse(readFileSync(`test/fixtures/${name}`, 'utf8'));
const instances = parseInstances(read('coco-eval.gt.json'), 'coco-eval.gt.json');
const detections: CocoDetection[] = read('coco-eval.dt.json');

/** Every figure of `want` stands in `got`; numbers to 1e-12, everything else exactly. */
function assertFigures(got: object, want: Figures, label: string) {
  for (const [key, wanted] of Object.entries(want)) {
    const found = (got as Figures)[key];
    if (typeof wanted === 'string') assert.equal(found, wanted, `${label} ${key}`);
    else {
      const [foundList, wantedList] = [[found].flat(), [wanted].flat()];
      assert.equal(foundList.length, wantedList.length, `${label} ${key}`);
      wantedList.forEach((value, i) => {
        const difference = Math.abs(Number(foundList[i]) - value);
        assert.ok(difference <= 1e-12, `${label} ${key}[${i}]: ${foundList[i]}, not ${value}`);
      });
    }
  }
}

describe('evaluateDetections against pycocotools', () => {
  const expected = read('coco-eval.expected.json');
  const evaluation = evaluateDetections(instances, detections);

  it('has the same thresholds, area ranges and detection limits, bit for bit', () => {
    assert.deepEqual(IOU_THRESHOLDS, expected.iou_thresholds);
    assert.deepEqual(RECALL_THRESHOLDS, expected.recall_thresholds);
    assert.deepEqual(AREA_RANGES, expected.area_ranges);
    assert.deepEqual(MAX_DETECTIONS, expected.max_detections);
  });

  it('gives the same twelve numbers', () => {
    assert.deepEqual(Object.keys(evaluation.summary), Object.keys(expected.summary));
    assertFigures(evaluation.summary, expected.summary, 'summary');
  });

  it('gives the same figures for every category', () => {
    assert.equal(evaluation.perCategory.length, expected.per_category.length);
    expected.per_category.forEach((want: Figures, i: number) => {
      assertFigures(evaluation.perCategory[i], want, String(want.name));
    });
  });
});

/** A repeatable stream of numbers in [0, 1): the Lehmer generator of Park and Miller. */
function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state * 48271) % 2147483647;
    return state / 2147483647;
  };
}

function shuffled<Item>(items: readonly Item[], next: () => number): Item[] {
  return items
    .map((item) => ({ item, key: next() }))
    .sort((a, b) => a.key - b.key)
    .map(({ item }) => item);
}

/** Objects of three categories and detections that hit some of them: no equal scores, no equal overlaps. */
function scene(seed: number): { instances: CocoInstances; detections: CocoDetection[] } {
  const next = random(seed);
  const images = Array.from({ length: 8 }, (_, i) => ({
    id: i + 1,
    width: 640,
    height: 480,
    file_name: `${i}.jpg`,
  }));
  const categories = ['cat', 'dog', 'cow'].map((name, i) => ({ id: i + 1, name }));
  const annotations = Array.from({ length: 60 }, (_, i) => {
    const bbox: Box = [next() * 400, next() * 300, 5 + next() * 200, 5 + next() * 150];
    const iscrowd: 0 | 1 = next() < 0.1 ? 1 : 0;
    const area = bbox[2] * bbox[3] * (0.5 + next() / 2);
    return {
      id: i + 1,
      image_id: 1 + Math.floor(next() * 8),
      category_id: 1 + Math.floor(next() * 3),
      bbox,
      area,
      iscrowd,
    };
  });
  const found = [...annotations, ...annotations].map(({ image_id, category_id, bbox: [x, y, w, h] }) => {
    const jitter = () => 0.9 + next() * 0.2;
    const bbox: Box = [x * jitter(), y * jitter(), w * jitter(), h * jitter()];
    return { image_id, category_id: next() < 0.9 ? category_id : 1, bbox, score: next() };
  });
  return { instances: { images, annotations, categories }, detections: found };
}

const isDefined = (value: number) => value !== -1;

function assertSame(got: DetectionEvaluation, want: DetectionEvaluation) {
  assertFigures(got.summary, { ...want.summary }, 'summary');
}

describe('evaluateDetections', () => {
  it('gives AP 1 to a detector that finds every object exactly', () => {
    const perfect = instances.annotations
      .filter(({ iscrowd }) => iscrowd === 0)
      .map(({ image_id, category_id, bbox }, i) => ({
        image_id,
        category_id,
        bbox,
        score: 0.1 + ((i * 37) % 101) / 1000,
      }));
    const { summary, perCategory } = evaluateDetections(instances, perfect);
    const { AR_1, AR_10, ...others } = summary;
    assert.deepEqual(new Set(Object.values(others)), new Set([1]));
    // Some images hold more than one object of a category, so one detection can't find them all.
    assert.ok(AR_1 < AR_10 && AR_10 < 1);
    for (const { name, ground_truth, AP } of perCategory) assert.equal(AP, ground_truth > 0 ? 1 : -1, name);
  });

  it('gives 0 where nothing is detected, and -1 where there is nothing to detect', () => {
    const blind = evaluateDetections(instances, []);
    assert.deepEqual(new Set(Object.values(blind.summary)), new Set([0]));
    for (const { name, ground_truth, AP, AR_100 } of blind.perCategory) {
      assert.deepEqual([AP, AR_100], ground_truth > 0 ? [0, 0] : [-1, -1], name);
    }
    const empty = evaluateDetections({ ...instances, annotations: [] }, detections);
    assert.deepEqual(new Set(Object.values(empty.summary)), new Set([-1]));
  });

  it('does not depend on ids or on the order of anything when no two scores or overlaps are equal', () => {
    for (const seed of [1, 2, 3, 4, 5]) {
      const original = scene(seed);
      const want = evaluateDetections(original.instances, original.detections);
      assert.ok(want.summary.AP > 0.05 && want.summary.AP < 0.95);
      assert.ok(Object.values(want.summary).every(isDefined));

      const next = random(seed + 100);
      const names = (items: readonly { id: number }[]) => {
        const ids = shuffled(
          items.map((_, i) => i * 7),
          next,
        );
        return new Map(items.map(({ id }, i) => [id, ids[i]]));
      };
      const { images, annotations, categories } = original.instances;
      const [imageId, annotationId, categoryId] = [names(images), names(annotations), names(categories)];
      const renamed = <Item extends { image_id: number; category_id: number }>(item: Item): Item => ({
        ...item,
        image_id: imageId.get(item.image_id)!,
        category_id: categoryId.get(item.category_id)!,
      });
      const got = evaluateDetections(
        {
          images: shuffled(images, next).map((image) => ({ ...image, id: imageId.get(image.id)! })),
          annotations: shuffled(annotations, next).map((annotation) =>
            renamed({ ...annotation, id: annotationId.get(annotation.id)! }),
          ),
          categories: shuffled(categories, next).map((category) => ({
            ...category,
            id: categoryId.get(category.id)!,
          })),
        },
        shuffled(original.detections, next).map(renamed),
      );
      assertSame(got, want);
    }
  });

  it('depends on the order of the scores only', () => {
    const stretched = detections.map((detection) => ({
      ...detection,
      score: detection.score ** 3 * 50 - 100,
    }));
    assertSame(evaluateDetections(instances, stretched), evaluateDetections(instances, detections));
  });

  it('leaves its arguments as they are', () => {
    const before = structuredClone({ instances, detections });
    evaluateDetections(instances, detections);
    assert.deepEqual({ instances, detections }, before);
  });
});

/** One image with objects of category 1 and as large as their boxes. */
function photo(...boxes: Box[]): CocoInstances {
  return {
    images: [{ id: 5, width: 1000, height: 1000, file_name: 'a.jpg' }],
    categories: [
      { id: 1, name: 'cat' },
      { id: 2, name: 'dog' },
    ],
    annotations: boxes.map((bbox, id) => ({
      id,
      image_id: 5,
      category_id: 1,
      bbox,
      area: bbox[2] * bbox[3],
      iscrowd: 0,
    })),
  };
}

const detect = (score: number, bbox: Box, category_id = 1) => ({ image_id: 5, category_id, bbox, score });

describe('evaluateDetections, worked by hand', () => {
  const left: Box = [0, 0, 10, 10];
  const right: Box = [100, 0, 10, 10];
  const nothing: Box = [500, 500, 10, 10];

  const cases: [name: string, instances: CocoInstances, detections: CocoDetection[], want: Figures][] = [
    [
      'a false positive between two true ones: precision 1 up to recall 0.5, then 2/3',
      photo(left, right),
      [detect(0.9, left), detect(0.8, nothing), detect(0.7, right)],
      {
        AP: (51 + (50 * 2) / 3) / 101,
        AP_small: (51 + (50 * 2) / 3) / 101,
        AP_medium: -1,
        AR_1: 0.5,
        AR_10: 1,
      },
    ],
    [
      'half of the objects found: precision 1 up to recall 0.5, then 0',
      photo(left, right),
      [detect(0.9, left)],
      { AP: 51 / 101, AR_100: 0.5 },
    ],
    [
      'an IoU of exactly 0.6 counts at 0.5, 0.55 and 0.6',
      photo(left),
      [detect(0.9, [0, 0, 10, 6])],
      { AP: 0.3, AP50: 1, AP75: 0, AR_100: 0.3 },
    ],
    [
      'an object is found once; the second detection of it is false',
      photo(left, right),
      [detect(0.9, left), detect(0.8, left), detect(0.7, right)],
      { AP: (51 + (50 * 2) / 3) / 101 },
    ],
    [
      'an annotation of id 0 can be found like any other',
      photo(left),
      [detect(0.9, left)],
      { AP: 1, AR_1: 1 },
    ],
    [
      'the 101st detection on an image does not count',
      photo(left),
      [...Array.from({ length: 100 }, () => detect(0.9, nothing)), detect(0.8, left)],
      { AP: 0, AR_100: 0 },
    ],
    [
      'the limit of 100 is for each category',
      photo(left),
      [...Array.from({ length: 100 }, () => detect(0.9, nothing, 2)), detect(0.8, left)],
      { AP: 1, AR_100: 1 },
    ],
    [
      'detections of a category that the data does not list are left out',
      photo(left),
      [detect(0.9, left, 77), detect(0.8, left)],
      { AP: 1 },
    ],
  ];
  for (const [name, objects, found, want] of cases) {
    it(name, () => assertFigures(evaluateDetections(objects, found).summary, want, 'summary'));
  }

  it('neither rewards nor punishes any number of detections inside a crowd', () => {
    const objects = photo(left, [200, 200, 300, 300]);
    const { annotations } = objects;
    const crowded = { ...objects, annotations: [annotations[0], { ...annotations[1], iscrowd: 1 as const }] };
    const members = [0.99, 0.98, 0.97].map((score, i) => detect(score, [210 + 50 * i, 220, 20, 20]));
    const want = { AP: 1, AR_100: 1, AR_1: 0 };
    assertFigures(evaluateDetections(crowded, [...members, detect(0.5, left)]).summary, want, 'crowd');
    const [cat] = evaluateDetections(crowded, members).perCategory;
    assertFigures(cat, { name: 'cat', ground_truth: 1, crowd: 1, detections: 3, AP: 0 }, 'cat');
  });

  const refused: [name: string, detection: CocoDetection, message: RegExp][] = [
    [
      'an unknown image',
      { ...detect(0.9, left), image_id: 6 },
      /^detections: \[1\]\.image_id must be the id of one of the images, not 6$/,
    ],
    ['a score that is no number', detect(Number.NaN, left), /\[1\]\.score must be a finite number, not NaN$/],
    [
      'an infinite box',
      detect(0.9, [0, 0, Number.POSITIVE_INFINITY, 1]),
      /\[1\]\.bbox must be four finite numbers/,
    ],
    [
      'a box of three numbers',
      { ...detect(0.9, left), bbox: [1, 2, 3] as unknown as Box },
      /\[1\]\.bbox must be four finite numbers .*, not \[1,2,3\]$/,
    ],
  ];
  for (const [name, detection, message] of refused) {
    it(`refuses a detection with ${name}`, () => {
      assert.throws(() => evaluateDetections(photo(left), [detect(0.9, left), detection]), {
        name: 'CocoFormatError',
        message,
      });
    });
  }
});
