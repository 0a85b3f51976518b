import type { HeadName } from '../../heads/model.ts';
import { LIMITS } from './architecture.ts';
import type { Json } from './json_fields.ts';
import { Fields, isObject } from './json_fields.ts';
import { labelsById } from './label_file.ts';
import type { Label } from './labels.ts';
import type { NetworkFacts } from './network_facts.ts';
import { EPSILON } from './network_facts.ts';

/** A kind of JSON file that describes a checkpoint's network. */
export interface Configuration {
  /** What the file says the network is, without a look at the rest; nothing, where the file is of another kind. */
  readonly subject: (json: Json) => Pick<NetworkFacts, 'backbone' | 'head' | 'map'> | undefined;
  /** @throws ImportError naming the file, the field, what it holds and what it may */
  readonly read: (json: Json, path: string) => NetworkFacts;
}

const SIDE = { range: LIMITS.resolution, whole: true } as const;
const STRIDE = { range: [8, 32], whole: true } as const;
/** Pixels are bytes: what is trained on lies many orders of magnitude inside. */
const SHIFT = { range: [-1e6, 1e6] } as const;
const DIVISOR = { range: [1e-6, 1e6] } as const;

const KIT_BACKBONES: Readonly<Record<string, string>> = {
  mobilenetv2: 'mobilenet_v2',
  shufflenetv2: 'shufflenet_v2',
  mnasnet_a1: 'mnasnet_a1',
};
const KIT_HEADS: Readonly<Record<string, HeadName>> = { ssdlite: 'ssdlite', mobile_deeplabv3: 'deeplabv3' };
const KIT_PADDING = {
  'TF SAME everywhere (extra pixel after)': 'same',
  'backbone symmetric (k-1)/2, head TF SAME': 'symmetric',
} as const;

/** A record's classes: names by id where ids have gaps, else in order. */
function kitLabels(record: Fields, path: string): Label[] {
  const classes = record.object('classes');
  const where = `${path}: classes`;
  if (!classes.isArray('names')) return labelsById(classes.object('names').entries, where);
  const ids = classes.isArray('ids') ? classes.array('ids') : [];
  return labelsById(
    classes.array('names').map((label, at) => [ids[at] ?? at, label]),
    where,
  );
}

/** The record that the training kit writes beside its weights. */
const kit: Configuration = {
  subject: ({ architecture }) => {
    if (!isObject(architecture)) return undefined;
    const { backbone, head } = architecture;
    if (typeof backbone !== 'string' || typeof head !== 'string') return undefined;
    return {
      map: 'training',
      backbone: KIT_BACKBONES[backbone] ?? backbone,
      ...(Object.hasOwn(KIT_HEADS, head) && { head: KIT_HEADS[head] as HeadName }),
    };
  },
  read: (json, path) => {
    const record = new Fields(json, path);
    const architecture = record.object('architecture');
    const input = record.object('input');
    const scale = record.object('normalisation').number('scale', SHIFT);
    const offset = record.object('normalisation').number('offset', SHIFT);
    return {
      title: record.text('title'),
      backbone: architecture.choice('backbone', KIT_BACKBONES),
      head: architecture.choice('head', KIT_HEADS),
      width: 1,
      outputStride: architecture.number('output_stride', STRIDE),
      padding: architecture.choice('padding', KIT_PADDING),
      epsilon: architecture.number('bn_eps', { range: EPSILON }),
      size: { height: input.number('height', SIDE), width: input.number('width', SIDE) },
      normalization: { scale: [scale, scale, scale], offset: [offset, offset, offset] },
      labels: kitLabels(record, path),
      map: 'training',
    };
  },
};

/** What of a configuration our graph has in one form only. */
const FIXED: readonly (readonly [key: string, value: number | boolean | string])[] = [
  ['depth_divisible_by', 8],
  ['min_depth', 8],
  ['expand_ratio', 6],
  ['first_layer_is_expansion', true],
  ['hidden_act', 'relu6'],
  ['num_channels', 3],
];

