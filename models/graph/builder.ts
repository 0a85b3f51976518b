import type { ActivationKind, DataType, Graph, Node, Padding, Pair, Shape, Value } from './graph.ts';
import { GraphError } from './graph.ts';
import type { PaddingMode } from './padding.ts';
import { axisPadding } from './padding.ts';
import { inferShape } from './shapes.ts';

/** What a pooling needs beside its input. */
export interface PoolOptions {
  readonly kernel: number;
  readonly stride: number;
  readonly padding: PaddingMode;
  /** Take in a last window that is only partly inside. */
  readonly ceil?: boolean;
}

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

function resolvePadding(
  mode: PaddingMode,
  x: Value,
  kernel: Pair,
  stride: number,
  dilation: number,
): Padding {
  const [, height = 0, width = 0] = x.shape;
  const [top, bottom] = axisPadding(mode, height, kernel[0], stride, dilation);
  const [left, right] = axisPadding(mode, width, kernel[1], stride, dilation);
  return { top, left, bottom, right };
}

/**
 * Puts a graph together node by node. Shapes are inferred and checked at each step, so that an error names the
 * very layer that does not fit. Weight names follow from the node's name, in PyTorch's manner: a convolution `x`
 * owns `x.weight` and `x.bias`, a batch normalisation `x` owns `x.weight`, `x.bias`, `x.running_mean` and `x.running_var`.
 */
export class GraphBuilder {
  readonly name: string;
  #block: string | undefined;
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
    return this.#add({
      op: 'conv',
      name,
      inputs: [x.name],
      outChannels: channels,
      kernel: [kernelHeight, kernelWidth],
      stride,
      dilation,
      groups,
      padding: resolvePadding(padding, x, [kernelHeight, kernelWidth], stride, dilation),
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

  /** Product of `x` and a value of its shape, or of [C, 1, 1]. */
  multiply(name: string, x: Value, factor: Value): Value {
    return this.#add({ op: 'multiply', name, inputs: [x.name, factor.name] });
  }

  /** The channels `start` up to `end` of a map. */
  sliceChannels(name: string, x: Value, start: number, end: number): Value {
    return this.#add({ op: 'slice', name, inputs: [x.name], axis: 0, start, end });
  }

  channelShuffle(name: string, x: Value, groups: number): Value {
    return this.#add({ op: 'channelShuffle', name, inputs: [x.name], groups });
  }

  maxPool(name: string, x: Value, { kernel, stride, padding, ceil = false }: PoolOptions): Value {
    const window: Pair = [kernel, kernel];
    return this.#add({
      op: 'maxPool',
      name,
      inputs: [x.name],
      kernel: window,
      stride,
      padding: resolvePadding(padding, x, window, stride, 1),
      ceil,
    });
  }

  /** Mean of windows. TensorFlow leaves padding out of the mean, PyTorch counts it in: `same` does the former. */
  averagePool(name: string, x: Value, { kernel, stride, padding }: Omit<PoolOptions, 'ceil'>): Value {
    const window: Pair = [kernel, kernel];
    return this.#add({
      op: 'averagePool',
      name,
      inputs: [x.name],
      kernel: window,
      stride,
      padding: resolvePadding(padding, x, window, stride, 1),
      countPadding: padding !== 'same',
    });
  }

  broadcast(name: string, x: Value, size: Pair): Value {
    return this.#add({ op: 'broadcast', name, inputs: [x.name], size });
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

  /** Runs `describe`; the nodes that it adds belong to the block `name`. */
  block<Result>(name: string, describe: () => Result): Result {
    const outer = this.#block;
    this.#block = name;
    try {
      return describe();
    } finally {
      this.#block = outer;
    }
  }

  /**
   * The value called `name`, or what the layer or block of that name gives: the last value whose name begins with it and a dot.
   * @throws GraphError where there is neither
   */
  find(name: string): Value {
    const found =
      this.#values.get(name) ??
      [...this.#values.values()].findLast((value) => value.name.startsWith(`${name}.`));
    if (!found) throw new GraphError(`graph '${this.name}' has no value, layer or block '${name}'`);
    return found;
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
    this.#nodes.push(this.#block === undefined ? node : { ...node, block: this.#block });
    return value;
  }

  #define(value: Value): Value {
    if (this.#values.has(value.name)) {
      throw new GraphError(`graph '${this.name}': the name '${value.name}' is used twice`);
    }
    const { name, type, shape } = value;
    if (!shape.every((dimension) => Number.isSafeInteger(dimension) && dimension > 0)) {
      throw new GraphError(
        `graph '${this.name}': '${name}' would be ${type} [${shape.join(', ')}], and dimensions are whole numbers above 0`,
      );
    }
    this.#values.set(name, value);
    return value;
  }

  #known(name: string, reader: string): Value {
    const value = this.#values.get(name);
    if (!value)
      throw new GraphError(`graph '${this.name}': ${reader} read(s) '${name}', which does not exist`);
    return value;
  }
}
