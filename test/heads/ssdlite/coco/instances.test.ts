import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { CocoFormatError, parseInstances } from '../../../../heads/ssdlite/coco/instances.ts';

// biome-ignore lint/suspicious/noExplicitAny: tests break the valid form in ways that its type forbids
type Loose = any;

/** A small valid file, with the keys that COCO has and evaluation does not need. */
const valid = (): Loose => ({
  info: { year: 2017 },
  licenses: [{ id: 1 }],
  images: [
    {
      id: 139,
      width: 640,
      height: 426,
      file_name: 'val/000000000139.jpg',
      license: 2,
      coco_url: 'http://...',
    },
    { id: 0, width: 1, height: 1, file_name: 'dot.png' },
  ],
  annotations: [
    {
      id: 1768,
      image_id: 139,
      category_id: 72,
      bbox: [413, 158.25, 53, 138],
      area: 2913.5,
      iscrowd: 0,
      segmentation: [[428.19, 219.47, 430.94, 209.57, 430.39, 210.12]],
    },
    { id: 900100000139, image_id: 139, category_id: 72, bbox: [0, 0, 20, 10], area: 7, iscrowd: 1 },
    { id: 5, image_id: 0, category_id: 1, bbox: [-1, 0.5, 4, 2.5] },
  ],
  categories: [{ id: 72, name: 'tv', supercategory: 'electronic' }, { id: 1, name: 'person' }, { id: 3 }],
});

