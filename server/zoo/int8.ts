import { lower } from '../../models/graph/lowering.ts';
import type { Calibrated } from '../../models/graph/quantization/calibrated.ts';
import { toQuantizedOnnx } from '../../models/graph/quantization/onnx.ts';
import { quantize } from '../../models/graph/quantization/quantize.ts';
import type { Weights } from '../../models/graph/tensor.ts';
import { servedGraph } from './network.ts';
import type { ModelRecord } from './record.ts';

/**
 * The bytes of an .onnx file for a model on bytes, to be served as the one in single precision is.
 * @param weights of the record's graph
 * @throws CalibrationError where `calibrated` is of another network
 */
export function int8Onnx(record: ModelRecord, weights: Weights, calibrated: Calibrated): Uint8Array {
  const lowered = lower(servedGraph(record));
  return toQuantizedOnnx(quantize(lowered.graph, lowered.weights(weights), calibrated), {
    metadata: { model: record.name, licence: record.licence, attribution: record.attribution },
    anySize: record.task === 'segmentation',
  });
}
