import type { Style } from '../../backbones/blocks.ts';
import type { Graph } from '../../graph/graph.ts';
import type { MapTarget, NameMap } from './name_map.ts';
import { BATCH_COUNTERS, blocksOf, IMAGENET_NORMALIZATION, ModuleNames, styleOf } from './name_map.ts';

/**
 * What a family's modules are called: those with parameters, which can be tapped as well, and the rest that can be tapped.
 * Dropout passes its input on, so that it stands for the value before it.
 */
class Family {
  readonly names = new ModuleNames();
  readonly #graph: Graph;
  readonly #others = new Map<string, string>();

  constructor(graph: Graph) {
    this.#graph = graph;
  }

  /** Modules that give what the value, layer or block `to` gives. */
  tap(to: string, ...from: readonly string[]): void {
    for (const module of from) this.#others.set(module, to);
  }

  /** A convolution, its normalisation and, where the layer has one, its activation. */
  layer(to: string, conv: string, norm: string, act: string): void {
    this.names.block(to, conv, norm);
    if (this.#graph.values.has(`${to}.act`)) this.tap(`${to}.act`, act);
  }

  /** The same as a module of its own, torchvision's Conv2dNormActivation. */
  sequence(to: string, from: string): void {
    this.layer(to, `${from}.0`, `${from}.1`, `${from}.2`);
    this.tap(to, from);
  }

  /** Mean, dropout and one fully connected layer. */
  classifier(): void {
    this.names.module('classifier', 'classifier.1');
    this.tap('flatten', 'classifier.0');
    this.tap('classifier', 'classifier');
  }

  get taps(): Map<string, string> {
    return new Map([...this.names.values, ...this.#others]);
  }
}

/** MobileNetV2: `features` counts stem, blocks and final convolution; a block's `conv` its layers. */
function mobilenetV2(graph: Graph): Family {
  const family = new Family(graph);
  family.sequence('backbone.stem', 'features.0');
  const blocks = blocksOf(graph);
  blocks.forEach(({ name, layers }, index) => {
    const from = `features.${index + 1}`;
    family.tap(name, from);
    // All but the last layer are modules of their own; the projection lies flat behind them.
    const last = layers.length - 1;
    layers.slice(0, last).forEach((layer, at) => {
      family.sequence(`${name}.${layer}`, `${from}.conv.${at}`);
    });
    family.names.block(`${name}.project`, `${from}.conv.${last}`, `${from}.conv.${last + 1}`);
    family.tap(`${name}.project`, `${from}.conv`);
  });
  family.sequence('backbone.final', `features.${blocks.length + 1}`);
  family.tap('backbone.final', 'features');
  family.classifier();
  return family;
}

/** MobileNetV3: like V2's `features`, with every layer of a block, squeeze-and-excitation too, counted in `block`. */
function mobilenetV3(graph: Graph): Family {
  const family = new Family(graph);
  family.sequence('backbone.stem', 'features.0');
  const blocks = blocksOf(graph);
  blocks.forEach(({ name, layers }, index) => {
    const from = `features.${index + 1}`;
    family.tap(name, from);
    family.tap(`${name}.project`, `${from}.block`);
    layers.forEach((layer, at) => {
      const module = `${from}.block.${at}`;
      if (layer !== 'se') {
        family.sequence(`${name}.${layer}`, module);
        return;
      }
      family.names.module(`${name}.se.reduce`, `${module}.fc1`);
      family.names.module(`${name}.se.expand`, `${module}.fc2`);
      family.tap(`${name}.se.scale`, module);
      family.tap(`${name}.se.pool`, `${module}.avgpool`);
      family.tap(`${name}.se.act`, `${module}.activation`);
      family.tap(`${name}.se.gate`, `${module}.scale_activation`);
    });
  });
  family.sequence('backbone.final', `features.${blocks.length + 1}`);
  family.tap('backbone.final', 'features');
  family.tap('classifier.pool', 'avgpool');
  family.names.module('classifier.hidden', 'classifier.0');
  family.tap('classifier.act', 'classifier.1', 'classifier.2');
  family.names.module('classifier.output', 'classifier.3');
  family.tap('classifier.output', 'classifier');
  return family;
}

/** Places of a shuffle unit's layers in its two branches: convolution, normalisation, activation. */
const SHUFFLE_UNIT = {
  left_depthwise: ['branch1.0', 'branch1.1', ''],
  left_pointwise: ['branch1.2', 'branch1.3', 'branch1.4'],
  reduce: ['branch2.0', 'branch2.1', 'branch2.2'],
  depthwise: ['branch2.3', 'branch2.4', ''],
  pointwise: ['branch2.5', 'branch2.6', 'branch2.7'],
} as const;

function shufflenetV2(graph: Graph): Family {
  const family = new Family(graph);
  family.sequence('backbone.stem', 'conv1');
  family.tap('backbone.pool', 'maxpool');
  for (const { name, layers } of blocksOf(graph)) {
    const from = name.slice('backbone.'.length);
    for (const layer of layers) {
      const [conv, norm, act] = SHUFFLE_UNIT[layer as keyof typeof SHUFFLE_UNIT];
      family.layer(`${name}.${layer}`, `${from}.${conv}`, `${from}.${norm}`, `${from}.${act}`);
    }
    // The left branch of the others is empty, and never asked.
    if (layers.includes('left_pointwise')) family.tap(`${name}.left_pointwise`, `${from}.branch1`);
    family.tap(`${name}.pointwise`, `${from}.branch2`);
    family.tap(name, from);
    const [stage = ''] = from.split('.');
    family.tap(`backbone.${stage}`, stage);
  }
  family.sequence('backbone.final', 'conv5');
  family.names.module('classifier', 'fc');
  return family;
}

/** MnasNet-B1: `layers` counts the layers of stem and first block one by one, then stacks of blocks, then the final layers. */
function mnasnet(graph: Graph): Family {
  const family = new Family(graph);
  family.layer('backbone.stem', 'layers.0', 'layers.1', 'layers.2');
  family.layer('backbone.stage1.0.depthwise', 'layers.3', 'layers.4', 'layers.5');
  family.names.block('backbone.stage1.0.project', 'layers.6', 'layers.7');
  for (const { name } of blocksOf(graph)) {
    const [, stage, block] = /stage(\d+)\.(\d+)/.exec(name) ?? [];
    if (stage === '1') continue;
    const stack = `layers.${Number(stage) + 6}`;
    const layers = `${stack}.${block}.layers`;
    family.tap(`backbone.stage${stage}`, stack);
    family.tap(name, `${stack}.${block}`);
    family.tap(`${name}.project`, layers);
    family.layer(`${name}.expand`, `${layers}.0`, `${layers}.1`, `${layers}.2`);
    family.layer(`${name}.depthwise`, `${layers}.3`, `${layers}.4`, `${layers}.5`);
    family.names.block(`${name}.project`, `${layers}.6`, `${layers}.7`);
  }
  family.layer('backbone.final', 'layers.14', 'layers.15', 'layers.16');
  family.tap('backbone.final', 'layers');
  family.classifier();
  return family;
}

/** SqueezeNet: `features` counts stem, its ReLU, pools and fire modules. */
function squeezenet(graph: Graph): Family {
  const family = new Family(graph);
  family.names.module('backbone.stem.conv', 'features.0');
  family.tap('backbone.stem', 'features.1');
  let at = 1;
  let last = 'backbone.stem';
  const seen = new Set<string>();
  for (const { op, name } of graph.nodes) {
    const [fire] = /^backbone\.fire\d+/.exec(name) ?? [];
    if (op === 'maxPool') {
      family.tap(name, `features.${++at}`);
      last = name;
    } else if (fire && !seen.has(fire)) {
      seen.add(fire);
      family.tap(fire, `features.${++at}`);
      last = fire;
      for (const [layer, module] of [
        ['squeeze', 'squeeze'],
        ['expand1', 'expand1x1'],
        ['expand3', 'expand3x3'],
      ] as const) {
        family.names.module(`${fire}.${layer}.conv`, `features.${at}.${module}`);
        family.tap(`${fire}.${layer}.act`, `features.${at}.${module}_activation`);
      }
    }
  }
  family.tap(last, 'features', 'classifier.0');
  family.names.module('classifier.conv', 'classifier.1');
  family.tap('classifier.act', 'classifier.2');
  // torchvision flattens behind its classifier, whose module has [classes, 1, 1].
  family.tap('classifier.pool', 'classifier.3', 'classifier');
  return family;
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
  FAMILIES.get(backbone)?.(graph) ?? new Family(graph);

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
