// What POST /v1/segment finds: every form of answer, and every option.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { decode } from 'fast-png';
import sharp from 'sharp';
import { multiScaleMadds } from '../../../heads/deeplabv3/multi_scale.ts';
import { VOC_COLORS } from '../../../heads/deeplabv3/voc_colors.ts';
import { backboneNamed } from '../../../models/backbones/registry.ts';
import { cost } from '../../../models/graph/cost.ts';
import type { SegmentResponse } from '../../../openapi/types.ts';
import { classColor } from '../../../server/playground/class_colors.ts';
import { catalog } from '../../../server/zoo/catalog.ts';
import { VOC_LABELS } from '../../../server/zoo/labels.ts';
import { networkOf } from '../../../server/zoo/network.ts';
import type { Answer, TestServer } from '../harness.ts';
import {
  answered,
  form,
  growth,
  post,
  postJson,
  problem,
  result,
  sample,
  scrape,
  segment,
  segmented,
  segmentedAll,
  startReady,
  withoutTiming,
} from '../harness.ts';
import { ORIENTATIONS, rasterOf, stored } from '../image/orientations.ts';
import { classOverlap, greyOf, maskOf, mirrored } from '../masks.ts';

const MODEL = 'deeplabv3_mobilenet_v2_voc';
const DETECTOR = 'ssdlite_mobilenet_v2_coco';
const CAT = 8;
const PNG = { Accept: 'image/png' };
const record = catalog.find(({ name }) => name === MODEL) ?? assert.fail();
/** `both`: the cat, small, beside the coffee. */
const photos: Record<'street' | 'cat' | 'coffee' | 'both', Buffer> = {} as never;
let server: TestServer;

before(async () => {
  // Eighteen views of a photo take their time where the machine is busy.
  server = await startReady({ requestTimeoutMs: 300_000, workerTimeoutMs: 120_000 });
  for (const name of ['street', 'cat', 'coffee'] as const) photos[name] = await sample(name);
  const cat = await sharp(photos.cat).resize(280, 186).png().toBuffer();
  photos.both = await sharp(photos.coffee)
    .extend({ right: 300, background: '#808080' })
    .composite([{ input: cat, left: 610, top: 20 }])
    .png()
    .toBuffer();
});

after(() => server.stop());

const typeOf = ({ headers }: Answer) => headers.get('Content-Type')?.split(';')[0];

interface ClassMap {
  readonly width: number;
  readonly height: number;
  readonly data: Uint8Array;
}

/** The classes of every pixel, [height, width]: the indices of the palette PNG. */
async function classesOf(photo: Uint8Array, query = {}): Promise<ClassMap> {
  const { bytes } = answered(await segment(server, photo, query, PNG));
  const { width, height, data } = decode(bytes);
  return { width, height, data: new Uint8Array(data) };
}

/** Classes that cover at least this much of a map. */
function covering({ data }: ClassMap, share: number): number[] {
  const counts = new Map<number, number>();
  for (const value of data) counts.set(value, (counts.get(value) ?? 0) + 1);
  return [...counts].filter(([, count]) => count >= share * data.length).map(([classId]) => classId);
}

