import type { Style } from '../../backbones/blocks.ts';
import type { Graph } from '../../graph/graph.ts';
import type { MapTarget, NameMap } from './name_map.ts';
import { BATCH_COUNTERS, blocksOf, IMAGENET_NORMALIZATION, ModuleNames, styleOf } from './name_map.ts';

/** What a family's modules are called, and which of them can be tapped. */
interface Family {
  readonly names: ModuleNames;
  readonly taps: Map<string, string>;
}

/** MobileNetV2: `features` counts stem, blocks and final convolution; a block's `conv` its layers. */
function mobilenetV2(graph: Graph): Family {
  const names = new ModuleNames();
  const taps = new Map([['features.0', 'backbone.stem']]);
  names.block('backbone.stem', 'features.0.0', 'features.0.1');
  const blocks = blocksOf(graph);
  blocks.forEach(({ name, layers }, index) => {
    const from = `features.${index + 1}`;
    taps.set(from, name);
    // All but the last layer are modules of their own; the projection lies flat behind them.
    const last = layers.length - 1;
    layers.slice(0, last).forEach((layer, at) => {
      names.block(`${name}.${layer}`, `${from}.conv.${at}.0`, `${from}.conv.${at}.1`);
    });
    names.block(`${name}.project`, `${from}.conv.${last}`, `${from}.conv.${last + 1}`);
  });
  const final = `features.${blocks.length + 1}`;
  names.block('backbone.final', `${final}.0`, `${final}.1`);
  taps.set(final, 'backbone.final');
  names.module('classifier', 'classifier.1');
  return { names, taps };
}

/** MobileNetV3: like V2's `features`, with every layer of a block, squeeze-and-excitation too, counted in `block`. */
function mobilenetV3(graph: Graph): Family {
  const names = new ModuleNames();
  const taps = new Map([['features.0', 'backbone.stem']]);
  names.block('backbone.stem', 'features.0.0', 'features.0.1');
  const blocks = blocksOf(graph);
  blocks.forEach(({ name, layers }, index) => {
    const from = `features.${index + 1}`;
    taps.set(from, name);
    layers.forEach((layer, at) => {
      if (layer === 'se') {
        names.module(`${name}.se.reduce`, `${from}.block.${at}.fc1`);
        names.module(`${name}.se.expand`, `${from}.block.${at}.fc2`);
      } else names.block(`${name}.${layer}`, `${from}.block.${at}.0`, `${from}.block.${at}.1`);
    });
  });
  const final = `features.${blocks.length + 1}`;
  names.block('backbone.final', `${final}.0`, `${final}.1`);
  taps.set(final, 'backbone.final');
  names.module('classifier.hidden', 'classifier.0');
  names.module('classifier.output', 'classifier.3');
  return { names, taps };
}

/** Places of a shuffle unit's layers in its two branches. */
const SHUFFLE_UNIT = {
  left_depthwise: ['branch1.0', 'branch1.1'],
  left_pointwise: ['branch1.2', 'branch1.3'],
  reduce: ['branch2.0', 'branch2.1'],
  depthwise: ['branch2.3', 'branch2.4'],
  pointwise: ['branch2.5', 'branch2.6'],
} as const;

function shufflenetV2(graph: Graph): Family {
  const names = new ModuleNames();
  const taps = new Map([
    ['conv1', 'backbone.stem'],
    ['maxpool', 'backbone.pool'],
    ['conv5', 'backbone.final'],
  ]);
  names.block('backbone.stem', 'conv1.0', 'conv1.1');
  for (const { name } of blocksOf(graph)) {
    const from = name.slice('backbone.'.length);
    for (const [layer, [conv, norm]] of Object.entries(SHUFFLE_UNIT))
      names.block(`${name}.${layer}`, `${from}.${conv}`, `${from}.${norm}`);
    const [stage = ''] = from.split('.');
    taps.set(stage, `backbone.${stage}`).set(from, name);
  }
  names.block('backbone.final', 'conv5.0', 'conv5.1');
  names.module('classifier', 'fc');
  return { names, taps };
}

