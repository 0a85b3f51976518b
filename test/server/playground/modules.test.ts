// What the page computes without a browser: labels' places, filters, sentences and the curl command.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { describe, test } from 'node:test';
import type { Detection, Model } from '../../../openapi/types.ts';
import { classTerm, curlCommand, shellWord, withQuery } from '../../../server/playground/curl.ts';
import { classesOf, MOST_DETECTIONS, notHidden, scoringAtLeast } from '../../../server/playground/filter.ts';
import {
  count,
  detectionSummary,
  milliseconds,
  modelFacts,
  modelOption,
  segmentSummary,
  sentence,
  sharePercent,
} from '../../../server/playground/format.ts';
import { placeLabels, type Rectangle } from '../../../server/playground/label_layout.ts';
import { shownQuery } from '../../../server/playground/request.ts';
import { scorePercent } from '../../../server/playground/score_percent.ts';
import { stageTimes } from '../../../server/playground/timing.ts';

const detection = (label: string, class_id: number, score: number): Detection => ({
  label,
  class_id,
  score,
  box: { x_min: 0, y_min: 0, x_max: 10, y_max: 10 },
});

test('a score that is not 1 is never called 100 %', () => {
  assert.deepEqual([0, 0.004, 0.875, 0.99849, 1].map(scorePercent), ['0 %', '0 %', '88 %', '99 %', '100 %']);
});

describe('the curl command', () => {
  const words = (command: string) =>
    execFileSync('/bin/sh', ['-c', `printf '%s\\0' ${command}`], { encoding: 'utf8' })
      .split('\0')
      .slice(0, -1);

  for (const name of [
    'photo.jpg',
    "it's mine.jpg",
    'a b.jpg',
    '$(touch x) `y` "z".jpg',
    '-',
    '--help',
    'back\\slash*?.jpg',
    'zwei\nzeilen.jpg',
    '写真.jpg',
    '!!;&|<>#~.jpg',
  ]) {
    test(`gives a shell the file ${JSON.stringify(name)} and the address as they are`, () => {
      const url = 'http://127.0.0.1:8080/v1/detect?model=a&score_threshold=0.3';
      assert.deepEqual(words(curlCommand(url, { kind: 'file', name })), [
        'curl',
        '--data-binary',
        `@${name === '-' ? './-' : name}`,
        url,
      ]);
    });
  }

  test('of a sample takes it from the server', () => {
    assert.equal(
      curlCommand('http://h/v1/detect?model=a&b=c', { kind: 'url', url: 'http://h/playground/cat.jpg' }),
      [
        'curl -s http://h/playground/cat.jpg |',
        'curl --data-binary @- \\',
        "'http://h/v1/detect?model=a&b=c'",
      ].join('\n'),
    );
  });

  test('quotes nothing that needs no quotes, and the empty word', () => {
    assert.deepEqual([shellWord('a/b.c'), shellWord(''), shellWord("'")], ['a/b.c', "''", "''\\'''"]);
  });

  test('leaves out parameters without a value, and encodes the others', () => {
    assert.equal(
      withQuery('/x', { a: undefined, b: 'traffic light,dog', c: '0.3' }),
      '/x?b=traffic%20light,dog&c=0.3',
    );
    assert.equal(withQuery('/x', { a: undefined }), '/x');
  });

  test('names classes by labels, unless the query would read them otherwise', () => {
    const terms = ['cat', 'salt, pepper', '7', ' padded'].map((label) => classTerm({ classId: 5, label }));
    assert.deepEqual(terms, ['cat', '5', '5', '5']);
  });
});

describe('filters', () => {
  const all = [
    detection('cat', 17, 0.9),
    detection('dog', 18, 0.5),
    detection('cat', 17, 0.3),
    detection('cup', 47, 0.29),
  ];

  test('keep what scores the threshold or more', () => {
    assert.deepEqual(scoringAtLeast(all, 0.3), all.slice(0, 3));
    assert.deepEqual(scoringAtLeast(all, 0.95), []);
  });

  test('list classes by their best detection, with how many there are', () => {
    assert.deepEqual(classesOf(all.slice(0, 3)), [
      { classId: 17, label: 'cat', count: 2 },
      { classId: 18, label: 'dog', count: 1 },
    ]);
  });

  test('leave out hidden classes', () => {
    assert.deepEqual(notHidden(all, new Set([17, 47])), [all[1]]);
  });

  test('are told in a sentence', () => {
    const above = all.slice(0, 3);
    const tell = (threshold: number, found: Detection[], shown = found.length) =>
      detectionSummary(all, found, classesOf(found), shown, threshold);
    assert.deepEqual(tell(0.3, above), {
      short: '3 objects at 30 % or more.',
      full: '3 objects at 30 % or more. Cat × 2, dog.',
    });
    assert.equal(tell(0.3, above, 1).short, '3 objects at 30 % or more, 2 hidden.');
    assert.equal(tell(0.95, []).full, 'Nothing scores 95 % or more; the best is cat with 90.0 %.');
    assert.equal(tell(0.3, above, 0).short, '3 objects at 30 % or more, all hidden.');
    assert.equal(detectionSummary([], [], [], 0, 0.3).short, 'Nothing was found.');
  });

  test('say so where an answer was cut off, unless what was cut off is below the threshold', () => {
    const many = Array.from({ length: MOST_DETECTIONS }, (_, at) =>
      detection('cat', 17, at < 400 ? 0.9 : 0.1),
    );
    const tell = (threshold: number) => {
      const found = scoringAtLeast(many, threshold);
      return detectionSummary(many, found, classesOf(found), found.length, threshold).short;
    };
    assert.equal(tell(0.05), `The best ${MOST_DETECTIONS} objects at 5 % or more.`);
    assert.equal(tell(0.5), '400 objects at 50 % or more.');
  });
});

