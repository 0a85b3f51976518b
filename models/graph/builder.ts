import type { ActivationKind, DataType, Graph, Node, Padding, Pair, Shape, Value } from './graph.ts';
import { GraphError } from './graph.ts';
import type { PaddingMode } from './padding.ts';
import { axisPadding } from './padding.ts';
import { inferShape } from './shapes.ts';

/** What a convolution needs beside its input; what is left out is 1x1, stride 1, ungrouped, without bias. */
export interface ConvolutionOptions {
  readonly channels: number;
  readonly kernel?: number | Pair;
  readonly stride?: number;
  readonly dilation?: number;
  readonly groups?: number;
  readonly padding?: PaddingMode;
  readonly bias?: boolean;
}

/**
 * Puts a graph together node by node. Shapes are inferred and checked at each step, so that an error names the
 * very layer that does not fit. Weight names follow from the node's name, in PyTorch's manner: a convolution `x`
 * owns `x.weight` and `x.bias`, a batch normalisation `x` owns `x.weight`, `x.bias`, `x.running_mean` and `x.running_var`.
 */
export class GraphBuilder {
  readonly name: string;
  readonly #inputs: Value[] = [];
  readonly #nodes: Node[] = [];
  readonly #values = new Map<string, Value>();

  constructor(name: string) {
    this.name = name;
  }

  /** Declares an input of one image. */
  input(name: string, type: DataType, shape: Shape): Value {
    const value = this.#define({ name, type, shape });
    this.#inputs.push(value);
    return value;
  }

  cast(name: string, x: Value, to: DataType): Value {
    return this.#add({ op: 'cast', name, inputs: [x.name], to });
  }

  transpose(name: string, x: Value, permutation: readonly number[]): Value {
    return this.#add({ op: 'transpose', name, inputs: [x.name], permutation });
  }

  reshape(name: string, x: Value, shape: Shape): Value {
    return this.#add({ op: 'reshape', name, inputs: [x.name], shape });
  }

  affine(name: string, x: Value, scale: readonly number[], offset: readonly number[]): Value {
    return this.#add({ op: 'affine', name, inputs: [x.name], scale, offset });
  }

  /** Convolution; its padding is resolved here, from the input's size. */
  conv(name: string, x: Value, options: ConvolutionOptions): Value {
    const {
      channels,
      kernel = 1,
      stride = 1,
      dilation = 1,
      groups = 1,
      padding = 'same',
      bias = false,
    } = options;
    const [kernelHeight, kernelWidth] = typeof kernel === 'number' ? [kernel, kernel] : kernel;
    const [, height = 0, width = 0] = x.shape;
    const [top, bottom] = axisPadding(padding, height, kernelHeight, stride, dilation);
    const [left, right] = axisPadding(padding, width, kernelWidth, stride, dilation);
    const resolved: Padding = { top, left, bottom, right };
    return this.#add({
      op: 'conv',
      name,
      inputs: [x.name],
      outChannels: channels,
      kernel: [kernelHeight, kernelWidth],
      stride,
      dilation,
      groups,
      padding: resolved,
      weight: `${name}.weight`,
      ...(bias && { bias: `${name}.bias` }),
    });
  }

  batchNorm(name: string, x: Value, epsilon: number): Value {
    return this.#add({
      op: 'batchNorm',
      name,
      inputs: [x.name],
      epsilon,
      gamma: `${name}.weight`,
      beta: `${name}.bias`,
      mean: `${name}.running_mean`,
      variance: `${name}.running_var`,
    });
  }

  activation(name: string, x: Value, kind: ActivationKind): Value {
    return this.#add({ op: 'activation', name, inputs: [x.name], kind });
  }

  add(name: string, a: Value, b: Value): Value {
    return this.#add({ op: 'add', name, inputs: [a.name, b.name] });
  }

  concat(name: string, values: readonly Value[], axis: number): Value {
    return this.#add({ op: 'concat', name, inputs: values.map((value) => value.name), axis });
  }

  globalAveragePool(name: string, x: Value): Value {
    return this.#add({ op: 'globalAveragePool', name, inputs: [x.name] });
  }

  fullyConnected(name: string, x: Value, outFeatures: number): Value {
    return this.#add({
      op: 'fullyConnected',
      name,
      inputs: [x.name],
      outFeatures,
      weight: `${name}.weight`,
      bias: `${name}.bias`,
    });
  }

  /**
   * The finished graph. Nodes that no output depends on are left out, so that a backbone can be described whole and
   * a head takes only the part that it reads.
   */
  build(outputs: readonly Value[]): Graph {
    const needed = new Set(outputs.map((value) => value.name));
    const nodes: Node[] = [];
    for (const node of this.#nodes.toReversed()) {
      if (!needed.has(node.name)) continue;
      nodes.push(node);
      for (const input of node.inputs) needed.add(input);
    }
    for (const value of outputs) this.#known(value.name, 'the outputs');
    return {
      name: this.name,
      inputs: this.#inputs.filter(({ name }) => needed.has(name)),
      nodes: nodes.toReversed(),
      outputs,
      values: new Map([...this.#values].filter(([name]) => needed.has(name))),
    };
  }

  #add(node: Node): Value {
    const inputs = node.inputs.map((name) => this.#known(name, `${node.op} '${node.name}'`));
    const value = this.#define({ name: node.name, ...inferShape(node, inputs) });
    this.#nodes.push(node);
    return value;
  }

  #define(value: Value): Value {
    if (this.#values.has(value.name)) {
      throw new GraphError(`graph '${this.name}': the name '${value.name}' is used twice`);
    }
    this.#values.set(value.name, value);
    return value;
  }

  #known(name: string, reader: string): Value {
    const value = this.#values.get(name);
    if (!value)
      throw new GraphError(`graph '${this.name}': ${reader} read(s) '${name}', which does not exist`);
    return value;
  }
}