describe('parseInstances', () => {
  it('picks out what evaluation needs, in file order, and fills in what may be absent', () => {
    assert.deepEqual(parseInstances(valid(), 'x.json'), {
      images: [
        { id: 139, width: 640, height: 426, file_name: 'val/000000000139.jpg' },
        { id: 0, width: 1, height: 1, file_name: 'dot.png' },
      ],
      annotations: [
        { id: 1768, image_id: 139, category_id: 72, bbox: [413, 158.25, 53, 138], area: 2913.5, iscrowd: 0 },
        { id: 900100000139, image_id: 139, category_id: 72, bbox: [0, 0, 20, 10], area: 7, iscrowd: 1 },
        { id: 5, image_id: 0, category_id: 1, bbox: [-1, 0.5, 4, 2.5], area: 10, iscrowd: 0 },
      ],
      categories: [
        { id: 72, name: 'tv' },
        { id: 1, name: 'person' },
        { id: 3, name: '3' },
      ],
    });
  });

  it('accepts lists that are empty', () => {
    const empty = { images: [], annotations: [], categories: [] };
    assert.deepEqual(parseInstances(empty, 'x.json'), empty);
  });

  const boxes = 'four finite numbers [x, y, width, height] in pixels, width and height at least 0';
  const broken: [name: string, breakIt: (file: Loose) => unknown, path: string, problem: string][] = [
    ['null', () => null, '', 'must be a JSON object, not null'],
    ['a results file', () => [{ image_id: 1 }], '', 'must be a JSON object, not [{"image_id":1}]'],
    ['no images', ({ images, ...rest }) => rest, 'images', 'must be an array of objects, not missing'],
    [
      'no annotations',
      ({ annotations, ...rest }) => rest,
      'annotations',
      'must be an array of objects, not missing',
    ],
    [
      'no categories',
      ({ categories, ...rest }) => rest,
      'categories',
      'must be an array of objects, not missing',
    ],
    [
      'images by id',
      (file) => ({ ...file, images: { 139: {} } }),
      'images',
      'must be an array of objects, not {"139":{}}',
    ],
    ['an image that is a number', set('images', 1, 7), 'images[1]', 'must be a JSON object, not 7'],
    ['a text as id', set('images', 0, 'id', '139'), 'images[0].id', 'must be an integer, not "139"'],
    [
      'an image id twice',
      set('images', 1, 'id', 139),
      'images[1].id',
      'must be an id that no image before it has, not 139',
    ],
    [
      'a category id twice',
      set('categories', 1, 'id', 72),
      'categories[1].id',
      'must be an id that no category before it has, not 72',
    ],
    [
      'an annotation id twice',
      set('annotations', 2, 'id', 1768),
      'annotations[2].id',
      'must be an id that no annotation before it has, not 1768',
    ],
    [
      'a width of 0',
      set('images', 0, 'width', 0),
      'images[0].width',
      'must be a whole number of pixels, at least 1, not 0',
    ],
    [
      'no height',
      set('images', 0, 'height', undefined),
      'images[0].height',
      'must be a whole number of pixels, at least 1, not missing',
    ],
    [
      'no file name',
      set('images', 0, 'file_name', ''),
      'images[0].file_name',
      'must be a string that is not empty, not ""',
    ],
    [
      'no category name',
      set('categories', 0, 'name', null),
      'categories[0].name',
      'must be a string that is not empty, not null',
    ],
    [
      'an unknown image',
      set('annotations', 0, 'image_id', 140),
      'annotations[0].image_id',
      'must be the id of one of the images, not 140',
    ],
    [
      'an unknown category',
      set('annotations', 1, 'category_id', 73),
      'annotations[1].category_id',
      'must be the id of one of the categories, not 73',
    ],
    [
      'a box of three numbers',
      set('annotations', 0, 'bbox', [1, 2, 3]),
      'annotations[0].bbox',
      `must be ${boxes}, not [1,2,3]`,
    ],
    [
      'a box of five numbers',
      set('annotations', 0, 'bbox', [1, 2, 3, 4, 5]),
      'annotations[0].bbox',
      `must be ${boxes}, not an array of 5 values`,
    ],
    [
      'a box with a text',
      set('annotations', 0, 'bbox', [1, 2, '3', 4]),
      'annotations[0].bbox',
      `must be ${boxes}, not [1,2,"3",4]`,
    ],
    [
      'a negative width',
      set('annotations', 0, 'bbox', [1, 2, -3, 4]),
      'annotations[0].bbox',
      `must be ${boxes}, not [1,2,-3,4]`,
    ],
    [
      'a negative height',
      set('annotations', 0, 'bbox', [1, 2, 3, -4]),
      'annotations[0].bbox',
      `must be ${boxes}, not [1,2,3,-4]`,
    ],
    [
      'no box',
      set('annotations', 0, 'bbox', undefined),
      'annotations[0].bbox',
      `must be ${boxes}, not missing`,
    ],
    [
      'a negative area',
      set('annotations', 0, 'area', -1),
      'annotations[0].area',
      'must be a finite number of square pixels, at least 0, not -1',
    ],
    [
      'an area of null',
      set('annotations', 0, 'area', null),
      'annotations[0].area',
      'must be a finite number of square pixels, at least 0, not null',
    ],
    [
      'an iscrowd of true',
      set('annotations', 0, 'iscrowd', true),
      'annotations[0].iscrowd',
      'must be 0 or 1, not true',
    ],
  ];
  for (const [name, breakIt, path, problem] of broken) {
    it(`refuses ${name}`, () => {
      assert.throws(
        () => parseInstances(breakIt(valid()), 'instances.json'),
        (error) => {
          assert.ok(error instanceof CocoFormatError);
          assert.equal(error.message, `instances.json${path && `: ${path}`} ${problem}`);
          assert.deepEqual([error.source, error.path], ['instances.json', path]);
          return true;
        },
      );
    });
  }

  it('shortens a long value in its message', () => {
    const file = valid();
    file.images[0].width = 'w'.repeat(5000);
    assert.throws(
      () => parseInstances(file, 'x.json'),
      (error: Error) => error.message.length < 150,
    );
  });
});

/** Returns a change of a file that puts the last of `steps` where the others lead. */
function set(...steps: unknown[]) {
  return (file: Loose) => {
    const value = steps.at(-1);
    const last = steps.at(-2) as string;
    const parent: Loose = steps.slice(0, -2).reduce((node: Loose, step) => node[step as string], file);
    parent[last] = value;
    return file;
  };
}
