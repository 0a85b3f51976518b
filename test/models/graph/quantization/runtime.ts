import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import type { Graph } from '../../../../models/graph/graph.ts';
import type { OnnxNode } from '../../../../models/graph/onnx/schema.ts';
import { decodeModel } from '../../../../models/graph/onnx/schema.ts';
import { toOnnx } from '../../../../models/graph/onnx/writer.ts';
import { Calibration } from '../../../../models/graph/quantization/calibration.ts';
import type { Weights } from '../../../../models/graph/tensor.ts';

/** Data of one input, batch of one, and its shape where it isn't the graph's. */
export interface Sample {
  readonly data: Float32Array | Uint8Array;
  readonly shape?: readonly number[];
}

/** Outputs by name of one sample. */
export async function run(
  onnx: Uint8Array,
  { inputs }: Graph,
  { data, shape }: Sample,
): Promise<Map<string, Float32Array>> {
  const [{ name = '', type = 'float32', shape: own = [] } = {}] = inputs;
  const session = await InferenceSession.create(onnx, { intraOpNumThreads: 1, logSeverityLevel: 3 });
  const outputs = await session.run({
    [name]: new Tensor(type, data as Float32Array, [1, ...(shape ?? own)]),
  });
  await session.release();
  return new Map(Object.entries(outputs).map(([key, value]) => [key, value.data as Float32Array]));
}

/** A calibration that has seen the samples. */
export async function calibrate(
  graph: Graph,
  weights: Weights,
  samples: readonly Sample[],
): Promise<Calibration> {
  const calibration = new Calibration(graph);
  const onnx = toOnnx(calibration.graph, weights);
  for (const sample of samples) {
    for (const [name, data] of await run(onnx, graph, sample)) calibration.observe(name, data);
  }
  return calibration;
}

/** What may be left of a network when everything is fused: operators on bytes, and those that move bytes. */
export const ON_BYTES: ReadonlySet<string> = new Set([
  'QLinearConv',
  'QLinearAdd',
  'QLinearMul',
  'QLinearConcat',
  'QLinearSigmoid',
  'QLinearGlobalAveragePool',
  'NhwcMaxPool',
  'Reshape',
  'Transpose',
  'Split',
  'Slice',
]);

/** The nodes that ONNX Runtime makes of a model. */
export async function optimizedNodes(onnx: Uint8Array): Promise<readonly OnnxNode[]> {
  const folder = mkdtempSync(join(tmpdir(), 'thinlens-test-'));
  try {
    const path = join(folder, 'optimized.onnx');
    const session = await InferenceSession.create(onnx, {
      intraOpNumThreads: 1,
      graphOptimizationLevel: 'all',
      optimizedModelFilePath: path,
      // It warns that such a file suits this kind of machine only.
      logSeverityLevel: 3,
    });
    await session.release();
    return decodeModel(readFileSync(path)).graph.node;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** How much larger the signal is than the difference, in decibels. */
export function signalToNoise(expected: Float32Array, actual: Float32Array): number {
  let [signal, noise] = [0, 0];
  expected.forEach((value, i) => {
    signal += value ** 2;
    noise += (value - (actual[i] as number)) ** 2;
  });
  return 10 * Math.log10(signal / noise);
}
