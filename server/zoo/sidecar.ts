import { existsSync } from 'node:fs';
import { basename, dirname, extname, join } from 'node:path';
import type { Style } from '../../models/backbones/blocks.ts';
import type { InputSize, Normalization } from '../../models/graph/image_input.ts';
import type { HeadName } from './architecture.ts';
import { ImportError, readJson } from './checkpoint_file.ts';
import type { Label } from './labels.ts';

/** What is known of a network beside its tensors. */
export interface NetworkFacts {
  readonly backbone?: string;
  readonly head?: HeadName;
  readonly width?: number;
  readonly outputStride?: number;
  readonly size?: InputSize;
  readonly map?: string;
  readonly padding?: Style['padding'];
  readonly epsilon?: number;
  readonly normalization?: Normalization;
  /** Classes by id. */
  readonly labels?: readonly Label[];
  readonly title?: string;
  /** The file that said so. */
  readonly described?: string;
}

/** No more of a wrong value than this is shown. */
const MOST_SHOWN = 80;

type Json = Readonly<Record<string, unknown>>;

const isObject = (value: unknown): value is Json =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** Reads values out of a JSON object and says of each that is not what it must be which file it is in. */
class Fields {
  readonly #json: Json;
  readonly #where: string;

  constructor(json: Json, where: string) {
    this.#json = json;
    this.#where = where;
  }

  number(key: string, fallback?: number): number {
    const value = this.#json[key] ?? fallback;
    if (typeof value !== 'number') throw this.wrong(key, 'a number');
    return value;
  }

  boolean(key: string, fallback: boolean): boolean {
    const value = this.#json[key] ?? fallback;
    if (typeof value !== 'boolean') throw this.wrong(key, 'true or false');
    return value;
  }

  text(key: string, fallback?: string): string {
    const value = this.#json[key] ?? fallback;
    if (typeof value !== 'string') throw this.wrong(key, 'text');
    return value;
  }

  object(key: string): Fields {
    const value = this.#json[key];
    if (!isObject(value)) throw this.wrong(key, 'an object');
    return new Fields(value, `${this.#where}: ${key}`);
  }

