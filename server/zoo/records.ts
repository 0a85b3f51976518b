import { catalog } from './catalog.ts';
import { readImported } from './imported.ts';
import type { ModelRecord, Task } from './record.ts';

/** Every model that can be named: the catalog's, in its order, then those imported into the store at `home`, by name. */
export function records(home: string): ModelRecord[] {
  return [...catalog, ...readImported(home).records];
}

/** The record called `name`, catalogued or imported, if there is one. */
export function recordNamed(name: string, home: string): ModelRecord | undefined {
  return (
    catalog.find((record) => record.name === name) ??
    readImported(home).records.find((record) => record.name === name)
  );
}

/** The model that runs where none is named: the catalog's first for that task. */
export function defaultModel(wanted: Task): string {
  return catalog.find(({ task }) => task === wanted)?.name ?? '';
}
