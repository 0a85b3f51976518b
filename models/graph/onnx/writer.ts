import type { OptionTable } from '../../arguments.ts';
import { checkGraph, checkOptions, checkWeights, ofType } from '../../arguments.ts';
import { shuffledOrder } from '../channelwise.ts';
import type { DataType, Graph, Node, Shape, Value } from '../graph.ts';
import { GraphError, valueNamed } from '../graph.ts';
import { parametersOf } from '../parameters.ts';
import type { Weights } from '../tensor.ts';
import type { OnnxAttribute, OnnxNode, OnnxTensor, OnnxValueInfo } from './schema.ts';
import { encodeModel } from './schema.ts';

/** Operator set of ai.onnx that the nodes below are written against, and the file format that came with it. */
const OPSET = 17;
const IR_VERSION = 8;

const ELEMENT_TYPE: Record<DataType | 'int8' | 'int64', number> = { float32: 1, uint8: 2, int8: 3, int64: 7 };

/** The dimension that the caller chooses at run time. */
const BATCH = { dimParam: 'batch' } as const;

/** Writes nodes and constants in ONNX's terms. Axes of the graph count without the batch, so each grows by one here. */
export class Writer {
  readonly nodes: OnnxNode[] = [];
  readonly initializers = new Map<string, OnnxTensor>();

  node(
    opType: string,
    output: string,
    input: readonly string[],
    attributes: Record<string, number | readonly number[]> = {},
    floats: Record<string, number> = {},
  ): string {
    const attribute = Object.entries(attributes).map(
      ([name, value]): OnnxAttribute =>
        typeof value === 'number' ? { name, type: 2, i: value } : { name, type: 7, ints: value },
    );
    attribute.push(...Object.entries(floats).map(([name, f]): OnnxAttribute => ({ name, type: 1, f })));
    this.nodes.push({ name: output, opType, input, output: [output], attribute });
    return output;
  }

  floats(name: string, dims: readonly number[], data: Float32Array): string {
    // Raw data is little-endian by definition, which is what every platform with an ONNX Runtime build has.
    const rawData = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
    this.initializers.set(name, { name, dims, dataType: ELEMENT_TYPE.float32, rawData });
    return name;
  }

  bytes(name: string, dims: readonly number[], data: Int8Array | Uint8Array): string {
    const rawData = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
    const dataType = data instanceof Int8Array ? ELEMENT_TYPE.int8 : ELEMENT_TYPE.uint8;
    this.initializers.set(name, { name, dims, dataType, rawData });
    return name;
  }

  integers(name: string, data: readonly number[]): string {
    const rawData = new Uint8Array(BigInt64Array.from(data, BigInt).buffer);
    this.initializers.set(name, { name, dims: [data.length], dataType: ELEMENT_TYPE.int64, rawData });
    return name;
  }
}

/** Writes one node, and returns the name of its output. `shapeOf` gives the shape of a value that it reads. */
export function writeNode(writer: Writer, node: Node, shapeOf: (name: string) => Shape): string {
  const { name, inputs } = node;
  const [x = ''] = inputs;
  switch (node.op) {
    case 'cast':
      return writer.node('Cast', name, [x], { to: ELEMENT_TYPE[node.to] });
    case 'transpose':
      return writer.node('Transpose', name, [x], { perm: [0, ...node.permutation.map((axis) => axis + 1)] });
    case 'reshape':
      // A 0 in the target shape keeps the input's dimension there: the batch stays free.
      return writer.node('Reshape', name, [x, writer.integers(`${name}.shape`, [0, ...node.shape])]);
    case 'affine': {
      const dims = [1, node.scale.length, 1, 1];
      const scale = writer.floats(`${name}.scale`, dims, Float32Array.from(node.scale));
      const offset = writer.floats(`${name}.offset`, dims, Float32Array.from(node.offset));
      writer.node('Mul', `${name}.scaled`, [x, scale]);
      return writer.node('Add', name, [`${name}.scaled`, offset]);
    }
    case 'conv': {
      const { padding } = node;
      return writer.node('Conv', name, [x, node.weight, ...(node.bias ? [node.bias] : [])], {
        kernel_shape: node.kernel,
        strides: [node.stride, node.stride],
        dilations: [node.dilation, node.dilation],
        group: node.groups,
        pads: [padding.top, padding.left, padding.bottom, padding.right],
      });
    }
    case 'batchNorm':
      throw new GraphError(`batch normalisation '${name}' must be folded before the graph is written`);
    case 'activation': {
      if (node.kind === 'relu') return writer.node('Relu', name, [x]);
      if (node.kind === 'sigmoid') return writer.node('Sigmoid', name, [x]);
      if (node.kind === 'hardSwish') return writer.node('HardSwish', name, [x]);
      if (node.kind === 'hardSigmoid')
        return writer.node('HardSigmoid', name, [x], {}, { alpha: 1 / 6, beta: 0.5 });
      const low = writer.floats('relu6.min', [], Float32Array.of(0));
      const high = writer.floats('relu6.max', [], Float32Array.of(6));
      return writer.node('Clip', name, [x, low, high]);
    }
    case 'add':
      return writer.node('Add', name, inputs);
    case 'multiply':
      return writer.node('Mul', name, inputs);
    case 'slice': {
      const [start, end, axis] = [
        ['start', node.start],
        ['end', node.end],
        ['axis', node.axis + 1],
      ].map(([key, value]) => writer.integers(`${name}.${key}`, [value as number])) as [
        string,
        string,
        string,
      ];
      return writer.node('Slice', name, [x, start, end, axis]);
    }
    case 'channelShuffle': {
      // One Gather: a little faster than the usual Reshape, Transpose and Reshape (bench/channel_shuffle.ts).
      const [channels = 0] = shapeOf(x);
      const order = shuffledOrder(channels, node.groups);
      return writer.node('Gather', name, [x, writer.integers(`${name}.order`, order)], { axis: 1 });
    }
    case 'maxPool':
    case 'averagePool': {
      const { padding } = node;
      return writer.node(node.op === 'maxPool' ? 'MaxPool' : 'AveragePool', name, [x], {
        kernel_shape: node.kernel,
        strides: [node.stride, node.stride],
        pads: [padding.top, padding.left, padding.bottom, padding.right],
        ...(node.op === 'maxPool'
          ? { ceil_mode: Number(node.ceil) }
          : { count_include_pad: Number(node.countPadding) }),
      });
    }
    case 'broadcast':
      return writer.node('Expand', name, [x, writer.integers(`${name}.shape`, [1, 1, ...node.size])]);
    case 'concat':
      return writer.node('Concat', name, inputs, { axis: node.axis + 1 });
    case 'globalAveragePool':
      return writer.node('GlobalAveragePool', name, [x]);
    case 'fullyConnected':
      return writer.node('Gemm', name, [x, node.weight, node.bias], { transB: 1 });
  }
}

