import { LIMITS } from './architecture.ts';
import { ImportError, parseJson } from './checkpoint_file.ts';
import { isObject } from './json_fields.ts';
import type { Label } from './labels.ts';

/**
 * Labels of names by id, in the order of the ids.
 * @param where the file, and the place in it, that errors name
 * @throws ImportError where an id is no whole number, or a name is empty or none
 */
export function labelsById(
  entries: readonly (readonly [id: unknown, name: unknown])[],
  where: string,
): Label[] {
  const labels = entries.map(([id, label]): Label => {
    // Number('') is 0.
    const classId = typeof id === 'string' && id.trim() === '' ? Number.NaN : Number(id);
    const named = (typeof label === 'string' && label !== '') || typeof label === 'number';
    if (!Number.isInteger(classId) || classId < 0 || classId > LIMITS.classes[1] || !named) {
      throw new ImportError(
        `${where}: a label must be a name with a whole number as its id (0 to ${LIMITS.classes[1]}), not ${JSON.stringify([id, label])}`,
      );
    }
    return { classId, label: String(label) };
  });
  return labels.sort((a, b) => a.classId - b.classId);
}

/**
 * Labels out of a file: a JSON array, a JSON object of names by id, or one name a line.
 * @param first the id of the first where the file gives none
 * @throws ImportError where it holds something else
 */
export function parseLabels(text: string, first: number, path: string): Label[] {
  let named: [unknown, unknown][];
  if (/^\s*[[{]/.test(text)) {
    const json = parseJson(text, path);
    named = isObject(json) ? Object.entries(json) : listed(json as readonly unknown[], first);
  } else {
    const lines = text.split(/\r?\n/).map((line) => line.trim());
    named = listed(
      lines.filter((line) => line !== ''),
      first,
    );
  }
  if (named.length === 0) throw new ImportError(`${path} holds no labels`);
  return labelsById(named, path);
}

const listed = (names: readonly unknown[], first: number) =>
  names.map((label, index): [number, unknown] => [first + index, label]);
