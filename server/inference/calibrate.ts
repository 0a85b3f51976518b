import { lower } from '../../models/graph/lowering.ts';
import { toOnnx } from '../../models/graph/onnx/writer.ts';
import { Calibration } from '../../models/graph/quantization/calibration.ts';
import type { Weights } from '../../models/graph/tensor.ts';
import { servedGraph } from '../zoo/network.ts';
import type { ModelRecord } from '../zoo/record.ts';
import type { PhotoInput } from './photo_input.ts';
import { ImageSession } from './session.ts';

/**
 * Looks at photos in single precision, one at a time, and keeps what is to be known of every value inside the network.
 * @param weights of the record's graph
 * @param photos decoded as they are asked for
 */
export async function calibrate(
  record: ModelRecord,
  weights: Weights,
  photos: AsyncIterable<PhotoInput>,
  { threads }: { readonly threads: number },
): Promise<Calibration> {
  const lowered = lower(servedGraph(record));
  const calibration = new Calibration(lowered.graph);
  const manySizes = record.task === 'segmentation';
  const onnx = toOnnx(calibration.graph, lowered.weights(weights), { anySize: manySizes });
  const session = await ImageSession.open(onnx, { threads, manySizes });
  try {
    for await (const { pixels, size } of photos) {
      const values = await session.run(pixels, size);
      for (const [name, data] of Object.entries(values)) calibration.observe(name, data);
    }
  } finally {
    await session.close();
  }
  return calibration;
}
