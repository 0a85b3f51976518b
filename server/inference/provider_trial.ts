import { GraphBuilder } from '../../models/graph/builder.ts';
import { toOnnx } from '../../models/graph/onnx/writer.ts';
import type { ExecutionProvider } from './execution_providers.ts';
import { ImageSession } from './session.ts';

/**
 * Opens the smallest of networks: what a build of ONNX Runtime lists may still want libraries or a device that are not there,
 * and only opening tells.
 * @throws ExecutionProviderError where the provider is not to be had
 */
export async function tryProvider(executionProvider: ExecutionProvider): Promise<void> {
  const builder = new GraphBuilder('trial');
  const output = builder.activation('output', builder.input('input', 'float32', [1, 1, 1]), 'relu');
  const onnx = toOnnx(builder.build([output]), new Map());
  const session = await ImageSession.open(onnx, { threads: 1, executionProvider });
  await session.close();
}
