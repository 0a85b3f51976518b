import type { Style } from '../../backbones/blocks.ts';
import { backboneNamed, backbones } from '../../backbones/registry.ts';
import { MINUS_ONE_TO_ONE } from '../../graph/image_input.ts';
import { parametersOf } from '../../graph/parameters.ts';
import type { NameMap } from './name_map.ts';
import { BATCH_COUNTERS } from './name_map.ts';

const DETECTION = ['ssdlite', 'ssd'];
const SEGMENTATION = ['deeplabv3', 'deeplabv3_aspp'];

/** Heads are trained with TensorFlow's padding and epsilon, whatever is below them. */
const headStyle = (head: string, backbone: Style): Style => {
  if (head === 'classifier') return backbone;
  return { padding: 'same', epsilon: 1e-3, activation: DETECTION.includes(head) ? 'relu6' : 'relu' };
};

const covers: NameMap['covers'] = new Map(
  backbones().map(({ name, carriesHeads }) => [
    name,
    carriesHeads ? ['classifier', ...DETECTION, ...SEGMENTATION] : ['classifier'],
  ]),
);

/** A head brings its own classes, and has no use for those that the backbone was trained with. */
const leftOut: NameMap['leftOut'] = ({ head }) =>
  head === 'classifier' ? [BATCH_COUNTERS] : [BATCH_COUNTERS, /^classifier\./];

/** Tensors under the graph's own names. */
export const own: NameMap = {
  name: 'thinlens',
  title: "the graph's own names",
  reference: 'models/graph/parameters.ts',
  covers,
  styles: (backbone, head) => {
    const { style } = backboneNamed(backbone);
    return { backbone: style, head: headStyle(head, style) };
  },
  normalization: () => MINUS_ONE_TO_ONE,
  recipes: ({ graph }) => parametersOf(graph).map(({ name }) => ({ to: name, from: [name] })),
  leftOut,
  taps: () => new Map(),
};

/**
 * What the training kit exports: the graph's own names, but a block's kernel is `x.weight` instead of `x.conv.weight`. All of
 * it is trained with epsilon 1e-3 and TensorFlow's padding, but for the body of ShuffleNetV2, which is padded symmetrically.
 */
export const training: NameMap = {
  ...own,
  name: 'training',
  title: 'the training kit',
  reference: 'training/weights.py (exported_tensors), training/backbones.py, training/heads.py',
  styles: (backbone, head) => {
    const padding = backbone === 'shufflenet_v2' ? 'symmetric' : 'same';
    const style: Style = { ...backboneNamed(backbone).style, padding, epsilon: 1e-3 };
    return { backbone: style, head: headStyle(head, style) };
  },
  recipes: ({ graph }) =>
    parametersOf(graph).map(({ name }) => ({ to: name, from: [name.replace(/\.conv\.weight$/, '.weight')] })),
};
