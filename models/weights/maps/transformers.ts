import { MINUS_ONE_TO_ONE } from '../../graph/image_input.ts';
import type { MapTarget, NameMap } from './name_map.ts';
import { BATCH_COUNTERS, blocksOf, ModuleNames } from './name_map.ts';

const BODY = 'mobilenet_v2';

function namesOf({ graph }: MapTarget): { names: ModuleNames; taps: Map<string, string> } {
  const names = new ModuleNames();
  const taps = new Map<string, string>();
  const layer = (to: string, from: string) => names.block(to, `${from}.convolution`, `${from}.normalization`);
  // The stem and the first block, which has no expansion, are one module.
  const [first, ...blocks] = blocksOf(graph);
  layer('backbone.stem', `${BODY}.conv_stem.first_conv`);
  if (first) {
    layer(`${first.name}.depthwise`, `${BODY}.conv_stem.conv_3x3`);
    layer(`${first.name}.project`, `${BODY}.conv_stem.reduce_1x1`);
    taps.set(`${BODY}.conv_stem`, first.name);
  }
  blocks.forEach(({ name }, index) => {
    const from = `${BODY}.layer.${index}`;
    taps.set(from, name);
    layer(`${name}.expand`, `${from}.expand_1x1`);
    layer(`${name}.depthwise`, `${from}.conv_3x3`);
    layer(`${name}.project`, `${from}.reduce_1x1`);
  });
  layer('backbone.final', `${BODY}.conv_1x1`);
  taps.set(`${BODY}.conv_1x1`, 'backbone.final');
  for (const [to, from] of [
    ['pool', 'conv_pool'],
    ['branch', 'conv_aspp'],
    ['project', 'conv_projection'],
  ] as const) {
    layer(`head.${to}`, `segmentation_head.${from}`);
    // Not `head.pool`, which is the pooled values spread over the map.
    taps.set(`segmentation_head.${from}`, `head.${to}.act`);
  }
  names.module('head.classify', 'segmentation_head.classifier.convolution');
  return { names, taps };
}

/**
 * Hugging Face transformers' MobileNetV2: MobileNetV2ForImageClassification and MobileNetV2ForSemanticSegmentation, the latter
 * with the final 1x1 convolution that segmentation does not use. Padding and the body's epsilon are those of its default
 * configuration; a checkpoint's config.json may say otherwise.
 */
export const transformers: NameMap = {
  name: 'transformers',
  title: 'Hugging Face transformers',
  reference:
    'huggingface/transformers src/transformers/models/mobilenet_v2/{modeling,configuration}_mobilenet_v2.py',
  covers: new Map([['mobilenet_v2', ['classifier', 'deeplabv3']]]),
  styles: (_backbone, head) => {
    const body = { padding: 'same', epsilon: 1e-3, activation: 'relu6' } as const;
    return {
      backbone: body,
      head: head === 'classifier' ? body : { padding: 'same', epsilon: 1e-5, activation: 'relu' },
    };
  },
  normalization: () => MINUS_ONE_TO_ONE,
  alignCorners: false,
  recipes: (target) => namesOf(target).names.recipes(target.graph),
  leftOut: ({ head }) =>
    head === 'classifier' ? [BATCH_COUNTERS] : [BATCH_COUNTERS, /^mobilenet_v2\.conv_1x1\./],
  taps: (target) => namesOf(target).taps,
};