describe('one image', () => {
  test('is answered with what is on it, and what it cost', async () => {
    const { model, precision, image, input, segments } = segmented(await segment(server, photos.cat));
    assert.deepEqual([model, precision], [MODEL, 'fp32']);
    assert.deepEqual(
      [image, input],
      [
        { width: 451, height: 300 },
        { width: 513, height: 337 },
      ],
    );
    const [cat] = segments;
    assert.deepEqual([cat?.label, cat?.class_id], ['cat', CAT]);
    assert.ok((cat?.fraction ?? 0) > 0.8, 'the cat fills the picture');
  });

  test('gets the same answer as bytes, as a form and as JSON', async () => {
    const bytes = withoutTiming(await segment(server, photos.coffee));
    const text = photos.coffee.toString('base64');
    assert.equal(withoutTiming(await segment(server, form(photos.coffee))), bytes);
    for (const image of [text, `data:image/jpeg;base64,${text}`])
      assert.equal(withoutTiming(await postJson(server, { image }, {}, segment)), bytes);
  });

  test('on which there is nothing known has no segments, and a class map of zeros', async () => {
    assert.deepEqual(segmented(await segment(server, photos.street)).segments, []);
    assert.deepEqual(covering(await classesOf(photos.street), 0), [0]);
  });

  test('has times that add up', async () => {
    const { timing } = segmented(await segment(server, photos.cat));
    const { total_ms, ...stages } = timing;
    assert.equal(Object.keys(stages).length, 6);
    // Each of the seven is rounded to a hundredth.
    assert.ok(Object.values(stages).reduce((a, b) => a + b, 0) <= total_ms + 0.04, JSON.stringify(timing));
    assert.ok(stages.decode_ms > 0 && stages.inference_ms > 0 && stages.encode_ms > 0);
  });
});

describe('masks', () => {
  const FORMATS = ['png', 'rle', 'rle_uncompressed', 'polygons'] as const;
  for (const photo of ['cat', 'both'] as const) {
    for (const format of FORMATS) {
      test(`of ${photo} as ${format} are the pixels of the class map, and so are counts and boxes`, async () => {
        const map = await classesOf(photos[photo]);
        const answer = segmented(await segment(server, photos[photo], { format, tolerance: 0 }));
        const { image, segments } = answer;
        assert.deepEqual(image, { width: map.width, height: map.height });
        assert.deepEqual(
          segments.map(({ class_id }) => class_id).sort(),
          covering(map, 0)
            .filter((classId) => classId !== 0)
            .sort(),
        );
        for (const found of segments) {
          const mask = await maskOf(found, image);
          const expected = map.data.map((classId) => Number(classId === found.class_id));
          assert.ok(Buffer.from(mask).equals(expected), found.label);
          const places: number[] = [...expected.keys()].filter((at) => expected[at] === 1);
          const columns: number[] = places.map((at) => at % image.width);
          const rows: number[] = places.map((at) => Math.floor(at / image.width));
          const least = (values: number[]) => values.reduce((a, b) => Math.min(a, b));
          const most = (values: number[]) => values.reduce((a, b) => Math.max(a, b)) + 1;
          assert.equal(found.label, VOC_LABELS[found.class_id]?.label);
          assert.equal(found.pixels, places.length);
          assert.ok(Math.abs(found.fraction - places.length / expected.length) < 1e-9);
          assert.deepEqual(found.box, {
            x_min: least(columns),
            y_min: least(rows),
            x_max: most(columns),
            y_max: most(rows),
          });
        }
        const sizes = segments.map(({ pixels }) => pixels);
        assert.deepEqual(
          sizes,
          sizes.toSorted((a, b) => b - a),
        );
      });
    }
  }

  test('sit in JSON as the format says: a PNG of one bit, a string, numbers, rings', async () => {
    const [png, rle, numbers, rings] = await Promise.all(
      FORMATS.map(
        async (format) => segmented(await segment(server, photos.cat, { format })).segments[0]?.mask,
      ),
    );
    const { depth, channels } = decode(Buffer.from(png?.png ?? '', 'base64'));
    assert.deepEqual([depth, channels], [1, 1]);
    assert.deepEqual([typeof rle?.rle?.counts, Array.isArray(numbers?.rle?.counts)], ['string', true]);
    assert.ok((rings?.polygons?.length ?? 0) > 0);
    assert.equal(
      withoutTiming(await segment(server, photos.cat, { format: 'png' })),
      withoutTiming(await segment(server, photos.cat)),
    );
  });

  test('as polygons have fewer corners the larger the tolerance, 1.5 where none is given', async () => {
    const corners = async (query: object) => {
      const { segments } = segmented(await segment(server, photos.cat, { format: 'polygons', ...query }));
      return JSON.stringify(segments.map(({ mask }) => mask)).split(',').length;
    };
    const [exact, usual, coarse] = [
      await corners({ tolerance: 0 }),
      await corners({}),
      await corners({ tolerance: 100 }),
    ];
    assert.ok(exact > 2 * usual && usual > coarse, `${exact}, ${usual}, ${coarse}`);
    assert.equal(await corners({ tolerance: 1.5 }), usual);
  });
});

