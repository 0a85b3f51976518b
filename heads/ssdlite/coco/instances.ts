/**
 * The parts of a COCO `instances_*.json` file that box evaluation reads.
 * Format: https://cocodataset.org/#format-data, "1. Object Detection".
 */

export interface CocoImage {
  readonly id: number;
  /** Pixels. */
  readonly width: number;
  /** Pixels. */
  readonly height: number;
  readonly file_name: string;
}

export interface CocoAnnotation {
  readonly id: number;
  readonly image_id: number;
  readonly category_id: number;
  /** [x, y, width, height] in pixels, x and y of the upper left corner. */
  readonly bbox: readonly [number, number, number, number];
  /** Square pixels. COCO gives the area of the object's mask, which is less than that of its box. */
  readonly area: number;
  /** 1: the region holds a crowd of objects that were not annotated one by one. */
  readonly iscrowd: 0 | 1;
}

export interface CocoCategory {
  readonly id: number;
  readonly name: string;
}

export interface CocoInstances {
  readonly images: readonly CocoImage[];
  readonly annotations: readonly CocoAnnotation[];
  readonly categories: readonly CocoCategory[];
}

/** Data that is not in COCO's form: the message names the source, the path inside it and what would be right. */
export class CocoFormatError extends Error {
  /** Where the data came from, for instance a file name. */
  readonly source: string;
  /** Path inside the data, like `annotations[3].bbox`; empty for the data as a whole. */
  readonly path: string;

  /** @param expected what would be right; @param found the value that stands there instead. */
  constructor(source: string, path: string, expected: string, found: unknown) {
    super(`${path === '' ? source : `${source}: ${path}`} must be ${expected}, not ${describe(found)}`);
    this.name = 'CocoFormatError';
    this.source = source;
    this.path = path;
  }
}

function describe(value: unknown): string {
  if (value === undefined) return 'missing';
  if (Array.isArray(value) && value.length > 4) return `an array of ${value.length} values`;
  if (typeof value === 'number') return String(value); // JSON has no word for NaN and the infinities.
  const text = JSON.stringify(value) ?? typeof value;
  return text.length > 60 ? `${text.slice(0, 57)}...` : text;
}

/**
 * Checks parsed JSON in COCO's instances form and picks out what evaluation needs; all other keys are ignored.
 * An annotation without `iscrowd` is an ordinary object (0); one without `area` has its box's area. A category without `name` is called by its id.
 * @param json the result of JSON.parse
 * @param source name of the data in error messages, for instance the file's name
 * @throws CocoFormatError at the first thing that is missing, of the wrong kind, named twice, or refers to an
 *   image or category that is not in the data
 */
export function parseInstances(json: unknown, source: string): CocoInstances {
  const root = new Reader(source, '', json);

  const imageIds = new Set<number>();
  const images = root.list('images').map((image) => ({
    id: image.newId(imageIds, 'image'),
    width: image.size('width'),
    height: image.size('height'),
    file_name: image.text('file_name'),
  }));

  const categoryIds = new Set<number>();
  const categories = root.list('categories').map((category) => {
    const id = category.newId(categoryIds, 'category');
    return { id, name: category.text('name', String(id)) };
  });

  const annotationIds = new Set<number>();
  const annotations = root.list('annotations').map((annotation) => {
    const bbox = annotation.box('bbox');
    return {
      id: annotation.newId(annotationIds, 'annotation'),
      image_id: annotation.knownId('image_id', imageIds, 'images'),
      category_id: annotation.knownId('category_id', categoryIds, 'categories'),
      bbox,
      area: annotation.area('area', bbox[2] * bbox[3]),
      iscrowd: annotation.flag('iscrowd'),
    };
  });
  return { images, annotations, categories };
}

/** Reads checked fields of one JSON object and knows where in the data that object stands. */
class Reader {
  readonly #source: string;
  readonly #path: string;
  readonly #fields: Readonly<Record<string, unknown>>;

  constructor(source: string, path: string, value: unknown) {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) {
      throw new CocoFormatError(source, path, 'a JSON object', value);
    }
    this.#source = source;
    this.#path = path;
    this.#fields = value as Record<string, unknown>;
  }

  #error(key: string, expected: string): CocoFormatError {
    const path = this.#path === '' ? key : `${this.#path}.${key}`;
    return new CocoFormatError(this.#source, path, expected, this.#fields[key]);
  }

  list(key: string): Reader[] {
    const value = this.#fields[key];
    if (!Array.isArray(value)) throw this.#error(key, 'an array of objects');
    return value.map((item, index) => new Reader(this.#source, `${key}[${index}]`, item));
  }

  /** The object's own `id`, which no object before it may have. */
  newId(taken: Set<number>, noun: string): number {
    const id = this.#fields.id;
    if (!isId(id)) throw this.#error('id', 'an integer');
    if (taken.has(id)) throw this.#error('id', `an id that no ${noun} before it has`);
    taken.add(id);
    return id;
  }

  /** A reference to the object of that id in the list `among`. */
  knownId(key: string, ids: ReadonlySet<number>, among: string): number {
    const id = this.#fields[key];
    if (!isId(id) || !ids.has(id)) throw this.#error(key, `the id of one of the ${among}`);
    return id;
  }

  size(key: string): number {
    const value = this.#fields[key];
    if (!isId(value) || value < 1) throw this.#error(key, 'a whole number of pixels, at least 1');
    return value;
  }

  text(key: string, absent?: string): string {
    const value = this.#fields[key];
    if (value === undefined && absent !== undefined) return absent;
    if (typeof value !== 'string' || value === '') throw this.#error(key, 'a string that is not empty');
    return value;
  }

  box(key: string): [number, number, number, number] {
    const value = this.#fields[key];
    if (!isBox(value) || value[2] < 0 || value[3] < 0) {
      throw this.#error(
        key,
        'four finite numbers [x, y, width, height] in pixels, width and height at least 0',
      );
    }
    return [value[0], value[1], value[2], value[3]];
  }

  area(key: string, absent: number): number {
    const value = this.#fields[key];
    if (value === undefined) return absent;
    if (typeof value !== 'number' || !Number.isFinite(value) || value < 0) {
      throw this.#error(key, 'a finite number of square pixels, at least 0');
    }
    return value;
  }

  flag(key: string): 0 | 1 {
    const value = this.#fields[key];
    if (value === undefined) return 0;
    if (value !== 0 && value !== 1) throw this.#error(key, '0 or 1');
    return value;
  }
}

function isId(value: unknown): value is number {
  return Number.isSafeInteger(value);
}

/** Whether a value is an array of four finite numbers. */
export function isBox(value: unknown): value is [number, number, number, number] {
  return Array.isArray(value) && value.length === 4 && value.every(Number.isFinite);
}
