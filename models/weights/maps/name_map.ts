import type { Style } from '../../backbones/blocks.ts';
import { backboneNamed } from '../../backbones/registry.ts';
import type { Graph } from '../../graph/graph.ts';
import type { Normalization } from '../../graph/image_input.ts';
import { parametersOf } from '../../graph/parameters.ts';
import type { Tensor, Weights } from '../../graph/tensor.ts';
import { checkFit } from '../fit.ts';

/** A tensor of a graph, and the tensors of a checkpoint that it is made from; copied where `make` is absent. */
export interface Recipe {
  readonly to: string;
  readonly from: readonly string[];
  readonly make?: (tensors: readonly Tensor[]) => Tensor;
}

/** The network whose tensors are wanted. */
export interface MapTarget {
  readonly backbone: string;
  readonly head: string;
  readonly graph: Graph;
}

/** How the checkpoints of one library name their tensors, and how those networks were trained. */
export interface NameMap {
  readonly name: string;
  readonly title: string;
  /** The source of the names. */
  readonly reference: string;
  /** Backbones by name in the registry, and the heads that each comes with. */
  readonly covers: ReadonlyMap<string, readonly string[]>;
  /** Padding, epsilon and activation of the library's own checkpoints. */
  readonly styles: (backbone: string, head: string) => { readonly backbone: Style; readonly head: Style };
  /** Of the library's own checkpoints. */
  readonly normalization: (backbone: string) => Normalization;
  /** Of the library's segmentation networks, whether logits are brought to the image's size corner on corner; it is so where absent. */
  readonly alignCorners?: boolean;
  readonly recipes: (target: MapTarget) => Recipe[];
  /** Names of tensors that the network has no use for. */
  readonly leftOut: (target: MapTarget) => readonly RegExp[];
  /** The library's modules whose outputs the graph has too, and its names for them (see `GraphBuilder.find`). */
  readonly taps: (target: MapTarget) => ReadonlyMap<string, string>;
}

/** (p / 255 - mean) / deviation of ImageNet's photos, as torchvision trains. */
export const IMAGENET_NORMALIZATION: Normalization = {
  scale: [1 / (255 * 0.229), 1 / (255 * 0.224), 1 / (255 * 0.225)],
  offset: [-0.485 / 0.229, -0.456 / 0.224, -0.406 / 0.225],
};

/** PyTorch's count of the batches that a normalisation has seen. */
export const BATCH_COUNTERS = /(^|\.)num_batches_tracked$/;

/** The style of the backbone's usual checkpoints, with another padding and epsilon. */
export function styleOf(backbone: string, padding: Style['padding'], epsilon: number): Style {
  return { ...backboneNamed(backbone).style, padding, epsilon };
}

/** A block of a backbone: its name, and its layers in order, such as `expand`, `depthwise`, `se`, `project`. */
export interface Block {
  readonly name: string;
  readonly layers: readonly string[];
}

const BLOCK = /^(backbone\.(?:stage\d+\.\d+|block\d+|fire\d+))\.(\w+)\./;

/** The numbered blocks of a graph's backbone, in order. */
export function blocksOf(graph: Graph): Block[] {
  const blocks = new Map<string, Set<string>>();
  for (const { name } of parametersOf(graph)) {
    const [, block, layer] = BLOCK.exec(name) ?? [];
    if (!block || !layer) continue;
    const layers = blocks.get(block) ?? new Set();
    blocks.set(block, layers.add(layer));
  }
  return [...blocks].map(([name, layers]) => ({ name, layers: [...layers] }));
}

/** The library's modules by the graph's: `backbone.stem.conv` -> `features.0.0`. Their parameters are called alike. */
export class ModuleNames {
  readonly #modules = new Map<string, string>();

  module(to: string, from: string): void {
    this.#modules.set(to, from);
  }

  /** A convolution block: its convolution and its batch normalisation. */
  block(to: string, conv: string, norm: string): void {
    this.module(`${to}.conv`, conv);
    this.module(`${to}.bn`, norm);
  }

  /** The graph's values by the library's modules that give them: convolutions, normalisations, fully connected layers. */
  get values(): Map<string, string> {
    return new Map([...this.#modules].map(([to, from]) => [from, to]));
  }

  /** One recipe a parameter; what has no other name keeps its own. */
  recipes(graph: Graph): Recipe[] {
    return parametersOf(graph).map(({ name, shape }) => {
      const cut = name.lastIndexOf('.');
      const from = this.#modules.get(name.slice(0, cut));
      return {
        to: name,
        from: [from === undefined ? name : `${from}${name.slice(cut)}`],
        make: ([given]) => asMatrixOrKernel(given as Tensor, shape),
      };
    });
  }
}

/** A fully connected layer is a 1x1 convolution of a single pixel; libraries write it either way. */
function asMatrixOrKernel(given: Tensor, shape: readonly number[]): Tensor {
  const [rows, columns, ...kernel] = given.shape.length > shape.length ? given.shape : shape;
  const alike = kernel.length === 2 && kernel.every((side) => side === 1);
  const shorter = given.shape.length > shape.length ? shape : given.shape;
  if (!alike || shorter.join() !== [rows, columns].join()) return given;
  return { shape, data: given.data };
}

/** A checkpoint's tensors under the graph's names. */
export interface Mapped {
  readonly weights: Map<string, Tensor>;
  /** Names of the checkpoint's tensors that the network has no use for. */
  readonly leftOut: readonly string[];
}

/**
 * Takes from a checkpoint what the target's graph needs, no more and no less.
 * @param file its name, for errors
 * @throws WeightsError naming, in the file's own words, every tensor that is missing, of another shape, not finite, or that
 *   nothing is known about
 */
export function applyMap(map: NameMap, target: MapTarget, checkpoint: Weights, file: string): Mapped {
  const weights = new Map<string, Tensor>();
  const recipes = new Map(map.recipes(target).map((recipe) => [recipe.to, recipe]));
  const used = new Set<string>();
  for (const { to, from, make } of recipes.values()) {
    for (const name of from) used.add(name);
    const tensors = from.map((name) => checkpoint.get(name));
    if (!tensors.every((found) => found !== undefined)) continue;
    weights.set(to, make ? make(tensors) : (tensors[0] as Tensor));
  }
  const patterns = map.leftOut(target);
  const rest = [...checkpoint.keys()].filter((name) => !used.has(name));
  const leftOut = rest.filter((name) => patterns.some((pattern) => pattern.test(name)));
  const known = new Set(leftOut);
  checkFit(target.graph, weights, file, {
    surplus: rest.filter((name) => !known.has(name)),
    namesOf: (name) => {
      const from = recipes.get(name)?.from ?? [name];
      const absent = from.filter((each) => !checkpoint.has(each));
      return absent.length > 0 ? absent : from;
    },
  });
  return { weights, leftOut };
}