describe('a palette PNG', () => {
  test("has class ids for indices, and PASCAL VOC's colours", async () => {
    const answer = answered(await segment(server, photos.coffee, {}, PNG));
    assert.equal(typeOf(answer), 'image/png');
    const { width, height, depth, channels, palette } = decode(answer.bytes);
    assert.deepEqual([width, height, depth, channels], [600, 400, 8, 1]);
    // From VOCdevkit's own list.
    assert.deepEqual(palette?.slice(0, 4), [
      [0, 0, 0],
      [128, 0, 0],
      [0, 128, 0],
      [128, 128, 0],
    ]);
    assert.deepEqual(
      [palette?.[15], palette?.[255]],
      [
        [192, 128, 128],
        [224, 224, 192],
      ],
    );
    assert.deepEqual(palette?.flat(), [...VOC_COLORS]);
    const classes = covering(await classesOf(photos.coffee), 0);
    assert.ok(classes.includes(11) && classes.every((classId) => classId < 21), `${classes}`);
  });

  for (const accept of [
    'image/png',
    'image/*',
    'image/png, application/json;q=0.1',
    'image/webp, image/png;q=0.5',
  ]) {
    test(`is what Accept: ${accept} asks for`, async () => {
      assert.equal(typeOf(answered(await segment(server, photos.cat, {}, { Accept: accept }))), 'image/png');
    });
  }
});

describe('overlay', () => {
  /** Pixels of a picture beside those of its photo and their classes. */
  async function compared(type: string, query = {}) {
    const answer = answered(
      await segment(server, photos.coffee, { overlay: true, ...query }, { Accept: type }),
    );
    const [picture, photo] = [await rasterOf(answer.bytes), await rasterOf(photos.coffee)];
    assert.deepEqual([picture.width, picture.height], [photo.width, photo.height]);
    return {
      answer,
      picture: picture.pixels,
      photo: photo.pixels,
      map: await classesOf(photos.coffee, query),
    };
  }

  test('is a JPEG by default, and what Accept says where it says so', async () => {
    for (const [accept, type] of [
      ['*/*', 'image/jpeg'],
      ['image/*', 'image/jpeg'],
      ['image/jpeg', 'image/jpeg'],
      ['image/png', 'image/png'],
      ['image/jpeg;q=0.5, image/png', 'image/png'],
    ] as const) {
      const answer = answered(await segment(server, photos.cat, { overlay: true }, { Accept: accept }));
      assert.equal(typeOf(answer), type);
      const { format, width, height } = await sharp(answer.bytes).metadata();
      assert.deepEqual([`image/${format}`, width, height], [type, 451, 300]);
    }
  });

  test('as PNG leaves the background as the photo, and lays outlined colours over the rest', async () => {
    const { picture, photo, map } = await compared('image/png');
    const { width, height, data } = map;
    const counts = { background: 0, inside: 0, outline: 0, else: 0 };
    for (let at = 0; at < data.length; at++) {
      const [x, y, classId] = [at % width, Math.floor(at / width), data[at] as number];
      const differs = (dx: number, dy: number) =>
        x + dx >= 0 &&
        x + dx < width &&
        y + dy >= 0 &&
        y + dy < height &&
        data[at + dy * width + dx] !== classId;
      const kind =
        classId === 0
          ? 'background'
          : differs(1, 0) || differs(-1, 0) || differs(0, 1) || differs(0, -1)
            ? 'outline'
            : 'inside';
      counts[kind]++;
      for (let channel = at * 3; channel < at * 3 + 3; channel++) {
        const [own, color] = [photo[channel] as number, classColor(classId)[channel % 3] as number];
        const expected = { background: own, outline: 0, inside: Math.round((own + color) / 2) }[kind];
        if (picture[channel] !== expected) counts.else++;
      }
    }
    assert.ok(
      Object.values(counts).every((count) => count > 100),
      JSON.stringify(counts),
    );
    // The coloured line beside the edge, and a plate for each name.
    assert.ok(counts.else / 3 < 0.03 * data.length + 3 * counts.outline, JSON.stringify(counts));
  });

  test('as JPEG is the same picture, up to what JPEG loses', async () => {
    const [jpeg, png] = [await compared('image/jpeg'), await compared('image/png')];
    const off = jpeg.picture.reduce(
      (sum, value, at) => sum + Math.abs(value - (png.picture[at] as number)),
      0,
    );
    assert.ok(off / jpeg.picture.length < 4, `${off / jpeg.picture.length} on average`);
  });

  test('of classes that are not there is the photo', async () => {
    const { picture, photo } = await compared('image/png', { classes: 'sheep' });
    assert.ok(Buffer.from(picture).equals(photo));
  });
});

