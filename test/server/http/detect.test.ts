// What POST /v1/detect finds: every way to send an image, and every option.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import sharp from 'sharp';
import type { Detection, DetectResponse } from '../../../openapi/types.ts';
import { paintBoxes } from '../../../server/image/boxes.ts';
import { assertAlike, overlap, shift } from '../boxes.ts';
import type { Answer, TestServer } from '../harness.ts';
import {
  answered,
  form,
  growth,
  post,
  postJson,
  problem,
  result,
  results,
  sample,
  scrape,
  startReady,
  withoutTiming,
} from '../harness.ts';
import { rasterOf } from '../image/orientations.ts';

const MODEL = 'ssdlite_mobilenet_v2_coco';
const photos: Record<'street' | 'cat' | 'coffee', Buffer> = {} as never;
let server: TestServer;

before(async () => {
  server = await startReady({ workers: 2 });
  for (const name of ['street', 'cat', 'coffee'] as const) photos[name] = await sample(name);
});

after(() => server.stop());

const street = async (query = {}) => result(await post(server, photos.street, query));
const labels = ({ detections }: DetectResponse) => detections.map(({ label }) => label);

describe('one image', () => {
  test('is answered with what is on it, where it is', async () => {
    const { model, precision, image, detections, madds } = await street();
    assert.deepEqual([model, precision, image], [MODEL, 'fp32', { width: 640, height: 480 }]);
    assert.equal(madds, 749_503_856);
    // The drawing's own geometry: the sign's octagon, and the clock's face with half of its rim.
    const drawn = {
      'stop sign': { x_min: 100, y_min: 50, x_max: 300, y_max: 250 },
      clock: { x_min: 440, y_min: 80, x_max: 580, y_max: 220 },
    };
    assert.deepEqual(
      detections.map(({ label, class_id }) => [label, class_id]),
      [
        ['stop sign', 13],
        ['clock', 85],
      ],
    );
    for (const { label, box } of detections) {
      const iou = overlap(box, drawn[label as keyof typeof drawn]);
      assert.ok(iou > 0.85, `${label}: intersection over union ${iou}`);
    }
  });

  test('gets the same bytes of JSON twice, timing aside', async () => {
    const [first, second] = [await post(server, photos.street), await post(server, photos.street)];
    assert.equal(withoutTiming(first), withoutTiming(second));
    assert.notEqual(withoutTiming(first), withoutTiming(await post(server, photos.cat)));
  });

  test('gets the same answer as bytes, as a form and as JSON', async () => {
    for (const photo of Object.values(photos)) {
      const bytes = withoutTiming(await post(server, photo));
      const text = photo.toString('base64');
      assert.equal(withoutTiming(await post(server, form(photo))), bytes);
      assert.equal(withoutTiming(await postJson(server, { image: text })), bytes);
      assert.equal(withoutTiming(await postJson(server, { image: `data:image/jpeg;base64,${text}` })), bytes);
    }
  });

  test('is recognised by its bytes, whatever Content-Type says', async () => {
    const bytes = withoutTiming(await post(server, photos.cat));
    for (const type of ['image/jpeg', 'image/png', 'text/html', 'application/octet-stream', 'nonsense']) {
      const answer = await post(server, photos.cat, {}, { 'Content-Type': type });
      assert.equal(withoutTiming(answer), bytes);
    }
  });

  test('has times that add up', async () => {
    for (let i = 0; i < 3; i++) {
      const { timing } = await street();
      const { queue_ms, decode_ms, preprocess_ms, inference_ms, postprocess_ms, total_ms } = timing;
      const stages = queue_ms + decode_ms + preprocess_ms + inference_ms + postprocess_ms;
      assert.ok(decode_ms > 0 && inference_ms > 0, JSON.stringify(timing));
      // Each of the six is rounded to a hundredth.
      assert.ok(stages <= total_ms + 0.03, JSON.stringify(timing));
    }
  });
});

describe('a batch', () => {
  test('gets what its images get one by one, in order', async () => {
    const images = [photos.coffee, photos.street, photos.cat, photos.street];
    const alone: string[] = [];
    for (const image of images) alone.push(withoutTiming(await post(server, image)));
    const expected = `{"results":[${alone.join(',')}]}`;
    const texts = images.map((image) => image.toString('base64'));
    assert.equal(withoutTiming(await post(server, form(...images))), expected);
    assert.equal(withoutTiming(await postJson(server, { images: texts })), expected);
  });

  test('of one is a batch in JSON, and an image as a form', async () => {
    const batch = await postJson(server, { images: [photos.cat.toString('base64')] });
    const alone = result(await post(server, form(photos.cat)));
    assert.equal(results(batch).length, 1);
    assert.deepEqual(results(batch)[0]?.detections, alone.detections);
  });

  test('has the options that its request has', async () => {
    const images = results(await post(server, form(photos.street, photos.cat), { classes: 'clock,cat' }));
    assert.deepEqual(images.map(labels), [['clock'], ['cat']]);
  });
});

