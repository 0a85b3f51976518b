import { foldablePairs } from '../../models/graph/folding.ts';
import type { Graph } from '../../models/graph/graph.ts';
import { elementCount } from '../../models/graph/graph.ts';
import type { InputSize } from '../../models/graph/image_input.ts';
import { lower } from '../../models/graph/lowering.ts';
import { toOnnx } from '../../models/graph/onnx/writer.ts';
import type { Tensor, Weights } from '../../models/graph/tensor.ts';
import { tensor } from '../../models/graph/tensor.ts';
import { checkFit } from '../../models/weights/fit.ts';
import { mapNamed } from '../../models/weights/maps/maps.ts';
import { networkOf } from '../zoo/network.ts';
import type { ModelRecord } from '../zoo/record.ts';
import { InferenceSession, Tensor as OnnxTensor } from './onnx_runtime.ts';

/** What a network is run on: floats as it was trained on [N, 3, H, W], or pixels [N, H, W, 3] that it normalises itself. */
export type RunInput =
  | { readonly kind: 'tensor'; readonly data: Float32Array; readonly shape: readonly number[] }
  | { readonly kind: 'pixels'; readonly data: Uint8Array; readonly shape: readonly number[] };

/** A value that was asked for and cannot be given. The message says what can. */
export class TapError extends Error {
  override readonly name = 'TapError';
}

const MOST_SUGGESTED = 6;
/** One gigabyte of float32. */
const MAX_ELEMENTS = 2 ** 28;

/**
 * Runs a model's network on any size that it can take, and gives its outputs and whatever values of it are asked for.
 * @param taps values, layers or blocks of the graph, or modules by the names of the library that the weights came from
 * @returns by public name, then by tap as it was asked for: [N, ...]
 * @throws TapError, GraphError where the network cannot take that size, WeightsError
 */
export async function runNetwork(
  record: ModelRecord,
  weights: Weights,
  input: RunInput,
  { taps = [], threads }: { readonly taps?: readonly string[]; readonly threads: number },
): Promise<Map<string, Tensor>> {
  const [images = 0, ...image] = input.shape;
  const [height = 0, width = 0] = input.kind === 'tensor' ? image.slice(1) : image;
  const options = { input: input.kind, size: { height, width } as InputSize };
  const plain = networkOf(record, options);
  checkFit(plain.graph, weights, `the checkpoint of ${record.name}`);
  const extra = taps.filter((tap) => !plain.outputs.has(tap));
  const resolved = new Map(extra.map((tap) => [tap, resolveTap(plain.graph, record, tap)]));
  const { graph, outputs } = networkOf(record, { ...options, taps: [...new Set(resolved.values())] });
  const lowered = lower(graph);
  const onnxNames = new Map(
    graph.outputs.map(({ name }, at) => [name, lowered.graph.outputs[at]?.name ?? name]),
  );
  const wanted = new Map([...plain.outputs.keys()].map((name) => [name, outputs.get(name) ?? '']));
  for (const [tap, value] of resolved) wanted.set(tap, outputs.get(value) ?? '');

  const shapes = new Map(
    [...wanted].map(([name, value]) => [name, [images, ...(graph.values.get(value)?.shape ?? [])]]),
  );
  const count = [...shapes.values()].reduce((sum, shape) => sum + elementCount(shape), 0);
  if (count > MAX_ELEMENTS) {
    throw new TapError(
      `the outputs would have ${count} elements, and at most ${MAX_ELEMENTS} are written: run fewer images, or tap less`,
    );
  }
  const results = new Map(
    [...shapes].map(([name, shape]) => [name, tensor(shape, new Float32Array(elementCount(shape)))]),
  );
  const session = await InferenceSession.create(toOnnx(lowered.graph, lowered.weights(weights)), {
    executionProviders: ['cpu'],
    intraOpNumThreads: threads,
    graphOptimizationLevel: 'all',
  });
  // One image at a time: a batch of maps at full size would not fit everywhere.
  const perImage = input.data.length / Math.max(1, images);
  for (let at = 0; at < images; at++) {
    const values = await session.run(feedOf(input, at * perImage, perImage, image));
    for (const [name, value] of wanted) {
      const data = values[onnxNames.get(value) ?? '']?.data as Float32Array;
      results.get(name)?.data.set(data, at * data.length);
    }
  }
  await session.release();
  return results;
}

function feedOf(input: RunInput, start: number, count: number, image: readonly number[]) {
  const shape = [1, ...image];
  return input.kind === 'tensor'
    ? { input: new OnnxTensor('float32', input.data.subarray(start, start + count), shape) }
    : { pixels: new OnnxTensor('uint8', input.data.subarray(start, start + count), shape) };
}

/** The value that `tap` stands for. @throws TapError */
function resolveTap(graph: Graph, record: ModelRecord, tap: string): string {
  const aliases = aliasesOf(graph, record);
  const wanted = aliases.get(tap) ?? tap;
  const inputs = new Set(graph.inputs.map(({ name }) => name));
  const values = [...graph.values.values()].filter(
    ({ name, type }) => type === 'float32' && !inputs.has(name),
  );
  const found =
    values.find(({ name }) => name === wanted) ??
    values.findLast(({ name }) => name.startsWith(`${wanted}.`));
  if (!found) {
    const names = [...aliases.keys(), ...values.flatMap(({ name }) => prefixesOf(name))];
    throw new TapError(
      `${record.name} has no value, layer or block '${tap}': near it are ${nearest(tap, [...new Set(names)]).join(', ')}`,
    );
  }
  for (const { conv, norm } of foldablePairs(graph).values()) {
    if (conv.name !== found.name) continue;
    const layer = conv.name.replace(/\.conv$/, '');
    throw new TapError(
      `'${tap}' is a convolution that its batch normalisation is folded into: tap ${norm.name} for what comes out of both, or ${layer} for the layer's output`,
    );
  }
  return found.name;
}

/** Names of the library that the weights came from. */
function aliasesOf(graph: Graph, { source, backbone, head }: ModelRecord): ReadonlyMap<string, string> {
  return mapNamed(source.map).taps({ backbone, head, graph });
}

/** `a.b.c` and what it lies in: a.b, a. */
function prefixesOf(name: string): string[] {
  const parts = name.split('.');
  return parts.map((_, index) => parts.slice(0, index + 1).join('.'));
}

/** The names that differ least from `wanted`. */
function nearest(wanted: string, names: readonly string[]): string[] {
  return names
    .map((name) => ({ name, far: distance(wanted, name) }))
    .sort((a, b) => a.far - b.far)
    .slice(0, MOST_SUGGESTED)
    .map(({ name }) => name);
}

/** Levenshtein's distance. */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const change = (row[j - 1] as number) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(change, (row[j] as number) + 1, (next[j - 1] as number) + 1));
    }
    row = next;
  }
  return row[b.length] as number;
}
