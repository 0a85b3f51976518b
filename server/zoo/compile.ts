import { lower } from '../../models/graph/lowering.ts';
import { toOnnx } from '../../models/graph/onnx/writer.ts';
import type { Calibrated } from '../../models/graph/quantization/calibrated.ts';
import { toQuantizedOnnx } from '../../models/graph/quantization/onnx.ts';
import { quantize } from '../../models/graph/quantization/quantize.ts';
import { checkFit } from '../../models/weights/fit.ts';
import { servedGraph } from './network.ts';
import type { ModelRecord } from './record.ts';
import { loadWeights } from './weights.ts';

/**
 * The bytes of an .onnx file for a model at the size that it is served at.
 * @param home the store's, for imported models
 * @param calibrated what int8 is made from; fp32 where absent
 * @throws what `loadWeights` and `checkFit` throw; CalibrationError where `calibrated` is of another network
 */
export async function compile(
  record: ModelRecord,
  home: string,
  calibrated?: Calibrated,
): Promise<Uint8Array> {
  const graph = servedGraph(record);
  const weights = await loadWeights(record, home);
  checkFit(graph, weights, `the checkpoint of ${record.name}`);
  const lowered = lower(graph);
  const options = {
    metadata: { model: record.name, licence: record.licence, attribution: record.attribution },
    // All sizes that photos are fitted to have the same padding as this one.
    anySize: record.task === 'segmentation',
  };
  return calibrated
    ? toQuantizedOnnx(quantize(lowered.graph, lowered.weights(weights), calibrated), options)
    : toOnnx(lowered.graph, lowered.weights(weights), options);
}
