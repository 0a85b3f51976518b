import { mkdtemp, readdir, rm, stat, statfs } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { quantizedFolder, writeAtomically } from '../zoo/files.ts';
import { readImported } from '../zoo/imported.ts';
import { quantizationPath, readQuantization } from '../zoo/quantization.ts';
import type { ModelRecord } from '../zoo/record.ts';
import { compiledFolder, readVerified } from '../zoo/store.ts';
import { loadWeights } from '../zoo/weights.ts';
import type { Finding } from './finding.ts';
import { messageOf, ok, problem, REINSTALL, warning } from './finding.ts';
import type { Outlook } from './outlook.ts';

/** Compiled models of the catalog in both precisions, and some air. */
const ENOUGH_BYTES = 200e6;
const OTHER_HOME = 'or name another with --home (THINLENS_HOME)';
const FOLDER_REMEDY = `Make it a folder that this user can write to, ${OTHER_HOME}.`;
const READ_REMEDY = `Make it a folder that this user can read, ${OTHER_HOME}.`;

const namesIn = (folder: string): Promise<string[]> =>
  readdir(folder).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return [];
    throw error;
  });

/** What can be kept at the store's home. */
export interface Room {
  /** Whether the folder is there; where it is not, it could be made. */
  readonly isThere: boolean;
  readonly freeBytes: number;
}

/** Tries to write where compiled models are kept, and leaves everything as it was. @throws Error that says why that cannot be */
export async function roomAt(home: string): Promise<Room> {
  const there = await nearest(compiledFolder(home));
  // A folder, because a server may have to make some: there are file systems that have files and cannot.
  const probe = await mkdtemp(join(there, 'thinlens-doctor-')).catch(({ message }: Error) => {
    throw new Error(message.replace(/, mkdtemp .*$/, ` in ${there}`));
  });
  try {
    await writeAtomically(join(probe, 'file'), Buffer.from('thinlens\n'));
  } finally {
    await rm(probe, { recursive: true, force: true });
  }
  const { bavail, bsize } = await statfs(there);
  return { isThere: there === home || dirname(there) === home, freeBytes: bavail * bsize };
}

/** `path`, or the closest folder above it that is there. @throws the system's error, or an Error where that is no folder */
async function nearest(path: string): Promise<string> {
  try {
    if ((await stat(path)).isDirectory()) return path;
  } catch (error) {
    const { code = '' } = error as NodeJS.ErrnoException;
    if (!['ENOENT', 'ENOTDIR'].includes(code) || path === dirname(path)) throw error;
    return nearest(dirname(path));
  }
  throw new Error(`${path} is not a folder`);
}

/**
 * Whether models can be kept at `home`, which they need not be where all are there.
 * @param room see `roomAt`, or why there is none
 * @param outlook nothing where it cannot be had
 */
export function checkFolder(home: string, room: Room | Error, outlook: Outlook | undefined): Finding {
  if (room instanceof Error) {
    const fault = `${home} cannot be written: ${room.message}`;
    if (!outlook) return warning('store', `${fault}; what it holds could not be told`, FOLDER_REMEDY);
    const { missing } = outlook;
    return missing.length === 0
      ? ok('store', `${fault}; it need not be, since every network is there, compiled`)
      : problem('store', `${fault}; not there, compiled and whole: ${missing.join(', ')}`, FOLDER_REMEDY);
  }
  const { isThere, freeBytes } = room;
  const detail = `${home} ${isThere ? 'can be written' : 'will be made'}; ${Math.round(freeBytes / 1e6)} MB free`;
  return freeBytes >= ENOUGH_BYTES || outlook?.missing.length === 0
    ? ok('store', detail)
    : warning('store', detail, `Compiled models take up to ${ENOUGH_BYTES / 1e6} MB: free some space.`);
}

/** Every compiled file against the hash beside it. Damage costs time only where the store can be written: such a model is compiled again. */
export async function checkCompiled(
  home: string,
  room: Room | Error,
  outlook: Outlook | undefined,
): Promise<Finding> {
  const folder = compiledFolder(home);
  const damaged: string[] = [];
  const unreadable: string[] = [];
  let names: string[];
  try {
    names = (await namesIn(folder)).filter((name) => name.endsWith('.onnx'));
  } catch (error) {
    return problem('compiled', messageOf(error), READ_REMEDY);
  }
  for (const name of names) {
    await readVerified(join(folder, name)).then(
      (found) => found ?? damaged.push(name),
      (error) => unreadable.push(messageOf(error)),
    );
  }
  const notWhole = `not as their SHA-256 says: ${damaged.join(', ')}`;
  if (unreadable.length > 0) {
    const detail = [...unreadable, ...(damaged.length > 0 ? [notWhole] : [])].join('; ');
    const remedy = 'Delete what lies there, or let this user read it: what is missing is compiled again.';
    const isWanted = (outlook?.unreadable.length ?? 0) > 0;
    return (isWanted ? problem : warning)('compiled', detail, remedy);
  }
  if (damaged.length === 0) return ok('compiled', `${names.length} compiled files, each as its SHA-256 says`);
  if (room instanceof Error) {
    const isWanted = (outlook?.missing.length ?? 0) > 0;
    return (isWanted ? problem : warning)(
      'compiled',
      notWhole,
      `They cannot be compiled again where nothing can be written: let this user write to ${folder}, or have whole files put there.`,
    );
  }
  return warning(
    'compiled',
    notWhole,
    `They can be deleted, and are compiled again where they are needed. If it happens again, look at the disk of ${folder}.`,
  );
}

/**
 * The records of imported models; their weights are looked at with those of all models.
 * @param named that the server is told to load: what it is not told to load does not keep it from that
 */
export function checkImported(home: string, named: readonly string[] = []): Finding {
  try {
    const { records, faults } = readImported(home);
    if (faults.length === 0) return ok('imported', `${records.length} imported models`);
    return (named.length > 0 ? warning : problem)(
      'imported',
      faults.join('; '),
      'Import them again, or remove them with thinlens import --remove NAME.',
    );
  } catch (error) {
    return problem('imported', messageOf(error), READ_REMEDY);
  }
}

/**
 * What int8 is made from, for each model that has it.
 * @param models those to look at
 * @param all that there are: what is in the store for none of them is told too
 */
export async function checkQuantized(
  models: readonly ModelRecord[],
  home: string,
  all: readonly ModelRecord[] = models,
): Promise<Finding> {
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
  const known = new Set(all.map(({ name }) => quantizationPath(home, name)));
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
      npm: REINSTALL,
      package: REINSTALL,
      imported: `Import the model again, or remove it with thinlens import --remove ${record.name}.`,
    }[kind];
    return problem(check, messageOf(error), remedy);
  }
}
