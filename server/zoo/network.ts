import { alignedSide } from '../../heads/deeplabv3/input_size.ts';
import { buildModel } from '../../heads/model.ts';
import type { Cost } from '../../models/graph/cost.ts';
import { cost } from '../../models/graph/cost.ts';
import type { Graph } from '../../models/graph/graph.ts';
import type { InputSize } from '../../models/graph/image_input.ts';
import { lower } from '../../models/graph/lowering.ts';
import type { NetworkSpec } from './record.ts';
import { TASK_OF_HEAD } from './record.ts';

export interface NetworkOptions {
  /** `pixels` (what is served): uint8 [H, W, 3], normalised inside. `tensor`: float32 [3, H, W] as the network was trained on. */
  readonly input?: 'pixels' | 'tensor';
  /** Instead of the input's own size. */
  readonly size?: InputSize;
  /** Further outputs: values, layers or blocks, see `GraphBuilder.find`. */
  readonly taps?: readonly string[];
}

/** A record's network. */
export interface Network {
  readonly graph: Graph;
  /** Height and width of the maps that anchors lie on; none where the head has no anchors. */
  readonly grids: readonly (readonly [height: number, width: number])[];
  /**
   * Values of the graph by the names that people ask for them by: `box_encodings` and `class_logits` of a detection head,
   * `logits` of the others, then each tap under the name it was asked for.
   */
  readonly outputs: ReadonlyMap<string, string>;
}

const OUTPUTS = { detection: ['box_encodings', 'class_logits'], other: ['logits'] } as const;

/**
 * Builds the graph that `spec` describes.
 * @throws RangeError where the backbone cannot be built so, GraphError where layers do not fit the size or a tap is not there
 */
export function networkOf(
  spec: NetworkSpec & { readonly name: string },
  { input = 'pixels', size = spec.input, taps = [] }: NetworkOptions = {},
): Network {
  const { name, backbone, head, width, outputStride, classColumns: classes, backboneStyle, headStyle } = spec;
  const { graph, grids } = buildModel({
    name,
    backbone,
    head,
    width,
    outputStride,
    classes,
    backboneStyle,
    headStyle,
    taps,
    resolution: size,
    input: input === 'tensor' ? { kind: 'tensor' } : { kind: 'pixels', normalization: spec.normalization },
  });
  const own = TASK_OF_HEAD[head] === 'detection' ? OUTPUTS.detection : OUTPUTS.other;
  return { ...named(graph, own, taps), grids };
}

/** Gives the outputs their public names. Several names may stand for one value, which the graph then gives once. */
function named(graph: Graph, own: readonly string[], taps: readonly string[]): Network {
  const outputs = new Map([...own, ...taps].map((name, index) => [name, graph.outputs[index]?.name ?? '']));
  const once = new Map(graph.outputs.map((value) => [value.name, value]));
  return { graph: { ...graph, outputs: [...once.values()] }, grids: [], outputs };
}

/**
 * The size that a record's network is served at: its input, and of a segmentation network the nearest that is aligned, a square
 * photo's. Others of its sizes see less.
 */
export function servedSize({ head, input, outputStride }: NetworkSpec): InputSize {
  if (TASK_OF_HEAD[head] !== 'segmentation') return input;
  const side = alignedSide(Math.max(input.height, input.width), outputStride);
  return { height: side, width: side };
}

/** A record's network at the size that it is served at. */
export const servedGraph = (spec: NetworkSpec & { readonly name: string }): Graph =>
  networkOf(spec, { size: servedSize(spec) }).graph;

const loweredGraphs = new WeakMap<object, Graph>();

/** The graph that a record is compiled to, made once for each record. */
export function loweredGraph(record: NetworkSpec & { readonly name: string }): Graph {
  const known = loweredGraphs.get(record);
  if (known) return known;
  const { graph } = lower(servedGraph(record));
  loweredGraphs.set(record, graph);
  return graph;
}

/** Work and size of a record's network, one image of the size that it is served at. */
export function costOf(spec: NetworkSpec & { readonly name: string }): Cost {
  return cost(servedGraph(spec));
}