/**
 * @param anySize leaves height and width open: of an image those that are not its channels, of a map its last two
 * @param index of an output: maps may differ in size, and what has one name has one size
 */
function describe(value: Value, anySize: boolean, index = 0): OnnxValueInfo {
  const which = index === 0 ? '' : `.${index}`;
  const open = value.type === 'uint8' ? ['height', 'width'] : [undefined, `rows${which}`, `columns${which}`];
  const dim = [
    BATCH,
    ...value.shape.map((dimValue, axis) => {
      const dimParam = anySize ? open[axis] : undefined;
      return dimParam === undefined ? { dimValue } : { dimParam };
    }),
  ];
  return { name: value.name, type: { tensorType: { elemType: ELEMENT_TYPE[value.type], shape: { dim } } } };
}

export interface OnnxOptions {
  readonly metadata?: Readonly<Record<string, string>>;
  /**
   * Leave the input's height and width to the caller. The file is then right for the sizes at which every layer has the padding
   * that it has at the graph's own, which is for the caller to know.
   */
  readonly anySize?: boolean;
}

const OPTIONS: OptionTable = {
  metadata: {
    right: 'an object of strings',
    fits: (value) =>
      value instanceof Object && Object.values(value).every((text) => typeof text === 'string'),
  },
  anySize: ofType('boolean'),
};

/**
 * The bytes of an .onnx file for a folded graph. The same graph and weights always give the same bytes.
 * @param weights every tensor that `parametersOf(graph)` names, and of that shape.
 * @throws GraphError naming a missing or misshapen weight, a batch normalisation left unfolded, or with
 *   `anySize` a node that holds a size; ArgumentError where it is given no Graph, no Map of weights, or an option is not there or
 *   not right.
 */
export function toOnnx(graph: Graph, weights: Weights, options: OnnxOptions = {}): Uint8Array {
  checkGraph('toOnnx', graph);
  checkWeights('toOnnx', weights);
  const writer = new Writer();
  for (const { name, shape } of parametersOf(graph)) {
    const found = weights.get(name);
    if (!found) throw new GraphError(`weight '${name}' is missing`);
    if (found.shape.join() !== shape.join()) {
      throw new GraphError(
        `weight '${name}' is [${found.shape.join(', ')}], the graph needs [${shape.join(', ')}]`,
      );
    }
    writer.floats(name, shape, found.data);
  }
  for (const node of graph.nodes) writeNode(writer, node, (name) => valueNamed(graph, name).shape);
  return finishModel(graph, writer, options);
}

/**
 * The bytes of an .onnx file with the inputs and outputs of `graph` and what `writer` holds.
 * @throws GraphError with `anySize` naming a node that holds a size; ArgumentError naming an option that is not there or not right
 */
export function finishModel(graph: Graph, writer: Writer, options: OnnxOptions = {}): Uint8Array {
  checkOptions('an ONNX file', OPTIONS, options);
  const { metadata = {}, anySize = false } = options;
  const sized = anySize && graph.nodes.find(({ op }) => op === 'broadcast' || op === 'reshape');
  if (sized) throw new GraphError(`${sized.op} '${sized.name}' holds a size: the graph cannot be left open`);
  return encodeModel({
    irVersion: IR_VERSION,
    producerName: 'thinlens',
    opsetImport: [{ domain: '', version: OPSET }],
    metadataProps: Object.entries(metadata).map(([key, value]) => ({ key, value })),
    graph: {
      name: graph.name,
      node: writer.nodes,
      initializer: [...writer.initializers.values()],
      input: graph.inputs.map((value) => describe(value, anySize)),
      output: graph.outputs.map(({ name }, index) => describe(valueNamed(graph, name), anySize, index)),
    },
  });
}
