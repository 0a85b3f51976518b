import type { Value } from './graph.ts';
import { elementCount } from './graph.ts';
import type { Layer } from './layers.ts';

/** Bytes that a layer moves for one image. */
export interface MemoryAccess {
  /** Weights read: folded, biases included. */
  readonly weights: number;
  /** Activations read. */
  readonly read: number;
  /** Activations written. */
  readonly written: number;
}

/** Bytes of one image's value; an image that comes in as bytes stays bytes, whatever an element takes otherwise. */
export function bytesOf({ type, shape }: Value, elementBytes: number): number {
  return elementCount(shape) * (type === 'uint8' ? 1 : elementBytes);
}

/**
 * Memory access cost of a layer with that many folded parameters: each weight, each input and the output once, as if a
 * cache held all of a layer and nothing between two. A reshape moves nothing; a slice reads what it gives.
 * Source: Ma et al., "ShuffleNet V2" (arXiv 1807.11164), section 2, guideline 1.
 */
export function memoryAccessOf(
  { node, inputs, output }: Layer,
  parametersFolded: number,
  elementBytes: number,
): MemoryAccess {
  if (node.op === 'reshape') return { weights: 0, read: 0, written: 0 };
  const written = bytesOf(output, elementBytes);
  const all = inputs.reduce((sum, value) => sum + bytesOf(value, elementBytes), 0);
  return {
    weights: parametersFolded * elementBytes,
    read: node.op === 'slice' ? written : all,
    written,
  };
}

/** All that a layer, or a network, moves. */
export function totalBytes({ weights, read, written }: MemoryAccess): number {
  return weights + read + written;
}