const transformersHead = ({ architectures }: Json): HeadName | undefined => {
  if (!Array.isArray(architectures)) return undefined;
  return architectures.includes('MobileNetV2ForSemanticSegmentation') ? 'deeplabv3' : 'classifier';
};

/** A config.json of transformers' MobileNetV2; what it leaves out has the library's default. */
const transformers: Configuration = {
  subject: (json) => {
    const { model_type, architectures } = json;
    const ours =
      model_type === 'mobilenet_v2' ||
      (Array.isArray(architectures) && architectures.some((name) => String(name).startsWith('MobileNetV2')));
    if (!ours) return undefined;
    const head = transformersHead(json);
    return { backbone: 'mobilenet_v2', map: 'transformers', ...(head && { head }) };
  },
  read: (json, path) => {
    const config = new Fields(json, path);
    for (const [key, value] of FIXED) {
      if ((json[key] ?? value) !== value) throw config.wrong(key, `${value}: no other can be built here`);
    }
    const head = transformersHead(json);
    const width = config.number('depth_multiplier', { range: LIMITS.width }, 1);
    if (head !== 'deeplabv3' && !config.boolean('finegrained_output', true) && width < 1) {
      throw config.wrong(
        'finegrained_output',
        'true: the last convolution is built with 1280 channels at least',
      );
    }
    const side = config.number('image_size', SIDE, 224);
    return {
      backbone: 'mobilenet_v2',
      map: 'transformers',
      width,
      outputStride: config.number('output_stride', STRIDE, 32),
      padding: config.boolean('tf_padding', true) ? 'same' : 'symmetric',
      epsilon: config.number('layer_norm_eps', { range: EPSILON }, 1e-3),
      size: { height: side, width: side },
      ...(head && { head }),
      ...(isObject(json.id2label) && {
        labels: labelsById(config.object('id2label').entries, `${path}: id2label`),
      }),
    };
  },
};

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

/** What an architecture of timm's is here; nothing, where it cannot be built. */
function timmNetwork(architecture: string) {
  const [, ported, family = '', percent] = TIMM_ARCHITECTURE.exec(architecture) ?? [];
  const backbone = architecture === 'mnasnet_small' ? architecture : TIMM_BACKBONES[family];
  const width = percent === undefined ? 1 : Number(percent) / 100;
  if (backbone === undefined) return undefined;
  return { backbone, width, head: 'classifier', map: ported ? 'timm_tf' : 'timm' } as const;
}

/** A config.json of timm, as it lies on a hub beside the weights: which network, and how its photos are normalised. */
const timm: Configuration = {
  subject: ({ architecture }) => (typeof architecture === 'string' ? timmNetwork(architecture) : undefined),
  read: (json, path) => {
    const config = new Fields(json, path);
    const title = config.text('architecture');
    const network = timmNetwork(title);
    const [low, high] = LIMITS.width;
    if (!network || network.width < low || network.width > high)
      throw config.wrong('architecture', `a network with a width of ${low} to ${high}`);
    if (isObject(json.model_args) && Object.keys(json.model_args).length > 0)
      throw config.wrong('model_args', 'left out: only the plain network can be built here');
    const trained = config.object('pretrained_cfg');
    const [mean, deviation] = [trained.triple('mean', SHIFT), trained.triple('std', DIVISOR)];
    const [channels, height, width] = trained.triple('input_size', {
      ...SIDE,
      range: [1, LIMITS.resolution[1]],
    });
    if (channels !== 3 || Math.min(height, width) < LIMITS.resolution[0]) {
      const sides = LIMITS.resolution.join(' to ');
      throw trained.wrong('input_size', `3, then the height and the width, ${sides} pixels each`);
    }
    return {
      title,
      ...network,
      size: { height, width },
      normalization: {
        scale: deviation.map((each) => 1 / (255 * each)) as [number, number, number],
        offset: mean.map((each, channel) => -each / (deviation[channel] ?? 1)) as [number, number, number],
      },
    };
  },
};

/** Every kind that is known. A file is of one of them at most. */
export const configurations: readonly Configuration[] = [kit, timm, transformers];