describe('the request for what is shown', () => {
  const all = [
    detection('cat', 17, 0.9),
    detection('dog', 18, 0.5),
    detection('cat', 17, 0.3),
    detection('cup', 47, 0.29),
  ];
  const query = (hidden: number[], threshold: number, detections = all) =>
    JSON.parse(JSON.stringify(shownQuery({ detections }, new Set(hidden), threshold) ?? null)) as unknown;

  for (const [what, hidden, threshold, want] of [
    ['names no classes where none is hidden', [], 0.3, { score_threshold: '0.3' }],
    ['names those that are left', [18], 0.2, { score_threshold: '0.2', classes: 'cat,cup' }],
    ['and only those above the threshold', [18], 0.3, { score_threshold: '0.3', classes: 'cat' }],
    ['forgets hidden classes that were not found', [47, 90], 0.3, { score_threshold: '0.3' }],
    ['is there where nothing scores so much', [17], 0.95, { score_threshold: '0.95' }],
    ['does not exist where every class is hidden', [17, 18], 0.3, null],
  ] as const) {
    test(what, () => assert.deepEqual(query([...hidden], threshold), want));
  }

  test('asks for more than usual only where there is more', () => {
    const many = (length: number) =>
      Array.from({ length }, (_, at) => detection(at % 2 ? 'cat' : 'dog', at % 2 ? 17 : 18, 0.5));
    assert.deepEqual(query([], 0.05, many(100)), { score_threshold: '0.05' });
    assert.deepEqual(query([], 0.05, many(101)), { score_threshold: '0.05', max_detections: '1000' });
    assert.deepEqual(query([17], 0.05, many(150)), { score_threshold: '0.05', classes: 'dog' });
    // The server would fill the places of the cats with dogs that the page does not know of.
    const rest = { score_threshold: '0.05', max_detections: '500', classes: 'dog' };
    assert.deepEqual(query([17], 0.05, many(MOST_DETECTIONS)), rest);
  });

  test('of segments has classes alone', () => {
    const found = { pixels: 1, fraction: 0.1, box: { x_min: 0, y_min: 0, x_max: 1, y_max: 1 }, mask: {} };
    const segments = [
      { label: 'cat', class_id: 8, ...found },
      { label: '7', class_id: 12, ...found },
    ];
    const ask = (...hidden: number[]) => shownQuery({ segments }, new Set(hidden), 0.3);
    assert.deepEqual([ask(), ask(8), ask(8, 12)], [{ classes: undefined }, { classes: '12' }, undefined]);
  });
});

describe('places of labels', () => {
  const overlaps = (a: Rectangle, b: Rectangle) =>
    a.left < b.left + b.width &&
    b.left < a.left + a.width &&
    a.top < b.top + b.height &&
    b.top < a.top + a.height;
  const size = { width: 60, height: 20 };
  const photo = { width: 300, height: 200 };

  test('are on top of the box, and inside where there is no room above', () => {
    const boxes = [
      { left: 50, top: 80, width: 100, height: 90 },
      { left: 200, top: 5, width: 90, height: 150 },
    ];
    assert.deepEqual(
      placeLabels(
        boxes.map((box) => ({ box, ...size })),
        photo,
      ),
      [
        { left: 50, top: 60 },
        { left: 200, top: 5 },
      ],
    );
  });

  test('stay on the photo at its right edge', () => {
    const box = { left: 290, top: 100, width: 10, height: 10 };
    assert.deepEqual(placeLabels([{ box, ...size }], photo), [{ left: 240, top: 80 }]);
  });

  test('never cover each other or leave the photo, however many there are; the first always has one', () => {
    let seed = 7;
    const random = () => {
      seed = (seed * 16807) % 2147483647;
      return seed / 2147483647;
    };
    const labels = Array.from({ length: 100 }, () => {
      const [left, top] = [random() * 290, random() * 190];
      const box = { left, top, width: random() * (300 - left), height: random() * (200 - top) };
      return { box, ...size };
    });
    const places = placeLabels(labels, photo).flatMap((place) => (place ? [{ ...place, ...size }] : []));
    assert.ok(placeLabels(labels, photo)[0]);
    assert.ok(places.length > 5);
    for (const [at, place] of places.entries()) {
      assert.ok(place.left >= 0 && place.top >= 0 && place.left + 60 <= 300 && place.top + 20 <= 200);
      for (const other of places.slice(at + 1)) assert.ok(!overlaps(place, other));
    }
  });
});