  isArray(key: string): boolean {
    return Array.isArray(this.#json[key]);
  }

  array(key: string): readonly unknown[] {
    const value = this.#json[key];
    if (!Array.isArray(value)) throw this.wrong(key, 'an array');
    return value;
  }

  triple(key: string): readonly [number, number, number] {
    const values = this.#json[key];
    if (!Array.isArray(values) || values.length !== 3 || !values.every((value) => typeof value === 'number'))
      throw this.wrong(key, 'three numbers');
    return values as [number, number, number];
  }

  get entries(): [string, unknown][] {
    return Object.entries(this.#json);
  }

  /** What is wrong with a value. */
  wrong(key: string, wanted: string): ImportError {
    const found = JSON.stringify(this.#json[key]) ?? 'missing';
    const shown = found.length > MOST_SHOWN ? `${found.slice(0, MOST_SHOWN)}...` : found;
    return new ImportError(`${this.#where}: ${key} is ${shown}, and must be ${wanted}`);
  }
}

/** One of a table's values. */
function choose<Value>(fields: Fields, key: string, table: Readonly<Record<string, Value>>): Value {
  const text = fields.text(key);
  if (Object.hasOwn(table, text)) return table[text] as Value;
  throw fields.wrong(key, `one of ${Object.keys(table).join(', ')}`);
}

const KIT_BACKBONES = {
  mobilenetv2: 'mobilenet_v2',
  shufflenetv2: 'shufflenet_v2',
  mnasnet_a1: 'mnasnet_a1',
};
const KIT_HEADS = { ssdlite: 'ssdlite', mobile_deeplabv3: 'deeplabv3' } as const;
const KIT_PADDING = {
  'TF SAME everywhere (extra pixel after)': 'same',
  'backbone symmetric (k-1)/2, head TF SAME': 'symmetric',
} as const;

/** A record's classes: names by id where ids have gaps, else in order. */
function kitLabels(record: Fields): Label[] {
  const classes = record.object('classes');
  if (classes.isArray('names')) {
    const ids = classes.isArray('ids') ? classes.array('ids').map(Number) : [];
    return classes.array('names').map((label, at) => ({ classId: ids[at] ?? at, label: String(label) }));
  }
  return labelsById(classes.object('names').entries);
}

/** The record that the training kit writes beside its weights. */
function kitRecord(json: Json, path: string): NetworkFacts {
  const record = new Fields(json, path);
  const architecture = record.object('architecture');
  const input = record.object('input');
  const scale = record.object('normalisation').number('scale');
  const offset = record.object('normalisation').number('offset');
  return {
    title: record.text('title'),
    backbone: choose(architecture, 'backbone', KIT_BACKBONES),
    head: choose(architecture, 'head', KIT_HEADS),
    width: 1,
    outputStride: architecture.number('output_stride'),
    padding: choose(architecture, 'padding', KIT_PADDING),
    epsilon: architecture.number('bn_eps'),
    size: { height: input.number('height'), width: input.number('width') },
    normalization: { scale: [scale, scale, scale], offset: [offset, offset, offset] },
    labels: kitLabels(record),
    map: 'training',
  };
}

/** What of a configuration our graph has in one form only. */
const FIXED: readonly (readonly [key: string, value: number | boolean | string])[] = [
  ['depth_divisible_by', 8],
  ['min_depth', 8],
  ['expand_ratio', 6],
  ['first_layer_is_expansion', true],
  ['hidden_act', 'relu6'],
  ['num_channels', 3],
];

/** A config.json of transformers' MobileNetV2; what it leaves out has the library's default. */
function transformersConfig(json: Json, path: string): NetworkFacts {
  const config = new Fields(json, path);
  for (const [key, value] of FIXED) {
    if ((json[key] ?? value) !== value) throw config.wrong(key, `${value}: no other can be built here`);
  }
  const head = Array.isArray(json.architectures)
    ? json.architectures.includes('MobileNetV2ForSemanticSegmentation')
      ? 'deeplabv3'
      : 'classifier'
    : undefined;
  const width = config.number('depth_multiplier', 1);
  if (head !== 'deeplabv3' && !config.boolean('finegrained_output', true) && width < 1) {
    throw config.wrong(
      'finegrained_output',
      'true: the last convolution is built with 1280 channels at least',
    );
  }
  const side = config.number('image_size', 224);
  return {
    backbone: 'mobilenet_v2',
    map: 'transformers',
    width,
    outputStride: config.number('output_stride', 32),
    padding: config.boolean('tf_padding', true) ? 'same' : 'symmetric',
    epsilon: config.number('layer_norm_eps', 1e-3),
    size: { height: side, width: side },
    ...(head && { head }),
    ...(isObject(json.id2label) && { labels: labelsById(config.object('id2label').entries) }),
  };
}

const labelsById = (entries: readonly (readonly [string, unknown])[]): Label[] =>
  entries
    .map(([id, label]) => ({ classId: Number(id), label: String(label) }))
    .sort((a, b) => a.classId - b.classId);

const TIMM_ARCHITECTURE =
  /^(tf_)?(mobilenetv1|mobilenetv2|mobilenetv3_large|mobilenetv3_small|mnasnet|semnasnet)_(\d{3})$/;
const TIMM_BACKBONES: Readonly<Record<string, string>> = {
  mobilenetv1: 'mobilenet_v1',
  mobilenetv2: 'mobilenet_v2',
  mobilenetv3_large: 'mobilenet_v3_large',
  mobilenetv3_small: 'mobilenet_v3_small',
  mnasnet: 'mnasnet_b1',
  semnasnet: 'mnasnet_a1',
};

/** A config.json of timm, as it lies on a hub beside the weights: which network, and how its photos are normalised. */
function timmConfig(json: Json, path: string): NetworkFacts | undefined {
  const config = new Fields(json, path);
  const architecture = config.text('architecture');
  const [, ported, family = '', percent] = TIMM_ARCHITECTURE.exec(architecture) ?? [];
  const backbone = architecture === 'mnasnet_small' ? architecture : TIMM_BACKBONES[family];
  if (backbone === undefined) return undefined;
  if (isObject(json.model_args) && Object.keys(json.model_args).length > 0)
    throw config.wrong('model_args', 'left out: only the plain network can be built here');
  const trained = config.object('pretrained_cfg');
  const [mean, deviation] = [trained.triple('mean'), trained.triple('std')];
  const [, height, width] = trained.triple('input_size');
  return {
    title: architecture,
    backbone,
    width: percent === undefined ? 1 : Number(percent) / 100,
    head: 'classifier',
    map: ported ? 'timm_tf' : 'timm',
    size: { height, width },
    normalization: {
      scale: deviation.map((each) => 1 / (255 * each)) as [number, number, number],
      offset: mean.map((each, channel) => -each / (deviation[channel] ?? 1)) as [number, number, number],
    },
  };
}

const isTransformers = (json: Json) =>
  json.model_type === 'mobilenet_v2' ||
  (Array.isArray(json.architectures) &&
    json.architectures.some((name) => String(name).startsWith('MobileNetV2')));

/** What a JSON file says of a network: a record of the training kit, a configuration of timm or of transformers. Nothing, if it is none. */
async function readFacts(path: string): Promise<NetworkFacts | undefined> {
  const json = await readJson(path);
  if (!isObject(json)) return undefined;
  if (isObject(json.architecture)) return kitRecord(json, path);
  if (typeof json.architecture === 'string') return timmConfig(json, path);
  return isTransformers(json) ? transformersConfig(json, path) : undefined;
}

/**
 * What is known of a checkpoint from a JSON file: `config` if given, else NAME.json or config.json beside it.
 * @throws ImportError where `config` is of no kind that is known, or one of the files describes what cannot be built
 */
export async function sidecarFacts(checkpoint: string, config: string | undefined): Promise<NetworkFacts> {
  if (config !== undefined) {
    const facts = await readFacts(config);
    if (facts) return { ...facts, described: config };
    throw new ImportError(
      `${config} is neither a config.json of timm or of transformers' MobileNetV2 nor a record of the training kit`,
    );
  }
  const folder = dirname(checkpoint);
  const own = `${basename(checkpoint, extname(checkpoint))}.json`;
  for (const name of [own, 'config.json']) {
    const path = join(folder, name);
    if (path === checkpoint || !existsSync(path)) continue;
    const facts = await readFacts(path);
    if (facts) return { ...facts, described: path };
  }
  return {};
}

/**
 * Labels out of a file: a JSON array, a JSON object of names by id, or one name a line.
 * @param first the id of the first where the file gives none
 * @throws ImportError where it holds something else
 */
export function parseLabels(text: string, first: number, path: string): Label[] {
  const listed = (names: readonly unknown[]) =>
    names.map((label, index) => ({ classId: first + index, label: String(label) }));
  let labels: Label[];
  if (/^\s*[[{]/.test(text)) {
    let json: unknown;
    try {
      json = JSON.parse(text);
    } catch (error) {
      throw new ImportError(`${path} is not JSON: ${(error as Error).message}`);
    }
    labels = Array.isArray(json) ? listed(json) : labelsById(Object.entries(json as Json));
  } else {
    labels = listed(
      text
        .split(/\r?\n/)
        .map((line) => line.trim())
        .filter((line) => line !== ''),
    );
  }
  if (labels.length === 0) throw new ImportError(`${path} holds no labels`);
  const wrong = labels.find(
    ({ classId, label }) => !Number.isInteger(classId) || classId < 0 || label === '',
  );
  if (wrong)
    throw new ImportError(
      `${path}: a label must be a name with a whole number as its id, not ${JSON.stringify(wrong)}`,
    );
  return labels;
}
