/** A process that tells its parent of each execution provider whether it opens: some write to stderr on the way, or might crash. */
import type { ExecutionProvider } from '../inference/execution_providers.ts';
import { listSupportedBackends } from '../inference/onnx_runtime.ts';
import { tryProvider } from '../inference/provider_trial.ts';
import { messageOf } from './finding.ts';
import type { Tried } from './providers.ts';

for (const { name } of listSupportedBackends()) {
  const fault = await tryProvider(name as ExecutionProvider).then(() => undefined, messageOf);
  const tried: Tried = { name, ...(fault !== undefined && { fault }) };
  process.send?.(tried);
}
process.disconnect();
