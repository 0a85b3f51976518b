import type { Node } from '../graph.ts';
import { GraphError, valueNamed } from '../graph.ts';
import type { OnnxOptions } from '../onnx/writer.ts';
import { finishModel, Writer, writeNode } from '../onnx/writer.ts';
import { parametersOf } from '../parameters.ts';
import type { QuantizedNetwork } from './quantize.ts';
import type { QuantizedWeight, Quantizer } from './quantizer.ts';
import type { PackedStem } from './stem_packing.ts';
import { packedStem, packKernel, repeat } from './stem_packing.ts';

/**
 * The bytes of an .onnx file for a network on bytes, in standard operators: numbers that are stored in bytes go through a
 * QuantizeLinear and a DequantizeLinear, and the operators between them are written as if they computed on floats. ONNX Runtime makes
 * one integer operator of each with its neighbours, and any other runtime can at least compute it. Biases are written as floats:
 * the runtime knows the scale that they need. Outputs are float32, as those of the network that was quantised.
 * @throws GraphError with `anySize` naming a node that holds a size
 */
export function toQuantizedOnnx(network: QuantizedNetwork, options: OnnxOptions = {}): Uint8Array {
  const { plan, quantizers, kernels, floats } = network;
  const { graph, pixels } = plan;
  const writer = new Writer();
  // Cells of an image of unknown width cannot be laid out.
  const stem = options.anySize ? undefined : packedStem(plan);
  for (const { name } of parametersOf(graph)) {
    const kernel = kernels.get(name);
    const { shape, data } = floats.get(name) ?? {};
    if (name === stem?.conv.weight || name === stem?.conv.bias) continue;
    if (kernel) writeKernel(writer, name, kernel);
    else if (shape && data) writer.floats(name, shape, data);
    else throw new GraphError(`weight '${name}' is missing`);
  }
  const shapeOf = (name: string) => valueNamed(graph, name).shape;
  const readAsNumbers = (name: string, bytes: string, output = name) =>
    writer.node('DequantizeLinear', output, [bytes, ...parameters(writer, take(quantizers, name))]);
  const store = (name: string, numbers: string) =>
    writer.node('QuantizeLinear', `${name}.quantized`, [
      numbers,
      ...parameters(writer, take(quantizers, name)),
    ]);

  // An input that is stored in bytes is read under its own name by nobody.
  const read = new Map<string, string>();
  for (const { name } of graph.inputs) {
    if (quantizers.has(name)) read.set(name, readAsNumbers(name, store(name, name), `${name}.dequantized`));
  }
  const merged = new Set([...pixels.values()].flatMap(({ affine }) => affine.inputs));
  if (stem) merged.add(stem.planes);
  for (const node of graph.nodes) {
    const { name } = node;
    if (merged.has(name)) continue;
    const source = pixels.get(name);
    if (source) {
      if (!stem) readAsNumbers(name, source.bytes);
    } else if (node === stem?.conv) {
      readAsNumbers(name, writeStem(writer, network, stem));
    } else if (quantizers.has(name)) {
      const inputs = node.inputs.map((input) => read.get(input) ?? input);
      const exact = writeNode(writer, { ...node, inputs, name: `${name}.exact` } as Node, shapeOf);
      readAsNumbers(name, store(name, exact));
    } else {
      writeNode(writer, node, shapeOf);
    }
  }
  return finishModel(graph, writer, options);
}

function take(quantizers: ReadonlyMap<string, Quantizer>, name: string): Quantizer {
  const quantizer = quantizers.get(name);
  if (!quantizer) throw new GraphError(`'${name}' has no quantizer`);
  return quantizer;
}

/** Constants of a quantizer, which all values that share it share. */
function parameters(writer: Writer, { scale, zeroPoint }: Quantizer): [scale: string, zeroPoint: string] {
  return [
    writer.floats(`quantizer.scale.${scale}`, [], Float32Array.of(scale)),
    writer.bytes(`quantizer.zero_point.${zeroPoint}`, [], Uint8Array.of(zeroPoint)),
  ];
}

function writeKernel(writer: Writer, name: string, { shape, data, scales }: QuantizedWeight): void {
  const bytes = writer.bytes(`${name}.quantized`, shape, data);
  const scale = writer.floats(`${name}.scale`, [scales.length], scales);
  const zero = writer.bytes(`${name}.zero_point`, [scales.length], new Int8Array(scales.length));
  writer.node('DequantizeLinear', name, [bytes, scale, zero], { axis: 0 });
}

/** The first convolution by cells of four pixels; gives the bytes of its result, laid out as without. */
function writeStem(
  writer: Writer,
  { plan, quantizers, kernels, floats }: QuantizedNetwork,
  stem: PackedStem,
): string {
  const { conv, image, cells, results, left, right } = stem;
  const { name, padding } = conv;
  const [x = ''] = conv.inputs;
  const [, height = 0, width = 0] = valueNamed(plan.graph, name).shape;
  const kernel = kernels.get(conv.weight);
  const bias = floats.get(conv.bias ?? '');
  if (!kernel || !bias) throw new GraphError(`weight '${kernel ? conv.bias : conv.weight}' is missing`);
  const packed = packKernel(stem, kernel);
  writeKernel(writer, conv.weight, packed);
  writer.floats(`${conv.bias}`, [packed.scales.length], repeat(bias.data, results));

  const shape = writer.integers(`${x}.cells.shape`, [0, ...cells]);
  const rows = writer.node('Reshape', `${x}.cells`, [image, shape]);
  const planes = writer.node('Transpose', `${x}.cells.planes`, [rows], { perm: [0, 3, 1, 2] });
  const numbers = writer.node('DequantizeLinear', x, [planes, ...parameters(writer, take(quantizers, x))]);
  const exact = writer.node('Conv', `${name}.exact`, [numbers, conv.weight, `${conv.bias}`], {
    kernel_shape: [conv.kernel[0], left + 1 + right],
    strides: [conv.stride, 1],
    dilations: [1, 1],
    group: 1,
    pads: [padding.top, left, padding.bottom, right],
  });
  const quantizer = parameters(writer, take(quantizers, name));
  const store = (value: string) => writer.node('QuantizeLinear', `${value}.quantized`, [value, ...quantizer]);
  // As floats, like all else that only moves: ONNX Runtime sees through that, but not through bytes that are moved.
  const stored = (value: string) =>
    writer.node('DequantizeLinear', `${value}.dequantized`, [store(value), ...quantizer]);
  const last = writer.node('Transpose', `${name}.cells`, [stored(exact)], { perm: [0, 2, 3, 1] });
  const unpacked = writer.integers(`${name}.rows.shape`, [0, height, width, conv.outChannels]);
  const apart = writer.node('Reshape', `${name}.rows`, [stored(last), unpacked]);
  return store(writer.node('Transpose', `${name}.planes`, [stored(apart)], { perm: [0, 3, 1, 2] }));
}
