/**
 * What ONNX Runtime computes with, by the names of its Node.js package. Which of them a build has depends on the platform;
 * cuda and tensorrt also need their own libraries beside it, webgpu a device.
 */
export const EXECUTION_PROVIDERS = ['cpu', 'cuda', 'tensorrt', 'webgpu', 'dml', 'coreml'] as const;
export type ExecutionProvider = (typeof EXECUTION_PROVIDERS)[number];

/** An execution provider that cannot be used here. The message says why. */
export class ExecutionProviderError extends Error {
  override readonly name = 'ExecutionProviderError';
}

/**
 * @param available what ONNX Runtime's build lists
 * @throws ExecutionProviderError naming those that it has, where `wanted` is not among them
 */
export function checkProvider(
  wanted: ExecutionProvider,
  available: readonly { readonly name: string }[],
): void {
  const names = available.map(({ name }) => name);
  if (names.includes(wanted)) return;
  throw new ExecutionProviderError(
    `ONNX Runtime for ${process.platform} ${process.arch} has no execution provider '${wanted}': it has ${names.join(', ')}`,
  );
}

/** What providers need besides a build that has them. */
const NEEDS: Readonly<Partial<Record<ExecutionProvider, string>>> = {
  cuda: "an NVIDIA GPU, CUDA 12, cuDNN 9 and ONNX Runtime's libraries for it, which onnxruntime-node's install script fetches",
  tensorrt:
    "an NVIDIA GPU, TensorRT and ONNX Runtime's libraries for it, which onnxruntime-node's install script fetches",
  webgpu: 'a GPU with a Vulkan, Direct3D 12 or Metal driver',
};

/**
 * The error of a session that did not open with a provider that the build has: its libraries are missing, or there is no
 * device. ONNX Runtime throws then; only single operators that the provider does not know run on the CPU.
 */
export function providerFault(wanted: ExecutionProvider, { message }: Error): ExecutionProviderError {
  // What ONNX Runtime says may begin with the place and the condition in its sources, and go on over lines.
  const [line = ''] = message.trim().split('\n');
  const reason = line.replace(/^\/onnxruntime_src\/.* was false\. /, '');
  const needs = NEEDS[wanted];
  return new ExecutionProviderError(
    `the execution provider '${wanted}' cannot be used: ${reason}${needs ? ` (it needs ${needs})` : ''}`,
  );
}
