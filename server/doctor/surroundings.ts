import { createServer } from 'node:net';
import type { ExecutionProvider } from '../inference/execution_providers.ts';
import { checkProvider } from '../inference/execution_providers.ts';
import type { Finding } from './finding.ts';
import { messageOf, ok, problem, REINSTALL } from './finding.ts';
import type { Tried } from './providers.ts';
import { triedProviders } from './providers.ts';

const PACKAGE_REMEDY = `${REINSTALL} It holds machine code: what was installed on another kind of machine does not run on this one.`;

/**
 * Whether ONNX Runtime loads, and opens a network with the execution provider.
 * @param load the library
 * @param tryAll see `triedProviders`
 */
export async function checkOnnxRuntime(
  provider: ExecutionProvider,
  load: () => Promise<Pick<typeof import('../inference/onnx_runtime.ts'), 'listSupportedBackends'>> = () =>
    import('../inference/onnx_runtime.ts'),
  tryAll: () => Promise<readonly Tried[]> = triedProviders,
): Promise<Finding> {
  let names: readonly { readonly name: string }[];
  try {
    names = (await load()).listSupportedBackends();
  } catch (error) {
    return problem('onnxruntime', `it does not load: ${messageOf(error)}`, PACKAGE_REMEDY);
  }
  const remedy =
    provider === 'cpu' ? PACKAGE_REMEDY : 'Provide what it needs, or leave --execution-provider at cpu.';
  try {
    checkProvider(provider, names);
  } catch (error) {
    return problem('onnxruntime', messageOf(error), 'Leave --execution-provider at cpu.');
  }
  const tried = await tryAll();
  const own = tried.find(({ name }) => name === provider) ?? {
    fault: `a process that opened a network with the execution provider '${provider}' did not come back`,
  };
  if (own.fault !== undefined) return problem('onnxruntime', own.fault, remedy);
  const opening = tried.filter(({ fault }) => fault === undefined).map(({ name }) => name);
  const others = names.map(({ name }) => name).filter((name) => !opening.includes(name));
  const detail = `it loads, and opens networks with ${opening.join(', ')}`;
  return ok('onnxruntime', others.length > 0 ? `${detail}; not with ${others.join(', ')} here` : detail);
}

/** Whether sharp loads, and makes and reads a picture. */
export async function checkSharp(
  load: () => Promise<Pick<typeof import('sharp'), 'default'>> = () => import('sharp'),
): Promise<Finding> {
  try {
    const { default: sharp } = await load();
    const create = { width: 8, height: 8, channels: 3, background: 'red' } as const;
    const { width } = await sharp(await sharp({ create }).jpeg().toBuffer()).metadata();
    if (width !== 8) throw new Error(`a picture 8 pixels wide is read as ${width}`);
    return ok('sharp', `it loads and reads a JPEG (libvips ${sharp.versions.vips})`);
  } catch (error) {
    return problem('sharp', `it does not work: ${messageOf(error)}`, PACKAGE_REMEDY);
  }
}

const REMEDIES: Readonly<Record<string, string>> = {
  EADDRINUSE: 'Stop what listens there, or take another port with --port (THINLENS_PORT).',
  EACCES: 'Take a port above 1023 with --port (THINLENS_PORT).',
};

/** Whether the server could listen; it is tried, for a moment. */
export async function checkPort({
  host,
  port,
}: {
  readonly host: string;
  readonly port: number;
}): Promise<Finding> {
  const server = createServer();
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(port, host, resolve);
    });
    await new Promise((resolve) => server.close(resolve));
    return ok('port', port === 0 ? `any free port of ${host}` : `${host}:${port} is free`);
  } catch (error) {
    const { code = '', message } = error as NodeJS.ErrnoException;
    const remedy = REMEDIES[code] ?? 'Name an address of this machine with --host (THINLENS_HOST).';
    return problem('port', `${host}:${port} cannot be listened on: ${message}`, remedy);
  }
}
