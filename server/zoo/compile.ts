import { lower } from '../../models/graph/lowering.ts';
import { toOnnx } from '../../models/graph/onnx/writer.ts';
import type { Calibrated } from '../../models/graph/quantization/calibrated.ts';
import { toQuantizedOnnx } from '../../models/graph/quantization/onnx.ts';
import { quantize } from '../../models/graph/quantization/quantize.ts';
import type { Weights } from '../../models/graph/tensor.ts';
import { servedGraph } from './network.ts';
import type { ModelRecord } from './record.ts';

/**
 * The bytes of the .onnx file that a model is served with.
 * @param weights of the record's graph
 * @param calibrated what int8 is made from; in fp32 where there is none
 * @throws CalibrationError where `calibrated` is of another network
 */
export function compile(record: ModelRecord, weights: Weights, calibrated?: Calibrated): Uint8Array {
  const { graph, weights: loweredWeights } = lower(servedGraph(record));
  const options = {
    metadata: { model: record.name, licence: record.licence, attribution: record.attribution },
    // All sizes that photos are fitted to have the same padding as this one.
    anySize: record.task === 'segmentation',
  };
  return calibrated
    ? toQuantizedOnnx(quantize(graph, loweredWeights(weights), calibrated), options)
    : toOnnx(graph, loweredWeights(weights), options);
}
