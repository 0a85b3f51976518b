import { readdirSync, readFileSync } from 'node:fs';
import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { mapNamed } from '../../models/weights/maps/maps.ts';
import { catalog } from './catalog.ts';
import { IMPORTED_FORMAT } from './file_schemas.ts';
import { importedFolder, makeFolder, quantizedFolder, sweep, writeAtomically } from './files.ts';
import { withLock } from './import_lock.ts';
import { networkOf } from './network.ts';
import type { ImportedSource, ModelRecord } from './record.ts';
import { TASK_OF_HEAD } from './record.ts';
import { checkFile } from './validators.ts';

/** A model of the store's folder imported/. */
export type ImportedRecord = ModelRecord & { readonly source: ImportedSource };

/** File name of a model's weights: other weights have another name, so a record always speaks of the file it was written for. */
export const weightsFile = (name: string, sha256: string): string =>
  `${name}-${sha256.slice(0, 16)}.safetensors`;

/** @throws Error that says what is wrong with the record */
function parseRecord(json: string, name: string): ImportedRecord {
  const value: unknown = JSON.parse(json);
  checkFile('imported', value);
  const { format: _format, ...record } = value as ImportedRecord & { readonly format: number };
  if (record.name !== name || record.source.file !== weightsFile(name, record.source.sha256))
    throw new Error(`it describes '${record.name}' in '${record.source.file}'`);
  if (catalog.some((known) => known.name === name)) throw new Error('its name is one of the catalog');
  if (TASK_OF_HEAD[record.head] !== record.task)
    throw new Error(`${record.head} is no head for ${record.task}`);
  networkOf(record);
  if (record.task !== 'segmentation' || record.alignCorners !== undefined) return record;
  // Records that were written before they said so.
  return { ...record, alignCorners: mapNamed(record.source.map).alignCorners ?? true };
}

/**
 * The imported models of a store, by name.
 * @returns `records`, and in `faults` a sentence for each record that cannot be used, which others should not suffer from
 * @throws the file system's error where the folder is there and cannot be read
 */
export function readImported(home: string): {
  readonly records: readonly ImportedRecord[];
  readonly faults: readonly string[];
} {
  const records: ImportedRecord[] = [];
  const faults: string[] = [];
  for (const file of recordFiles(importedFolder(home))) {
    const path = join(importedFolder(home), file);
    try {
      records.push(parseRecord(readFileSync(path, 'utf8'), file.slice(0, -'.json'.length)));
    } catch (error) {
      faults.push(`the imported model ${path} cannot be used: ${(error as Error).message}`);
    }
  }
  return { records, faults };
}

function recordFiles(folder: string): string[] {
  try {
    return readdirSync(folder)
      .filter((file) => file.endsWith('.json'))
      .sort();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}

/** Takes the weights of an import that failed out of the store again. */
export async function discardWeights(home: string, file: string): Promise<void> {
  await rm(join(importedFolder(home), file), { force: true });
}

/** Puts the weights of an imported model into the store; until its record follows, nothing knows of them. */
export async function writeWeights(home: string, file: string, bytes: Uint8Array): Promise<void> {
  await makeFolder(importedFolder(home));
  await sweep(importedFolder(home));
  await writeAtomically(join(importedFolder(home), file), bytes);
}

/**
 * The file that makes an imported model known, read back as whoever opens the store will read it.
 * @throws Error that says what no reader would take
 */
export function recordText(record: ImportedRecord): string {
  const json = `${JSON.stringify({ format: IMPORTED_FORMAT, ...record }, null, 2)}\n`;
  parseRecord(json, record.name);
  return json;
}

/**
 * Makes an imported model known, in place of one of its name; weights of that name that it does not use are removed, and what
 * the other was quantised with.
 * @throws Error that says what no reader would take
 */
export async function writeRecord(home: string, record: ImportedRecord): Promise<void> {
  const json = recordText(record);
  await writeAtomically(join(importedFolder(home), `${record.name}.json`), Buffer.from(json));
  await removeWeights(home, record.name, record.source.file);
  await removeQuantization(home, record.name);
}

/** Forgets an imported model. @returns whether there was one @throws ImportError while it is being imported */
export async function removeImported(home: string, name: string): Promise<boolean> {
  const known = () => recordFiles(importedFolder(home)).includes(`${name}.json`);
  if (!known()) return false;
  return withLock(home, name, async () => {
    if (!known()) return false;
    await rm(join(importedFolder(home), `${name}.json`), { force: true });
    await removeWeights(home, name);
    await removeQuantization(home, name);
    return true;
  });
}

/** Removes the weights of a model, but for `kept`. */
async function removeWeights(home: string, name: string, kept?: string): Promise<void> {
  for (const file of await readdir(importedFolder(home))) {
    // Names have no hyphen: this is the model's own and no other's.
    if (file.startsWith(`${name}-`) && file.endsWith('.safetensors') && file !== kept)
      await rm(join(importedFolder(home), file), { force: true });
  }
}

const removeQuantization = (home: string, name: string): Promise<void> =>
  rm(join(quantizedFolder(home), `${name}.json`), { force: true });
