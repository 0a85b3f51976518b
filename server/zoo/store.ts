import { createHash, randomBytes } from 'node:crypto';
import { mkdir, open, readdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { lower } from '../../models/graph/lowering.ts';
import { toOnnx } from '../../models/graph/onnx/writer.ts';
import { checkFit } from '../../models/weights/fit.ts';
import type { ModelRecord } from './catalog.ts';
import { networkOf } from './network.ts';
import { loadWeights } from './weights.ts';

/** Raised whenever the same record, graph and weights would compile to other bytes than before. */
const COMPILER_VERSION = 2;

/** A temporary file this old was left by a process that died while writing. */
const ABANDONED_AFTER_MS = 10 * 60 * 1000;

export interface CompiledModel {
  readonly path: string;
  /** The verified bytes of the .onnx file. */
  readonly onnx: Uint8Array;
  readonly sha256: string;
  /** False where it had to be compiled: the first time, or because the file was damaged. */
  readonly cached: boolean;
}

const sha256Of = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');

/**
 * Compiled models on disk, one folder `compiled/` under the store's home. A file's name holds a hash of all that
 * it was compiled from, so a new record, other weights or another compiler never meet an old file; beside it lies
 * the hash of its content, which every read is checked against. Files are written to a temporary name and renamed. Compiling
 * is deterministic, so two processes that start at once write the same bytes and either may win.
 */
export class ModelStore {
  readonly home: string;

  constructor(home: string) {
    this.home = home;
  }

  /**
   * The compiled model: from disk if it is there and whole, else compiled and kept.
   * @throws ModelUnavailableError, WeightsError, or the file system's error where the store cannot be written.
   */
  async compiled(record: ModelRecord): Promise<CompiledModel> {
    const path = this.pathOf(record);
    const kept = await readVerified(path);
    if (kept) return { path, ...kept, cached: true };
    const onnx = await compile(record);
    const sha256 = sha256Of(onnx);
    await mkdir(join(this.home, 'compiled'), { recursive: true });
    await this.#sweep();
    // The model goes first: a digest without its model is a miss, a model with an old digest is rebuilt.
    await writeAtomically(path, onnx);
    await writeAtomically(`${path}.sha256`, Buffer.from(`${sha256}\n`));
    return { path, onnx, sha256, cached: false };
  }

  /** Where the compiled form of `record` lies, whether it exists or not. */
  pathOf(record: ModelRecord): string {
    const { nodes, outputs } = lower(networkOf(record).graph).graph;
    const key = sha256Of(Buffer.from(JSON.stringify([COMPILER_VERSION, record, nodes, outputs]))).slice(
      0,
      16,
    );
    return join(this.home, 'compiled', `${record.name}-fp32-${key}.onnx`);
  }

  /** Removes what processes that died while writing have left. */
  async #sweep(): Promise<void> {
    const folder = join(this.home, 'compiled');
    for (const name of await readdir(folder)) {
      if (!name.endsWith('.tmp')) continue;
      const info = await stat(join(folder, name)).catch(() => undefined);
      if (info && Date.now() - info.mtimeMs > ABANDONED_AFTER_MS)
        await rm(join(folder, name), { force: true });
    }
  }
}

async function compile(record: ModelRecord): Promise<Uint8Array> {
  const { graph } = networkOf(record);
  const weights = await loadWeights(record);
  checkFit(graph, weights, `the checkpoint of ${record.name}`);
  const lowered = lower(graph);
  return toOnnx(lowered.graph, lowered.weights(weights), {
    metadata: { model: record.name, licence: record.licence, attribution: record.attribution },
  });
}

async function readVerified(path: string): Promise<{ onnx: Uint8Array; sha256: string } | undefined> {
  try {
    const [onnx, digest] = await Promise.all([readFile(path), readFile(`${path}.sha256`, 'utf8')]);
    const sha256 = sha256Of(onnx);
    return digest.trim() === sha256 ? { onnx, sha256 } : undefined;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

/** Writes to a temporary name in the same folder, reads it back, and renames: a reader sees the old file or the whole new one. */
async function writeAtomically(path: string, bytes: Uint8Array): Promise<void> {
  const temporary = `${path}.${process.pid}-${randomBytes(4).toString('hex')}.tmp`;
  try {
    const file = await open(temporary, 'wx');
    try {
      await file.writeFile(bytes);
      await file.sync();
    } finally {
      await file.close();
    }
    if (sha256Of(await readFile(temporary)) !== sha256Of(bytes)) {
      throw new Error(`${path} did not read back as written: is the disk full or failing?`);
    }
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
}