describe('the split of time', () => {
  const detect = {
    queue_ms: 1,
    decode_ms: 2,
    preprocess_ms: 0,
    inference_ms: 5,
    postprocess_ms: 1,
    total_ms: 10,
  };

  test('has the stages that the answer has, and the rest of the total', () => {
    assert.deepEqual(
      stageTimes(detect).map(({ stage, ms, share }) => [stage, ms, share]),
      [
        ['queue', 1, 0.1],
        ['decode', 2, 0.2],
        ['preprocess', 0, 0],
        ['inference', 5, 0.5],
        ['postprocess', 1, 0.1],
        ['other', 1, 0.1],
      ],
    );
    assert.deepEqual(
      stageTimes({ ...detect, encode_ms: 1 })
        .slice(-2)
        .map(({ stage, ms }) => [stage, ms]),
      [
        ['encode', 1],
        ['other', 0],
      ],
    );
  });

  test('adds up to 1, also where rounding made the parts exceed the total, and survives no time at all', () => {
    const shares = stageTimes({ ...detect, total_ms: 8.99 }).map(({ share }) => share);
    assert.ok(Math.abs(shares.reduce((sum, share) => sum + share, 0) - 1) < 1e-9);
    assert.ok(shares.every((share) => share >= 0));
    const nothing = Object.fromEntries(Object.keys(detect).map((name) => [name, 0])) as typeof detect;
    assert.ok(stageTimes(nothing).every(({ share }) => share === 0));
  });
});

describe('figures and sentences', () => {
  for (const [given, want] of [
    [0, '0 ms'],
    [0.05, '0.05 ms'],
    [7.24, '7.2 ms'],
    [128.4, '128 ms'],
  ] as const) {
    test(`${given} ms is ${want}`, () => assert.equal(milliseconds(given), want));
  }

  for (const [given, want] of [
    [749_503_856, '749.5 M'],
    [2_072_895_936, '2.07 G'],
    [4_500_543, '4.50 M'],
    [812, '812'],
  ] as const) {
    test(`${given} is ${want}`, () => assert.equal(count(given), want));
  }

  for (const [given, want] of [
    ['the JPEG ends early', 'The JPEG ends early.'],
    ['Is it there?', 'Is it there?'],
    ['', ''],
  ] as const) {
    test(`'${given}' becomes '${want}'`, () => assert.equal(sentence(given), want));
  }

  test('shares of a photo never seem to be nothing', () => {
    assert.deepEqual([0.00001, 0.0512, 0.5].map(sharePercent), ['under 0.1 %', '5.1 %', '50 %']);
  });

  test('segments are told in a sentence', () => {
    const mask = { png: '' };
    const box = { x_min: 0, y_min: 0, x_max: 1, y_max: 1 };
    const cat = { label: 'cat', class_id: 8, pixels: 1, fraction: 0.5, box, mask };
    assert.deepEqual(segmentSummary([cat], 1), {
      short: '1 class on 50 % of the photo.',
      full: '1 class on 50 % of the photo. Cat 50 %.',
    });
    const dog = { ...cat, label: 'dog', class_id: 12, fraction: 0.25 };
    assert.equal(segmentSummary([cat, dog], 1).short, '2 classes on 75 % of the photo, 1 hidden.');
    assert.equal(segmentSummary([], 0).full, 'No class was found; the whole photo is background.');
  });

  test("a model's facts are of the precision that is picked", () => {
    const accuracy = { metric: 'AP', value: 0.321, value_int8: 0.3144, measured_on: 'photos' };
    const model = { accuracy, parameters: 4_500_543, madds: 749_503_856, licence: 'Apache-2.0' } as Model;
    const others = ['4.50 M parameters', '749.5 M MAdds', 'Apache-2.0'];
    assert.deepEqual(modelFacts(model, 'fp32'), ['AP 0.321 on photos', ...others]);
    assert.deepEqual(modelFacts(model, 'int8'), ['AP 0.314 on photos', ...others]);
    const { accuracy: _, ...imported } = model;
    assert.deepEqual(modelFacts(imported, 'int8'), others);
  });

  test('a model that cannot be picked says why', () => {
    const model = { title: 'SSD', state: 'unavailable', reason: 'its weights are missing' } as Model;
    assert.equal(modelOption(model), 'SSD – its weights are missing');
    assert.equal(modelOption({ ...model, state: 'loading' }), 'SSD – loading');
    assert.equal(modelOption({ ...model, state: 'ready' }), 'SSD');
  });
});