describe('confidence', () => {
  test('adds the mean probability of each class over its pixels, and the map of them', async () => {
    const answer = segmented(await segment(server, photos.both, { confidence: true }));
    const { image, segments, confidence_map } = answer;
    const sure = await greyOf(confidence_map?.png ?? assert.fail(), image);
    // The winner of 21 has more than a 21st.
    assert.ok(sure.every((value) => value >= 12));
    for (const found of segments) {
      const mask = await maskOf(found, image);
      const mean =
        sure.reduce((sum, value, at) => sum + value * (mask[at] as number), 0) / found.pixels / 255;
      assert.ok(
        Math.abs((found.confidence ?? 0) - mean) < 1e-4,
        `${found.label}: ${found.confidence}, ${mean}`,
      );
    }
    const without = segmented(await segment(server, photos.both));
    assert.equal(without.confidence_map, undefined);
    assert.deepEqual(
      segments.map(({ confidence: _, ...rest }) => rest),
      without.segments,
    );
  });

  test('is for JSON', async () => {
    for (const [query, headers] of [
      [{ confidence: true }, PNG],
      [{ confidence: true, overlay: true }, {}],
    ] as const) {
      const answer = problem(await segment(server, photos.cat, query, headers), 400, 'invalid_parameter');
      assert.match(answer.detail, /application\/json, and this one would be image\//);
      assert.equal(answer.errors?.[0]?.parameter, 'confidence');
    }
  });
});

describe('classes', () => {
  test('in JSON keeps those that it names, by label or id, and changes nothing else', async () => {
    const ask = async (classes: string) =>
      segmented(await segment(server, photos.both, { classes, confidence: true })).segments;
    const segments = await ask(VOC_LABELS.map(({ label }) => label).join());
    assert.deepEqual(
      segments.map(({ label }) => label),
      ['background', 'cat'],
    );
    for (const found of segments) {
      const { label, class_id } = found;
      for (const classes of [label, String(class_id), `${class_id},sheep,${label}`])
        assert.deepEqual(await ask(classes), [found]);
    }
    assert.deepEqual(await ask('sheep,1'), []);
    const usual = segmented(await segment(server, photos.both, { confidence: true })).segments;
    assert.deepEqual(usual, segments.slice(1), 'all but the background');
  });

  test('in a PNG makes the others background', async () => {
    const all = await classesOf(photos.both);
    assert.deepEqual(covering(all, 0).sort(), [0, CAT]);
    for (const [classes, kept] of [
      ['cat', all.data],
      ['0,8', all.data],
      ['sheep', new Uint8Array(all.data.length)],
      ['background', new Uint8Array(all.data.length)],
    ] as const) {
      const { data } = await classesOf(photos.both, { classes });
      assert.ok(Buffer.from(data).equals(kept), classes);
    }
  });

  test('tells of the background in JSON where it is named', async () => {
    const answer = segmented(await segment(server, photos.both, { classes: 'background', format: 'rle' }));
    const [background = assert.fail()] = answer.segments;
    assert.deepEqual([answer.segments.length, background.label], [1, 'background']);
    const mask = await maskOf(background, answer.image);
    const { data } = await classesOf(photos.both);
    assert.ok(Buffer.from(mask).equals(data.map((classId) => Number(classId === 0))));
  });
});

describe('Accept that leaves nothing', () => {
  for (const [query, accept, offered] of [
    [{}, 'image/jpeg', /without overlay=true .* answers application\/json or image\/png, and.*'image\/jpeg'/],
    [{}, 'text/html', /application\/json or image\/png/],
    [{}, 'application/json;q=0', /application\/json or image\/png/],
    [{ overlay: true }, 'application/json', /with overlay=true .*image\/jpeg or image\/png/],
    [{ overlay: true }, 'image/webp', /image\/jpeg or image\/png/],
  ] as const) {
    test(`${accept} with ${JSON.stringify(query)} is 406 before the image is looked at`, async () => {
      for (const body of [photos.cat, Buffer.from('no image')]) {
        const answer = await segment(server, body, query, { Accept: accept });
        assert.match(problem(answer, 406, 'not_acceptable').detail, offered);
      }
    });
  }

  test('and a picture for a batch, also for one of one, is 406', async () => {
    const one = [photos.cat.toString('base64')];
    const json = { ...PNG, 'Content-Type': 'application/json' };
    for (const answer of [
      await segment(server, form(photos.cat, photos.coffee), {}, PNG),
      await segment(server, form(photos.cat, photos.coffee), { overlay: true }),
      await segment(server, JSON.stringify({ images: one }), {}, json),
    ]) {
      assert.match(
        problem(answer, 406, 'not_acceptable').detail,
        /a batch is answered as application\/json, not as image\/(png|jpeg)/,
      );
    }
    answered(await segment(server, form(photos.cat), {}, PNG));
  });
});

describe('a value that cannot be', () => {
  for (const [query, wanted] of [
    ['format=coco', 'format must be one of png, rle, rle_uncompressed, polygons, got .coco'],
    ['format=', 'format is empty: it must be one of png, rle'],
    ['tolerance=-1', 'tolerance must be a number between 0 and 100, got .-1'],
    ['tolerance=100.5', 'tolerance must be a number between 0 and 100'],
    ['tolerance=NaN', 'tolerance must be a number between 0 and 100'],
    ['tolerance=1&tolerance=2', 'tolerance may be given once only'],
    ['multi_scale=yes', 'multi_scale must be true or false'],
    ['flip=1', 'flip must be true or false'],
    ['confidence=2', 'confidence must be true or false'],
    ['overlay=on', 'overlay must be true or false'],
    ['precision=fp16', 'precision must be one of fp32, int8'],
    ['classes=', 'classes is empty'],
    ['classes=cat,unicorn', "'unicorn'.*its labels are background, .*cat, .*tvmonitor"],
    ['classes=21', "'21'"],
  ] as const) {
    test(`${query} is told what can be`, async () => {
      const { detail, errors } = problem(await segment(server, photos.cat, query), 400, 'invalid_parameter');
      assert.match(detail, new RegExp(wanted));
      assert.deepEqual(
        errors?.map(({ parameter }) => parameter),
        [query.split('=', 1)[0]],
      );
    });
  }

  test('a parameter of the other operation is told those of this one', async () => {
    const { detail } = problem(
      await segment(server, photos.cat, { score_threshold: 0.5 }),
      400,
      'unknown_parameter',
    );
    for (const name of ['model', 'format', 'tolerance', 'multi_scale', 'flip', 'overlay'])
      assert.ok(detail.includes(name), name);
  });

  test('a model that is not there is 404, a precision that it has not 400', async () => {
    problem(await segment(server, photos.cat, { model: 'yolo' }), 404, 'unknown_model');
    const answer = await segment(server, photos.cat, { precision: 'int8' });
    assert.match(problem(answer, 400, 'precision_unavailable').detail, /no int8.*fp32/);
  });

  test('a model of the other task is 400 both ways, and those that would do are told', async () => {
    const wrong = problem(await segment(server, photos.cat, { model: DETECTOR }), 400, 'wrong_task');
    assert.match(wrong.detail, new RegExp(`${DETECTOR} is for detection.*for segmentation: .*${MODEL}`));
    const other = problem(await post(server, photos.cat, { model: MODEL }), 400, 'wrong_task');
    assert.match(other.detail, new RegExp(`${MODEL} is for segmentation.*for detection: .*${DETECTOR}`));
  });
});

describe('a batch', () => {
  test('gets what its images get one by one, in order', async () => {
    const images = [photos.coffee, photos.street, photos.cat];
    const query = { format: 'rle', confidence: true };
    const alone: string[] = [];
    for (const image of images) alone.push(withoutTiming(await segment(server, image, query)));
    const batch = await segment(server, form(...images), query);
    assert.equal(withoutTiming(batch), `{"results":[${alone.join(',')}]}`);
    assert.deepEqual(
      segmentedAll(batch).map(({ image }) => image.width),
      [600, 640, 451],
    );
    const texts = images.map((image) => image.toString('base64'));
    assert.equal(
      withoutTiming(await postJson(server, { images: texts }, query, segment)),
      withoutTiming(batch),
    );
  });
});

/** Multiply-adds of the model's network at a size. */
const maddsAt = (width: number, height: number) =>
  cost(networkOf(record, { size: { width, height } }).graph).madds;

describe('work', () => {
  for (const [[width, height], [wide, high]] of [
    [
      [640, 480],
      [513, 385],
    ],
    [
      [480, 640],
      [385, 513],
    ],
    [
      [300, 300],
      [513, 513],
    ],
    [
      [600, 400],
      [513, 337],
    ],
    [
      [3000, 5],
      [513, 17],
    ],
    [
      [5, 3000],
      [17, 513],
    ],
    [
      [1, 1],
      [513, 513],
    ],
    [
      [1, 900],
      [17, 513],
    ],
  ] as const) {
    test(`for ${width} x ${height} is that of the network at ${wide} x ${high}`, async () => {
      const photo = await sharp(photos.cat).resize(width, height, { fit: 'fill' }).png().toBuffer();
      const { image, input, madds } = segmented(await segment(server, photo));
      assert.deepEqual(
        [image, input],
        [
          { width, height },
          { width: wide, height: high },
        ],
      );
      assert.equal(madds, maddsAt(wide, high));
      const map = await classesOf(photo);
      assert.deepEqual([map.width, map.height], [width, height]);
    });
  }

  const square = () => sharp(photos.cat).resize(300, 300, { fit: 'fill' }).png().toBuffer();
  const { backboneStyle, headStyle } = record;
  const options = {
    name: 'square',
    backbone: backboneNamed('mobilenet_v2'),
    width: 1,
    outputStride: 16 as const,
    classes: 21,
    backboneStyle,
    headStyle,
    input: { kind: 'tensor' as const },
    form: 'mobile' as const,
    size: { width: 513, height: 513 },
  };

  test('is that of all scales of a square photo, and twice that where it is mirrored too', async () => {
    const photo = await square();
    const spent = async (query: object) => segmented(await segment(server, photo, { ...query })).madds;
    assert.equal(await spent({ multi_scale: true }), multiScaleMadds(options));
    assert.equal(await spent({ flip: true }), 2 * maddsAt(513, 513));
    assert.equal(await spent({ flip: true, multi_scale: true }), multiScaleMadds(options, { flip: true }));
  });

  test("is that of each scale's own size of any other photo", async () => {
    const { input, madds } = segmented(await segment(server, photos.street, { multi_scale: true }));
    assert.deepEqual(input, { width: 513, height: 385 });
    const sizes = [
      [257, 193],
      [385, 289],
      [513, 385],
      [641, 481],
      [769, 577],
      [897, 673],
    ] as const;
    assert.equal(
      madds,
      sizes.reduce((sum, [width, height]) => sum + maddsAt(width, height), 0),
    );
  });

  test('is what Prometheus sees, with every stage once an image and encoding once a request', async () => {
    const earlier = await scrape(server);
    const images = segmentedAll(await segment(server, form(photos.cat, photos.street), { flip: true }));
    const single = answered(await segment(server, photos.street, {}, PNG));
    assert.equal(typeOf(single), 'image/png');
    const grown = growth(earlier, await scrape(server));
    const madds = images.reduce((sum, image) => sum + image.madds, maddsAt(513, 385));
    assert.equal(grown[`thinlens_request_madds_sum{model="${MODEL}"}`], madds);
    assert.equal(grown[`thinlens_request_madds_count{model="${MODEL}"}`], 2);
    assert.equal(grown[`thinlens_images_total{model="${MODEL}"}`], 3);
    const stages = ['queue', 'decode', 'preprocess', 'inference', 'postprocess', 'encode'].map(
      (stage) =>
        grown[`thinlens_stage_duration_seconds_count{model="${MODEL}",precision="fp32",stage="${stage}"}`],
    );
    assert.deepEqual(stages, [3, 3, 3, 3, 3, 2]);
    const route = `route="/v1/segment",model="${MODEL}",precision="fp32",status="200"`;
    assert.equal(grown[`thinlens_request_duration_seconds_count{${route}}`], 2);
  });
});

describe('more views', () => {
  for (const query of [{ flip: true }, { multi_scale: true }, { multi_scale: true, flip: true }]) {
    test(`${JSON.stringify(query)} see nearly what one sees, and not quite the same`, async () => {
      const [one, more] = [await classesOf(photos.cat), await classesOf(photos.cat, query)];
      assert.ok(classOverlap(one.data, more.data, CAT) > 0.9);
      assert.ok(!Buffer.from(one.data).equals(more.data));
    });
  }

  test('of a mirrored photo with flip=true see the mirrored classes', async () => {
    for (const photo of [photos.cat, photos.both]) {
      const flopped = await sharp(photo).flop().png().toBuffer();
      const upright = await classesOf(await sharp(photo).png().toBuffer(), { flip: true });
      const { data } = await classesOf(flopped, { flip: true });
      const back = mirrored(data, upright);
      const classes = covering(upright, 0.02);
      assert.ok(classes.length >= 1);
      for (const classId of classes) {
        const overlap = classOverlap(back, upright.data, classId);
        assert.ok(overlap > 0.95, `${classId}: ${overlap}`);
      }
    }
  });
});

describe('EXIF orientation', () => {
  for (const orientation of ORIENTATIONS) {
    test(`${orientation} gives the classes of the upright photo, and its overlay`, async () => {
      const scene = await rasterOf(await sharp(photos.cat).resize(902, 600).png().toBuffer());
      const upright = await classesOf(await stored(scene, 1).png().toBuffer());
      for (const file of [
        await stored(scene, orientation).png().toBuffer(),
        await stored(scene, orientation).tiff({ compression: 'lzw' }).toBuffer(),
      ]) {
        assert.equal((await sharp(file).metadata()).orientation, orientation);
        const map = await classesOf(file);
        assert.deepEqual([map.width, map.height], [902, 600]);
        for (const classId of covering(upright, 0.02)) {
          const overlap = classOverlap(map.data, upright.data, classId);
          assert.ok(overlap > 0.97, `class ${classId}: ${overlap}`);
        }
      }
      // A photo that has to be enlarged for the network.
      const small = await rasterOf(await sharp(photos.cat).png().toBuffer());
      const [plain, turned] = [
        await classesOf(await stored(small, 1).png().toBuffer()),
        await classesOf(await stored(small, orientation).png().toBuffer()),
      ];
      assert.deepEqual([turned.width, turned.height], [451, 300]);
      assert.ok(classOverlap(turned.data, plain.data, CAT) > 0.97);
      const lossless = await stored(scene, orientation).png().toBuffer();
      const query = { overlay: true, classes: 'sheep' };
      const picture = answered(await segment(server, lossless, query, PNG)).bytes;
      assert.equal((await sharp(picture).metadata()).orientation, undefined);
      const { width, height, pixels } = await rasterOf(picture);
      assert.deepEqual([width, height], [902, 600]);
      assert.ok(Buffer.from(pixels).equals(scene.pixels), 'nothing is laid over it: it is the scene');
    });
  }
});

test('an overlay that no JPEG can hold is told to be a PNG', async () => {
  const strip = await sharp({ create: { width: 70_000, height: 4, channels: 3, background: '#357' } })
    .png()
    .toBuffer();
  const refused = await segment(server, strip, { overlay: true });
  assert.equal(refused.status, 413);
  assert.match(String((refused.body as { detail: string }).detail), /70000 x 4.*65535.*PNG/);
  assert.equal(
    (await sharp(answered(await segment(server, strip, { overlay: true }, PNG)).bytes).metadata()).width,
    70_000,
  );
});

test('a photo of 12 megapixels is answered at its own size, in every form', async () => {
  const image = { width: 4000, height: 3000 };
  const photo = await sharp(photos.cat).resize(4000, 3000, { fit: 'fill' }).jpeg().toBuffer();
  const answer = segmented(await segment(server, photo, { format: 'rle' }));
  assert.deepEqual(answer.image, image);
  const [cat] = answer.segments;
  assert.equal(cat?.label, 'cat');
  const mask = await maskOf(cat, image);
  assert.equal(
    mask.reduce((sum, value) => sum + value, 0),
    cat.pixels,
  );
  const map = await classesOf(photo);
  assert.equal(
    map.data.reduce((sum, classId) => sum + Number(classId === CAT), 0),
    cat.pixels,
  );
  for (const [accept, format] of [
    ['image/jpeg', 'jpeg'],
    ['image/png', 'png'],
  ] as const) {
    const picture = answered(await segment(server, photo, { overlay: true }, { Accept: accept })).bytes;
    const seen = await sharp(picture).metadata();
    assert.deepEqual([seen.format, seen.width, seen.height], [format, 4000, 3000]);
  }
});

test('a large answer is passed on as it came: the server parses and writes none of it', async (t) => {
  const photo = await sharp(photos.coffee).resize(3000, 2000, { fit: 'fill' }).jpeg().toBuffer();
  const parsed = t.mock.method(JSON, 'parse');
  const written = t.mock.method(JSON, 'stringify');
  const url = `${server.url}/v1/segment?format=rle_uncompressed&confidence=true`;
  const response = await fetch(url, { method: 'POST', body: photo });
  const text = await response.text();
  const texts = [
    ...parsed.mock.calls.map(({ arguments: [given] }) => given),
    ...written.mock.calls.map(({ result: given }) => given ?? ''),
  ];
  t.mock.restoreAll();
  assert.ok(segmentedLength(text) > 100_000);
  assert.ok(
    parsed.mock.callCount() > 0 && written.mock.callCount() > 0,
    'the mocks see what the server does',
  );
  assert.ok(texts.every((given) => given.length < 2000));
});

/** Characters of an answer that is whole. */
function segmentedLength(text: string): number {
  assert.equal((JSON.parse(text) as SegmentResponse).image.width, 3000);
  return text.length;
}

test('detection on the same server is as ever, and nothing of this was a fault', async () => {
  assert.equal(result(await post(server, photos.street)).detections.length, 2);
  assert.deepEqual(
    server.log.filter(({ level }) => level >= 50),
    [],
  );
});
