import type { Style } from '../../backbones/blocks.ts';
import type { Graph } from '../../graph/graph.ts';
import { MINUS_ONE_TO_ONE } from '../../graph/image_input.ts';
import type { MapTarget, NameMap } from './name_map.ts';
import { BATCH_COUNTERS, blocksOf, IMAGENET_NORMALIZATION, ModuleNames, styleOf } from './name_map.ts';

/** Blocks a stage of timm's mobilenetv1; our table numbers them through. */
const V1_STAGES = [1, 2, 2, 6, 2] as const;

/** `blocks.S.B` of a block called `backbone.stage{S + 1}.{B}` or, in MobileNetV1, `backbone.block{N}`. */
function placeOf(name: string): string {
  const [, stage, block] = /stage(\d+)\.(\d+)$/.exec(name) ?? [];
  if (stage) return `blocks.${Number(stage) - 1}.${block}`;
  let at = Number(/\d+$/.exec(name)?.[0]) - 1;
  const first = V1_STAGES.findIndex((blocks) => {
    if (at < blocks) return true;
    at -= blocks;
    return false;
  });
  return `blocks.${first}.${at}`;
}

/** A block's convolutions and normalisations: with an expansion (`InvertedResidual`), and without (`DepthwiseSeparableConv`). */
const EXPANDING = { expand: ['conv_pw', 'bn1'], depthwise: ['conv_dw', 'bn2'], project: ['conv_pwl', 'bn3'] };
const SEPARABLE = {
  depthwise: ['conv_dw', 'bn1'],
  project: ['conv_pw', 'bn2'],
  pointwise: ['conv_pw', 'bn2'],
};

function namesOf({ backbone, graph }: MapTarget): { names: ModuleNames; taps: Map<string, string> } {
  const names = new ModuleNames();
  const taps = new Map([['bn1', 'backbone.stem']]);
  names.block('backbone.stem', 'conv_stem', 'bn1');
  for (const { name, layers } of blocksOf(graph)) {
    const from = placeOf(name);
    taps.set(from, name);
    // Blocks come in order, so the last one of a stage stays.
    taps.set(from.slice(0, from.lastIndexOf('.')), name);
    for (const [layer, [conv, norm]] of Object.entries(layers.includes('expand') ? EXPANDING : SEPARABLE))
      names.block(`${name}.${layer}`, `${from}.${conv}`, `${from}.${norm}`);
    names.module(`${name}.se.reduce`, `${from}.se.conv_reduce`);
    names.module(`${name}.se.expand`, `${from}.se.conv_expand`);
  }
  if (backbone.startsWith('mobilenet_v3')) {
    const last = `blocks.${lastStage(graph)}`;
    names.block('backbone.final', `${last}.0.conv`, `${last}.0.bn1`);
    taps.set(last, 'backbone.final').set(`${last}.0`, 'backbone.final');
    names.module('classifier.hidden', 'conv_head');
    names.module('classifier.output', 'classifier');
  } else {
    names.block('backbone.final', 'conv_head', 'bn2');
    if (backbone !== 'mobilenet_v1') taps.set('bn2', 'backbone.final');
  }
  return { names, taps };
}

/** timm counts MobileNetV3's last convolution as one more stage. */
const lastStage = (graph: Graph) =>
  new Set(blocksOf(graph).map(({ name }) => name.slice(0, name.lastIndexOf('.')))).size;

const BACKBONES = [
  'mobilenet_v1',
  'mobilenet_v2',
  'mobilenet_v3_large',
  'mobilenet_v3_small',
  'mnasnet_a1',
  'mnasnet_b1',
  'mnasnet_small',
];

const timmMap = (
  own: Pick<NameMap, 'name' | 'title'>,
  padding: Style['padding'],
  epsilon: number,
  normalization: NameMap['normalization'],
): NameMap => ({
  ...own,
  reference:
    'huggingface/pytorch-image-models timm/models/{efficientnet,mobilenetv3,_efficientnet_builder,_efficientnet_blocks}.py',
  covers: new Map(BACKBONES.map((backbone) => [backbone, ['classifier']])),
  styles: (backbone) => {
    const style = styleOf(backbone, padding, epsilon);
    return { backbone: style, head: style };
  },
  normalization,
  recipes: (target) => namesOf(target).names.recipes(target.graph),
  leftOut: () => [BATCH_COUNTERS],
  taps: (target) => namesOf(target).taps,
});

/**
 * timm's own checkpoints: mobilenetv1_*, mobilenetv2_*, mobilenetv3_*, mnasnet_* (B1), semnasnet_* (A1), mnasnet_small. A few
 * are normalised otherwise than the rest of their family; timm's config.json says how.
 */
export const timm = timmMap({ name: 'timm', title: 'timm' }, 'symmetric', 1e-5, (backbone) =>
  backbone === 'mobilenet_v1' ? MINUS_ONE_TO_ONE : IMAGENET_NORMALIZATION,
);

/** timm's tf_* variants: the same names, weights from TensorFlow. */
export const timmTf = timmMap(
  { name: 'timm_tf', title: 'timm, weights ported from TensorFlow (tf_*)' },
  'same',
  1e-3,
  () => MINUS_ONE_TO_ONE,
);