describe('score_threshold', () => {
  test('0 brings the most that may be reported, best first, and the default is among them', async () => {
    const all = await street({ score_threshold: 0 });
    assert.equal(all.detections.length, 100);
    const scores = all.detections.map(({ score }) => score);
    assert.deepEqual(
      scores,
      scores.toSorted((a, b) => b - a),
    );
    const confident = all.detections.filter(({ score }) => score >= 0.3);
    assert.deepEqual((await street()).detections, confident);
    assert.deepEqual((await street({ score_threshold: 0.3 })).detections, confident);
  });

  test('1 brings nothing', async () => {
    assert.deepEqual((await street({ score_threshold: 1 })).detections, []);
  });

  test('cuts between two scores', async () => {
    const [sign, clock] = (await street()).detections as [Detection, Detection];
    assert.ok(sign.score - clock.score > 0.01);
    const between = (sign.score + clock.score) / 2;
    assert.deepEqual((await street({ score_threshold: between })).detections, [sign]);
  });
});

/** Highest intersection over union of two detections for which `related` holds; boxes cut off by the image's edge aside. */
function closest(
  { image, detections }: DetectResponse,
  related: (a: Detection, b: Detection) => boolean,
): number {
  const whole = detections.filter(
    ({ box }) => box.x_min > 0 && box.y_min > 0 && box.x_max < image.width && box.y_max < image.height,
  );
  const pairs = whole.flatMap((a, i) => whole.slice(i + 1).map((b): [Detection, Detection] => [a, b]));
  return Math.max(0, ...pairs.filter(([a, b]) => related(a, b)).map(([a, b]) => overlap(a.box, b.box)));
}

const sameClass = (a: Detection, b: Detection) => a.class_id === b.class_id;
const anyTwo = () => true;
/** What hundredths of a pixel can do to the overlap of boxes of some pixels' size. */
const ROUNDING = 0.01;

describe('iou_threshold', () => {
  const ask = (iou_threshold?: number) =>
    street({
      score_threshold: 0.01,
      max_detections: 1000,
      ...(iou_threshold !== undefined && { iou_threshold }),
    });

  test('bounds the overlap of two boxes of one class', async () => {
    const counts: number[] = [];
    for (const threshold of [0, 0.3, 0.6, 0.9]) {
      const answer = await ask(threshold);
      const worst = closest(answer, sameClass);
      assert.ok(worst <= threshold + ROUNDING, `${threshold}: two overlap by ${worst}`);
      counts.push(answer.detections.length);
    }
    const rising = counts.every((count, index) => index === 0 || count > (counts[index - 1] as number));
    assert.ok(rising, `as it grows, more is kept: ${counts}`);
  });

  test('1 keeps every candidate, and 0.6 is the default', async () => {
    const all = await ask(1);
    assert.ok(closest(all, sameClass) > 0.9);
    assert.deepEqual((await ask()).detections, (await ask(0.6)).detections);
  });
});

describe('agnostic_nms', () => {
  test('lets boxes of different classes suppress each other', async () => {
    const ask = async (agnostic_nms: boolean) =>
      result(await post(server, photos.coffee, { score_threshold: 0.02, agnostic_nms }));
    const [within, across] = [await ask(false), await ask(true)];
    assert.ok(closest(within, anyTwo) > 0.7, 'the photo has two classes in one place');
    assert.ok(closest(across, anyTwo) <= 0.6 + ROUNDING);
    assert.deepEqual(across.detections[0], within.detections[0]);
  });

  test('is off by default', async () => {
    const query = { score_threshold: 0.02 };
    const [given, left] = [
      await post(server, photos.coffee, { ...query, agnostic_nms: false }),
      await post(server, photos.coffee, query),
    ];
    assert.equal(withoutTiming(given), withoutTiming(left));
  });
});

