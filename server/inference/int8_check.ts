import type { Size } from '../image/region.ts';
import type { Quantization } from '../zoo/quantization.ts';
import { referencePicture, sampleOutputs, signalToNoise } from './reference_picture.ts';
import type { ImageSession } from './session.ts';

/** A CPU, or an ONNX Runtime, on which a quantised network does not compute what it should. */
export class Int8CheckError extends Error {
  override readonly name = 'Int8CheckError';
}

/**
 * Decibels. ONNX Runtime on other CPUs gives the stored numbers to some 100 dB; one that rounds elsewhere, computing the same network
 * operator by operator, keeps 20 to 36; sums that overflow leave 13 and less (test/server/inference/old_cpu.system.ts).
 */
export const LEAST_SIGNAL_TO_NOISE = 16;

/**
 * Runs a quantised network on the reference picture and compares with what was stored when it was made.
 * @throws Int8CheckError
 */
export async function checkInt8(
  session: ImageSession,
  name: string,
  { reference }: Quantization,
  size: Size,
): Promise<void> {
  const outputs = await session.run(referencePicture(size), size);
  const decibels = signalToNoise(sampleOutputs(outputs), reference);
  if (decibels >= LEAST_SIGNAL_TO_NOISE) return;
  throw new Int8CheckError(
    `int8 of ${name} computes other numbers on this CPU than it should: signal to noise is ${decibels.toFixed(1)} dB, and ${LEAST_SIGNAL_TO_NOISE} dB is the least`,
  );
}
