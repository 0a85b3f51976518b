import type { Graph, MaxPool, Node, Shape } from '../../models/graph/graph.ts';
import { valueNamed } from '../../models/graph/graph.ts';
import type { Weights } from '../../models/graph/tensor.ts';
import { convolve } from './convolution.ts';

/** A value in double precision, row-major. */
export interface Numbers {
  readonly shape: Shape;
  readonly data: Float64Array;
}

function maxPool({ shape, data }: Numbers, { kernel, stride, padding }: MaxPool, outShape: Shape): Numbers {
  const [channels = 0, height = 0, width = 0] = shape;
  const [, outHeight = 0, outWidth = 0] = outShape;
  const out = new Float64Array(channels * outHeight * outWidth).fill(Number.NEGATIVE_INFINITY);
  for (let c = 0, at = 0; c < channels; c++) {
    for (let y = 0; y < outHeight; y++) {
      for (let x = 0; x < outWidth; x++, at++) {
        for (let ky = 0; ky < kernel[0]; ky++) {
          for (let kx = 0; kx < kernel[1]; kx++) {
            const row = y * stride + ky - padding.top;
            const column = x * stride + kx - padding.left;
            if (row < 0 || column < 0 || row >= height || column >= width) continue;
            out[at] = Math.max(out[at] as number, data[(c * height + row) * width + column] as number);
          }
        }
      }
    }
  }
  return { shape: outShape, data: out };
}

function compute(node: Node, inputs: readonly Numbers[], weights: Weights, shape: Shape): Numbers {
  const [x] = inputs;
  if (!x) throw new Error(`${node.op} '${node.name}' has no input`);
  const plane = (x.shape[1] ?? 0) * (x.shape[2] ?? 0);
  const joined = () => Float64Array.from(inputs.flatMap(({ data }) => Array.from(data)));
  switch (node.op) {
    case 'conv': {
      const weight = weights.get(node.weight);
      if (!weight) throw new Error(`no weight '${node.weight}'`);
      return convolve(x, { weight, bias: weights.get(node.bias ?? '') }, node, shape);
    }
    case 'activation':
      if (node.kind !== 'relu') throw new Error(`no ${node.kind} here`);
      return { shape, data: x.data.map((value) => Math.max(value, 0)) };
    case 'maxPool':
      return maxPool(x, node, shape);
    case 'globalAveragePool': {
      const mean = (_: unknown, c: number) =>
        x.data.subarray(c * plane, (c + 1) * plane).reduce((sum, value) => sum + value, 0) / plane;
      return { shape, data: Float64Array.from({ length: x.shape[0] ?? 0 }, mean) };
    }
    case 'add': {
      const other = inputs[1]?.data ?? new Float64Array();
      // A value of its shape, or a number a channel.
      const perNumber = x.data.length / other.length;
      return { shape, data: x.data.map((value, i) => value + (other[Math.floor(i / perNumber)] as number)) };
    }
    case 'broadcast': {
      const [, height, width] = shape;
      const cells = (height ?? 0) * (width ?? 0);
      return {
        shape,
        data: Float64Array.from(
          { length: x.data.length * cells },
          (_, i) => x.data[Math.floor(i / cells)] as number,
        ),
      };
    }
    case 'slice':
      if (node.axis !== 0) throw new Error('slices along channels only');
      return { shape, data: x.data.slice(node.start * plane, node.end * plane) };
    case 'concat':
      if (node.axis !== 0) throw new Error('joins along channels only');
      return { shape, data: joined() };
    case 'channelShuffle': {
      const perGroup = (x.shape[0] ?? 0) / node.groups;
      const data = new Float64Array(x.data.length);
      for (let group = 0; group < node.groups; group++) {
        for (let i = 0; i < perGroup; i++) {
          const from = (group * perGroup + i) * plane;
          data.set(x.data.subarray(from, from + plane), (i * node.groups + group) * plane);
        }
      }
      return { shape, data };
    }
    default:
      throw new Error(`no ${node.op} here`);
  }
}

/** Computes a graph node by node, each by its definition: the outputs by name. Slow, and for the operators of the tests only. */
export function interpret(
  graph: Graph,
  weights: Weights,
  feeds: ReadonlyMap<string, Numbers>,
): Map<string, Numbers> {
  const values = new Map(feeds);
  for (const node of graph.nodes) {
    const inputs = node.inputs.map((name) => {
      const value = values.get(name);
      if (!value) throw new Error(`'${node.name}' reads '${name}' before it is there`);
      return value;
    });
    values.set(node.name, compute(node, inputs, weights, valueNamed(graph, node.name).shape));
  }
  return new Map(graph.outputs.map(({ name }) => [name, values.get(name) as Numbers]));
}