/** MnasNet-B1: `layers` counts the layers of stem and first block one by one, then stacks of blocks, then the final layers. */
function mnasnet(graph: Graph): Family {
  const names = new ModuleNames();
  const taps = new Map([
    ['layers.2', 'backbone.stem'],
    ['layers.7', 'backbone.stage1'],
    ['layers.16', 'backbone.final'],
  ]);
  names.block('backbone.stem', 'layers.0', 'layers.1');
  names.block('backbone.stage1.0.depthwise', 'layers.3', 'layers.4');
  names.block('backbone.stage1.0.project', 'layers.6', 'layers.7');
  for (const { name } of blocksOf(graph)) {
    const [, stage, block] = /stage(\d+)\.(\d+)/.exec(name) ?? [];
    if (stage === '1') continue;
    const stack = `layers.${Number(stage) + 6}`;
    const from = `${stack}.${block}`;
    taps.set(stack, `backbone.stage${stage}`).set(from, name);
    names.block(`${name}.expand`, `${from}.layers.0`, `${from}.layers.1`);
    names.block(`${name}.depthwise`, `${from}.layers.3`, `${from}.layers.4`);
    names.block(`${name}.project`, `${from}.layers.6`, `${from}.layers.7`);
  }
  names.block('backbone.final', 'layers.14', 'layers.15');
  names.module('classifier', 'classifier.1');
  return { names, taps };
}

/** SqueezeNet: `features` counts stem, its ReLU, pools and fire modules. */
function squeezenet(graph: Graph): Family {
  const names = new ModuleNames();
  const taps = new Map([['features.1', 'backbone.stem']]);
  names.module('backbone.stem.conv', 'features.0');
  let at = 1;
  const seen = new Set<string>();
  for (const { op, name } of graph.nodes) {
    const [fire] = /^backbone\.fire\d+/.exec(name) ?? [];
    if (op === 'maxPool') taps.set(`features.${++at}`, name);
    else if (fire && !seen.has(fire)) {
      seen.add(fire);
      taps.set(`features.${++at}`, fire);
      for (const [layer, module] of [
        ['squeeze', 'squeeze'],
        ['expand1', 'expand1x1'],
        ['expand3', 'expand3x3'],
      ] as const)
        names.module(`${fire}.${layer}.conv`, `features.${at}.${module}`);
    }
  }
  names.module('classifier.conv', 'classifier.1');
  return { names, taps };
}

const FAMILIES: ReadonlyMap<string, (graph: Graph) => Family> = new Map([
  ['mobilenet_v2', mobilenetV2],
  ['mobilenet_v3_large', mobilenetV3],
  ['mobilenet_v3_small', mobilenetV3],
  ['shufflenet_v2', shufflenetV2],
  ['mnasnet_b1', mnasnet],
  ['squeezenet_1_0', squeezenet],
  ['squeezenet_1_1', squeezenet],
]);

const familyOf = ({ backbone, graph }: MapTarget): Family =>
  FAMILIES.get(backbone)?.(graph) ?? { names: new ModuleNames(), taps: new Map() };

/** torchvision's classification networks. Its mnasnet is the B1 of the paper. */
export const torchvision: NameMap = {
  name: 'torchvision',
  title: 'torchvision',
  reference:
    'pytorch/vision torchvision/models/{mobilenetv2,mobilenetv3,shufflenetv2,mnasnet,squeezenet}.py, version 0.14',
  covers: new Map([...FAMILIES.keys()].map((backbone) => [backbone, ['classifier']])),
  styles: (backbone) => {
    const style: Style = backbone.startsWith('mobilenet_v3')
      ? { ...styleOf(backbone, 'symmetric', 1e-3), widthRule: 'torchvision' }
      : styleOf(backbone, 'symmetric', 1e-5);
    return { backbone: style, head: style };
  },
  normalization: () => IMAGENET_NORMALIZATION,
  recipes: (target) => familyOf(target).names.recipes(target.graph),
  leftOut: () => [BATCH_COUNTERS],
  taps: (target) => familyOf(target).taps,
};