describe('max_detections', () => {
  test('keeps the best', async () => {
    const { detections } = await street({ score_threshold: 0 });
    for (const max_detections of [1, 2, 50, 100]) {
      const fewer = await street({ score_threshold: 0, max_detections });
      assert.deepEqual(fewer.detections, detections.slice(0, max_detections));
    }
    const more = await street({ score_threshold: 0, max_detections: 1000 });
    assert.ok(more.detections.length > 100 && more.detections.length <= 1000);
    assert.deepEqual(more.detections.slice(0, 100), detections);
  });
});

describe('classes', () => {
  const everything = { score_threshold: 0.02, max_detections: 1000 };

  test('keeps the classes that it names, by label or id, and changes nothing else', async () => {
    const all = await street(everything);
    const wanted = all.detections.filter(({ class_id }) => [13, 85].includes(class_id));
    assert.ok(wanted.length >= 2 && wanted.length < all.detections.length);
    for (const classes of ['stop sign,clock', '13,85', 'clock,13', '85, 13,clock']) {
      assert.deepEqual((await street({ ...everything, classes })).detections, wanted, classes);
    }
    const repeated = await post(
      server,
      photos.street,
      'score_threshold=0.02&max_detections=1000&classes=clock&classes=stop%20sign',
    );
    assert.deepEqual(result(repeated).detections, wanted);
  });

  test('finds what other classes would have crowded out', async () => {
    const alone = await street({ score_threshold: 0, classes: 'clock' });
    assert.equal(alone.detections.length, 100);
    assert.deepEqual(new Set(labels(alone)), new Set(['clock']));
  });
});

describe('region', () => {
  for (const [name, [x_min, y_min, x_max, y_max]] of [
    ['street', [80, 30, 330, 300]],
    ['street', [400, 50, 640, 260]],
    ['street', [0, 0, 640, 480]],
    ['cat', [60, 0, 451, 300]],
    ['cat', [101, 37, 350, 231]],
    ['coffee', [120, 20, 600, 400]],
    ['coffee', [33, 55, 577, 399]],
  ] as const) {
    test(`${x_min},${y_min},${x_max},${y_max} of ${name} gives what its crop gives`, async () => {
      const query = { score_threshold: 0.2 };
      const crop = await sharp(photos[name])
        .extract({ left: x_min, top: y_min, width: x_max - x_min, height: y_max - y_min })
        .png()
        .toBuffer();
      const alone = result(await post(server, crop, query));
      const region = [x_min, y_min, x_max, y_max].join(',');
      const within = result(await post(server, photos[name], { ...query, region }));
      const { width, height } = await sharp(photos[name]).metadata();
      assert.deepEqual(within.image, { width, height });
      assert.ok(alone.detections.length > 0);
      assertAlike(within.detections, shift(alone.detections, x_min, y_min), { pixels: 1, score: 0.01 });
    });
  }

  test('is widened to whole pixels, and cut off at the edge of the image', async () => {
    const within = async (region: string) => withoutTiming(await post(server, photos.street, { region }));
    assert.equal(await within('400.2,50.9,639.5,259.1'), await within('400,50,640,260'));
    assert.equal(await within('400,50,9000,260'), await within('400,50,640,260'));
    assert.notEqual(await within('400,50,640,260'), await within('380,50,640,260'));
  });

  test('is counted in pixels of the image as a person sees it', async () => {
    // Orientation 6: the image is stored lying on its left side, and shown turned a quarter to the right.
    const lying = await sharp(photos.street).rotate(-90).withMetadata({ orientation: 6 }).png().toBuffer();
    const query = { region: '75,25,640,380', score_threshold: 0.2 };
    const [upright, turned] = [
      result(await post(server, photos.street, query)),
      result(await post(server, lying, query)),
    ];
    assert.deepEqual(turned.image, { width: 640, height: 480 });
    assert.ok(upright.detections.length >= 2);
    assertAlike(turned.detections, upright.detections, { pixels: 1, score: 0.01 });
  });

  test('that lies outside is a problem, and which one of a batch it is outside of is said', async () => {
    const region = '500,350,600,390';
    const alone = problem(await post(server, photos.cat, { region }), 422, 'region_outside_image');
    assert.match(alone.detail, /500,350,600,390.*451 wide and 300 high/);
    assert.equal(alone.index, undefined);
    const batch = form(photos.street, photos.coffee, photos.cat);
    assert.equal(problem(await post(server, batch, { region }), 422, 'region_outside_image').index, 2);
  });
});

