import { readdir, readFile, rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { makeFolder, sha256Of, sweep, writeAtomically } from './files.ts';
import { loweredGraph, servedGraph } from './network.ts';
import type { Quantization } from './quantization.ts';
import { readQuantization } from './quantization.ts';
import type { ModelRecord, Precision } from './record.ts';
import { loadWeights, ModelUnavailableError } from './weights.ts';

/** Raised whenever the same record, graph and weights would compile to other bytes than before. */
const COMPILER_VERSION = 4;

/** Another form of compiled models, for one kind of machine: what takes long at each start, done once. */
export interface ModelForm {
  /** Part of a file's name: says what the form is for. */
  readonly name: string;
  /** @returns the form of an .onnx file, or nothing where it cannot be had */
  make(onnx: Uint8Array): Promise<Uint8Array | undefined>;
}

/** The store's folder of compiled models, which can be made again. */
export const compiledFolder = (home: string): string => join(home, 'compiled');

const formPath = (path: string, form: string) => path.replace(/\.onnx$/, `.${form}.onnx`);

export interface CompiledModel {
  readonly path: string;
  /** The verified bytes of the .onnx file. */
  readonly onnx: Uint8Array;
  readonly sha256: string;
  /** What it was made from, in int8. */
  readonly quantization?: Quantization;
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
   * @throws ModelUnavailableError, also where it was never quantised and int8 is wanted; WeightsError, CalibrationError, or the
   *   file system's error where the store cannot be written.
   */
  async compiled(record: ModelRecord, precision: Precision = 'fp32'): Promise<CompiledModel> {
    const quantized = precision === 'int8' ? await this.#quantization(record) : undefined;
    const path = this.pathOf(record, quantized?.sha256);
    const kept = await readVerified(path);
    const source = quantized && { quantization: quantized.quantization };
    if (kept) return { path, ...kept, ...source, cached: true };
    // Most starts compile nothing, and need none of what it takes.
    const [{ compile }, { checkFit }] = await Promise.all([
      import('./compile.ts'),
      import('../../models/weights/fit.ts'),
    ]);
    const weights = await loadWeights(record, this.home);
    checkFit(servedGraph(record), weights, `the checkpoint of ${record.name}`);
    const onnx = compile(record, weights, quantized?.quantization.calibrated);
    const sha256 = sha256Of(onnx);
    const folder = compiledFolder(this.home);
    await makeFolder(folder);
    await sweep(folder);
    await keep(path, onnx, sha256);
    return { path, onnx, sha256, ...source, cached: false };
  }

  /**
   * The compiled model in another form: from disk if it is there and whole, else made and, where the store can be written, kept.
   * As `compiled` gives it, where it cannot be had.
   * @throws whatever `compiled` throws
   */
  async formed(record: ModelRecord, precision: Precision, { name, make }: ModelForm): Promise<CompiledModel> {
    const quantized = precision === 'int8' ? await this.#quantization(record) : undefined;
    const path = formPath(this.pathOf(record, quantized?.sha256), name);
    const source = quantized && { quantization: quantized.quantization };
    const kept = await readVerified(path);
    if (kept) return { path, ...kept, ...source, cached: true };
    const compiled = await this.compiled(record, precision);
    const onnx = await make(compiled.onnx);
    if (!onnx) return compiled;
    const sha256 = sha256Of(onnx);
    try {
      await keep(path, onnx, sha256);
    } catch {
      // The next start makes it again.
    }
    return { path, onnx, sha256, ...source, cached: false };
  }

  /**
   * Whether the model is there compiled, or in the form where one is wanted, and whole: opening it needs no store that can be written.
   * @throws as `compiled` does where int8 is wanted and was never made, or a file that is there cannot be read
   */
  async isKept(record: ModelRecord, precision: Precision, form?: Pick<ModelForm, 'name'>): Promise<boolean> {
    const quantized = precision === 'int8' ? await this.#quantization(record) : undefined;
    const path = this.pathOf(record, quantized?.sha256);
    const paths = form ? [formPath(path, form.name), path] : [path];
    for (const each of paths) if (await readVerified(each)) return true;
    return false;
  }

  /** Removes every compiled form of the model called `name`, but for that of `kept` in fp32. */
  async forget(name: string, kept?: ModelRecord): Promise<void> {
    const own = kept && basename(this.pathOf(kept));
    // Names have no hyphen: this is the model's own and no other's.
    await this.#remove((file) => file.startsWith(`${name}-`) && file !== own && file !== `${own}.sha256`);
  }

  /** Removes the model's compiled forms in int8: they were made from another calibration than it has now. */
  async forgetInt8(name: string): Promise<void> {
    await this.#remove((file) => file.startsWith(`${name}-int8-`));
  }

  async #remove(isOld: (file: string) => boolean): Promise<void> {
    const folder = compiledFolder(this.home);
    const files = await readdir(folder).catch(() => []);
    for (const file of files.filter(isOld)) await rm(join(folder, file), { force: true });
  }

  /** Removes what `record` was compiled to in fp32, in every form. */
  async discard(record: ModelRecord): Promise<void> {
    const own = basename(this.pathOf(record), 'onnx');
    await this.#remove((file) => file.startsWith(own));
  }

  /**
   * Where the compiled form of `record` lies, whether it exists or not.
   * @param quantization hash of what int8 is made from; the form in fp32 where there is none
   */
  pathOf(record: ModelRecord, quantization?: string): string {
    const { nodes, outputs } = loweredGraph(record);
    // What was measured of a model makes no other file.
    const { accuracy: _, ...described } = record;
    const parts = [COMPILER_VERSION, described, nodes, outputs, quantization];
    const key = sha256Of(Buffer.from(JSON.stringify(parts))).slice(0, 16);
    const precision: Precision = quantization === undefined ? 'fp32' : 'int8';
    return join(compiledFolder(this.home), `${record.name}-${precision}-${key}.onnx`);
  }

  async #quantization(record: ModelRecord) {
    const found = await readQuantization(record, this.home);
    if (found) return found;
    throw new ModelUnavailableError(
      `${record.name} was never quantised: thinlens quantize ${record.name} --images DIR does`,
    );
  }
}

async function keep(path: string, onnx: Uint8Array, sha256: string): Promise<void> {
  // The model goes first: a digest without its model is a miss, a model with an old digest is rebuilt.
  await writeAtomically(path, onnx);
  await writeAtomically(`${path}.sha256`, Buffer.from(`${sha256}\n`));
}

/**
 * The bytes of a compiled file, where it is there and as the hash beside it says.
 * @throws the system's error, with the file's name, where there is something that cannot be read
 */
export async function readVerified(path: string): Promise<{ onnx: Uint8Array; sha256: string } | undefined> {
  const digest = readFile(`${path}.sha256`, 'utf8');
  // What is in the model's place counts, whether there is a digest or not.
  digest.catch(() => {});
  try {
    const onnx = await readFile(path);
    const sha256 = sha256Of(onnx);
    return (await digest).trim() === sha256 ? { onnx, sha256 } : undefined;
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') return undefined;
    throw Object.assign(error as Error, { message: `${path} cannot be read: ${message}` });
  }
}
