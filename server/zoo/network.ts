import { buildDeeplabv3 } from '../../heads/deeplabv3/graph.ts';
import { alignedSide } from '../../heads/deeplabv3/input_size.ts';
import { buildSsdlite } from '../../heads/ssdlite/graph.ts';
import { buildClassifier } from '../../models/backbones/classifier.ts';
import { backboneNamed } from '../../models/backbones/registry.ts';
import type { Cost } from '../../models/graph/cost.ts';
import { cost } from '../../models/graph/cost.ts';
import type { Graph } from '../../models/graph/graph.ts';
import { GraphError } from '../../models/graph/graph.ts';
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
  const { name, head, width, outputStride, classColumns: classes, backboneStyle, headStyle } = spec;
  const common = {
    name,
    width,
    outputStride,
    classes,
    backboneStyle,
    headStyle,
    taps,
    input:
      input === 'tensor'
        ? { kind: 'tensor' as const }
        : { kind: 'pixels' as const, normalization: spec.normalization },
  };
  const backbone = backboneNamed(spec.backbone);
  switch (head) {
    case 'classifier':
      return named(
        buildClassifier(backbone, { ...common, resolution: size, style: backboneStyle }),
        OUTPUTS.other,
        taps,
      );
    case 'deeplabv3':
    case 'deeplabv3_aspp': {
      if (outputStride === 32)
        throw new RangeError(`DeepLabv3 is built for output stride 8 or 16, not ${outputStride}`);
      const form = head === 'deeplabv3' ? 'mobile' : 'aspp';
      const { graph } = buildDeeplabv3({ ...common, outputStride, backbone, form, size });
      return named(graph, OUTPUTS.other, taps);
    }
    case 'ssdlite':
    case 'ssd': {
      if (size.height !== size.width)
        throw new GraphError(`${name} takes square images, not ${size.height}x${size.width}`);
      // TensorFlow's detection models give the extra layers the backbone's width.
      const { graph, grids } = buildSsdlite({
        ...common,
        backbone,
        form: head,
        extraWidth: width,
        resolution: size.height,
      });
      return { ...named(graph, OUTPUTS.detection, taps), grids };
    }
  }
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
