import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ModelForm } from '../zoo/store.ts';
import { env, InferenceSession } from './onnx_runtime.ts';

/**
 * What ONNX Runtime makes of a network before it runs it, short of what depends on the CPU's blocks of channels: nodes joined, bytes
 * in place of pairs of quantisers. Finding that takes two thirds of the time that opening a session does, and comes out the same
 * every time, for one version of ONNX Runtime on one architecture.
 * @param narrowSums see `hasNarrowSums`: in int8 such CPUs get other nodes
 */
export function optimizedForm(narrowSums: boolean): ModelForm {
  const version = env.versions.node ?? env.versions.common;
  return {
    name: `ort${version}-${process.arch}${narrowSums ? '-narrow' : ''}`,
    make: (onnx) => optimized(onnx, narrowSums),
  };
}

async function optimized(onnx: Uint8Array, narrowSums: boolean): Promise<Uint8Array | undefined> {
  let folder: string | undefined;
  try {
    // ONNX Runtime writes to files alone.
    folder = await mkdtemp(join(tmpdir(), 'thinlens-'));
    const optimizedModelFilePath = join(folder, 'model.onnx');
    const session = await InferenceSession.create(onnx, {
      executionProviders: ['cpu'],
      graphOptimizationLevel: 'extended',
      optimizedModelFilePath,
      intraOpNumThreads: 1,
      ...(narrowSums && { extra: { session: { x64quantprecision: '1' } } }),
    });
    await session.release();
    return await readFile(optimizedModelFilePath);
  } catch {
    // No place to write to, say: the network runs as it is, it only takes longer to open.
    return undefined;
  } finally {
    if (folder) await rm(folder, { recursive: true, force: true });
  }
}
