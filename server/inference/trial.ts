import type { InputSize } from '../../models/graph/image_input.ts';
import { ImageSession } from './session.ts';

/**
 * Runs a compiled network once, on an image of every pixel value.
 * @returns its outputs by name
 * @throws Error where ONNX Runtime cannot run it
 */
export async function trialRun(
  onnx: Uint8Array,
  { height, width }: InputSize,
  threads: number,
): Promise<Record<string, Float32Array>> {
  const session = await ImageSession.open(onnx, { threads });
  try {
    const pixels = Uint8Array.from({ length: width * height * 3 }, (_, index) => index % 256);
    const outputs = await session.run(pixels, { height, width });
    // The session's own memory goes with it.
    return Object.fromEntries(Object.entries(outputs).map(([name, values]) => [name, values.slice()]));
  } finally {
    await session.close();
  }
}
