import { readdir, readFile, rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { lower } from '../../models/graph/lowering.ts';
import { toOnnx } from '../../models/graph/onnx/writer.ts';
import { checkFit } from '../../models/weights/fit.ts';
import { makeFolder, sha256Of, sweep, writeAtomically } from './files.ts';
import { networkOf, servedSize } from './network.ts';
import type { ModelRecord } from './record.ts';
import { loadWeights } from './weights.ts';

/** Raised whenever the same record, graph and weights would compile to other bytes than before. */
const COMPILER_VERSION = 3;

const compiledFolder = (home: string) => join(home, 'compiled');

export interface CompiledModel {
  readonly path: string;
  /** The verified bytes of the .onnx file. */
  readonly onnx: Uint8Array;
  readonly sha256: string;
  /** False where it had to be compiled: the first time, or because the file was damaged. */
  readonly cached: boolean;
}

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
    const onnx = await compile(record, this.home);
    const sha256 = sha256Of(onnx);
    const folder = compiledFolder(this.home);
    await makeFolder(folder);
    await sweep(folder);
    // The model goes first: a digest without its model is a miss, a model with an old digest is rebuilt.
    await writeAtomically(path, onnx);
    await writeAtomically(`${path}.sha256`, Buffer.from(`${sha256}\n`));
    return { path, onnx, sha256, cached: false };
  }

  /** Removes every compiled form of the model called `name`, but for that of `kept`. */
  async forget(name: string, kept?: ModelRecord): Promise<void> {
    const folder = compiledFolder(this.home);
    const files = await readdir(folder).catch(() => []);
    const own = kept && basename(this.pathOf(kept));
    for (const file of files) {
      // Names have no hyphen: this is the model's own and no other's.
      if (!file.startsWith(`${name}-`) || file === own || file === `${own}.sha256`) continue;
      await rm(join(folder, file), { force: true });
    }
  }

  /** Removes the compiled form of `record`. */
  async discard(record: ModelRecord): Promise<void> {
    const path = this.pathOf(record);
    for (const file of [path, `${path}.sha256`]) await rm(file, { force: true });
  }

  /** Where the compiled form of `record` lies, whether it exists or not. */
  pathOf(record: ModelRecord): string {
    const { nodes, outputs } = lower(servedGraph(record)).graph;
    const key = sha256Of(Buffer.from(JSON.stringify([COMPILER_VERSION, record, nodes, outputs]))).slice(
      0,
      16,
    );
    return join(compiledFolder(this.home), `${record.name}-fp32-${key}.onnx`);
  }
}

const servedGraph = (record: ModelRecord) => networkOf(record, { size: servedSize(record) }).graph;

async function compile(record: ModelRecord, home: string): Promise<Uint8Array> {
  const graph = servedGraph(record);
  const weights = await loadWeights(record, home);
  checkFit(graph, weights, `the checkpoint of ${record.name}`);
  const lowered = lower(graph);
  return toOnnx(lowered.graph, lowered.weights(weights), {
    metadata: { model: record.name, licence: record.licence, attribution: record.attribution },
    // All sizes that photos are fitted to have the same padding as this one.
    anySize: record.task === 'segmentation',
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