describe('a picture', () => {
  const typeOf = ({ headers }: Answer) => headers.get('Content-Type');

  for (const [accept, type] of [
    ['image/jpeg', 'image/jpeg'],
    ['image/png', 'image/png'],
    ['image/*', 'image/jpeg'],
    ['image/jpeg;q=0.5, image/png', 'image/png'],
    ['image/png, application/json;q=0.1', 'image/png'],
    ['*/*', 'application/json; charset=utf-8'],
    ['text/html, */*;q=0.1', 'application/json; charset=utf-8'],
  ] as const) {
    test(`Accept: ${accept} is answered as ${type}`, async () => {
      const answer = answered(await post(server, photos.cat, {}, { Accept: accept }));
      assert.equal(typeOf(answer), type);
      if (!type.startsWith('image/')) return;
      const { format, width, height } = await sharp(answer.bytes).metadata();
      assert.deepEqual([`image/${format}`, width, height], [type, 451, 300]);
    });
  }

  test('is the upright photo with what JSON tells of drawn on it, options heeded', async () => {
    const turned = await sharp(photos.street).rotate(-90).withMetadata({ orientation: 6 }).png().toBuffer();
    for (const query of [{}, { classes: 'clock' }, { region: '400,50,640,260' }, { score_threshold: 1 }]) {
      const { detections } = result(await post(server, turned, query));
      const drawn = await rasterOf(
        answered(await post(server, turned, query, { Accept: 'image/png' })).bytes,
      );
      const expected = await rasterOf(photos.street);
      paintBoxes(
        expected,
        detections.map(({ class_id, ...rest }) => ({ classId: class_id, ...rest })),
      );
      assert.deepEqual([drawn.width, drawn.height], [640, 480]);
      assert.ok(Buffer.from(drawn.pixels).equals(expected.pixels), JSON.stringify(query));
    }
  });

  test('as JPEG is the same picture, its colours at full resolution', async () => {
    const query = { score_threshold: 0.2 };
    const [jpeg, png] = await Promise.all(
      ['image/jpeg', 'image/png'].map(
        async (accept) => answered(await post(server, photos.street, query, { Accept: accept })).bytes,
      ),
    );
    assert.equal((await sharp(jpeg).metadata()).chromaSubsampling, '4:4:4');
    const [lossy, drawn, photo] = [
      await rasterOf(jpeg as Buffer),
      await rasterOf(png as Buffer),
      await rasterOf(photos.street),
    ];
    const changed = [...drawn.pixels].flatMap((value, at) => (value === photo.pixels[at] ? [] : [at]));
    assert.ok(changed.length > 3000, `${changed.length} samples are drawn on`);
    const off = (other: Uint8Array) =>
      changed.reduce((sum, at) => sum + Math.abs((lossy.pixels[at] as number) - (other[at] as number)), 0) /
      changed.length;
    assert.ok(off(drawn.pixels) < 8, `${off(drawn.pixels)} off what is drawn`);
    assert.ok(off(photo.pixels) > 50, `${off(photo.pixels)} off the photo`);
  });

  test('is asked for by a type that there is: others are told those', async () => {
    const answer = await post(server, photos.street, {}, { Accept: 'image/webp' });
    assert.match(
      problem(answer, 406, 'not_acceptable').detail,
      /answers application\/json, image\/jpeg or image\/png, and Accept is 'image\/webp'/,
    );
  });

  test('of a batch is 406, also of one of one', async () => {
    const json = { Accept: 'image/png', 'Content-Type': 'application/json' };
    const one = JSON.stringify({ images: [photos.cat.toString('base64')] });
    for (const answer of [
      await post(server, form(photos.cat, photos.street), {}, { Accept: 'image/jpeg' }),
      await post(server, one, {}, json),
    ]) {
      assert.match(
        problem(answer, 406, 'not_acceptable').detail,
        /a batch is answered as application\/json, not as image\/(png|jpeg)/,
      );
    }
    answered(await post(server, form(photos.cat), {}, { Accept: 'image/png' }));
  });

  test('counts its work, and the time that it took to draw', async () => {
    const large = await sharp(photos.cat).resize(2255, 1500).jpeg().toBuffer();
    const earlier = await scrape(server);
    answered(await post(server, large, {}, { Accept: 'image/png' }));
    const grown = growth(earlier, await scrape(server));
    assert.equal(grown[`thinlens_request_madds_sum{model="${MODEL}"}`], 749_503_856);
    const stage = `{model="${MODEL}",precision="fp32",stage="encode"}`;
    assert.equal(grown[`thinlens_stage_duration_seconds_count${stage}`], 1);
    // Ten million samples are decoded, drawn on and compressed in it; anything else that counts as encoding takes microseconds.
    assert.ok((grown[`thinlens_stage_duration_seconds_sum${stage}`] ?? 0) > 0.02);
  });
});

describe('model and precision', () => {
  test('may be named', async () => {
    const named = await post(server, photos.cat, { model: MODEL, precision: 'fp32' });
    assert.equal(withoutTiming(named), withoutTiming(await post(server, photos.cat)));
  });

  test('a model that is not there is 404, and those that are there are listed', async () => {
    const { detail } = problem(await post(server, photos.cat, { model: 'yolo' }), 404, 'unknown_model');
    assert.match(detail, /'yolo'.*ssdlite_mobilenet_v2_coco/);
  });

  test('a precision that the model does not have is 400, and those that it has are listed', async () => {
    const answer = await post(server, photos.cat, { precision: 'int8' });
    assert.match(problem(answer, 400, 'precision_unavailable').detail, /no int8.*fp32/);
  });
});

describe('a value that cannot be', () => {
  for (const [query, wanted] of [
    ['score_threshold=1.1', 'score_threshold must be a number between 0 and 1, got .1\\.1'],
    ['score_threshold=-0.1', 'score_threshold must be a number between 0 and 1'],
    ['score_threshold=high', 'score_threshold must be a number between 0 and 1'],
    ['score_threshold=', 'score_threshold is empty: it must be a number between 0 and 1'],
    ['score_threshold=0.1&score_threshold=0.2', 'score_threshold may be given once only'],
    ['iou_threshold=2', 'iou_threshold must be a number between 0 and 1'],
    ['iou_threshold=NaN', 'iou_threshold must be a number between 0 and 1'],
    ['max_detections=0', 'max_detections must be an integer between 1 and 1000'],
    ['max_detections=1001', 'max_detections must be an integer between 1 and 1000'],
    ['max_detections=2.5', 'max_detections must be an integer between 1 and 1000'],
    ['agnostic_nms=yes', 'agnostic_nms must be true or false'],
    ['precision=fp16', 'precision must be one of fp32, int8'],
    ['classes=', 'classes is empty'],
    ['classes=cat,unicorn', "'unicorn'.*GET /v1/models/ssdlite_mobilenet_v2_coco lists"],
    ['classes=12', "'12'"], // an id that COCO never used
    ['classes=0', "'0'"], // the background
    ['region=1,2,3', 'region must be 4 numbers of at least 0, x_min,y_min,x_max,y_max'],
    ['region=1,2,3,4,5', 'region must be 4 numbers of at least 0'],
    ['region=-1,0,10,10', 'region must be 4 numbers of at least 0'],
    ['region=10,0,10,10', 'x_min < x_max and y_min < y_max'],
    ['region=0,10,10,5', 'x_min < x_max and y_min < y_max'],
    ['region=0,0,1e999,1', 'region must be 4 numbers'],
  ] as const) {
    test(`${query} is told what can be`, async () => {
      const { detail, errors } = problem(await post(server, photos.cat, query), 400, 'invalid_parameter');
      assert.match(detail, new RegExp(wanted));
      assert.deepEqual(
        errors?.map(({ parameter }) => parameter),
        [query.split('=', 1)[0]],
      );
    });
  }

  test('of several, each is told', async () => {
    const query = 'score_threshold=7&max_detections=none&agnostic_nms=1';
    const { errors } = problem(await post(server, photos.cat, query), 400, 'invalid_parameter');
    assert.deepEqual(errors?.map(({ parameter }) => parameter).sort(), [
      'agnostic_nms',
      'max_detections',
      'score_threshold',
    ]);
  });

  test('a parameter that there is not is told those that there are', async () => {
    const { detail, errors } = problem(
      await post(server, photos.cat, { score_treshold: 0.5 }),
      400,
      'unknown_parameter',
    );
    assert.equal(errors?.[0]?.parameter, 'score_treshold');
    for (const name of ['model', 'score_threshold', 'region', 'classes']) assert.ok(detail.includes(name));
  });

  test('text of the caller stands in a message shortened, without control characters', async () => {
    for (const query of ['model=', 'classes=', 'score_threshold=', 'nonsense=1&']) {
      const text = `\u0007\n\u001b[31m${'x'.repeat(5000)}`;
      const answer = await post(server, photos.cat, `${query}${encodeURIComponent(text)}`);
      const { detail } = answer.body as { detail: string };
      // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not be there
      assert.doesNotMatch(detail, /[\u0000-\u001f]/);
      assert.ok(detail.length < 1000, `${query} is answered with ${detail.length} characters`);
    }
  });
});
