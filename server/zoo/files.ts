import { createHash, randomBytes } from 'node:crypto';
import { access, mkdir, open, readdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';

/** A temporary file or a lock this old was left by a process that died. */
export const ABANDONED_AFTER_MS = 10 * 60 * 1000;

/** The store's folder of imported models: NAME.json is a record, NAME-HASH.safetensors its weights. */
export const importedFolder = (home: string): string => join(home, 'imported');

/** The store's folder of what int8 is made from: NAME.json. */
export const quantizedFolder = (home: string): string => join(home, 'quantized');

/** SHA-256 in hexadecimal digits. */
export const sha256Of = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

/**
 * Makes a folder, and those that it lies in. Node's own recursive mkdir never ends where the system says that a folder that is
 * there is not, as /proc does.
 */
export async function makeFolder(path: string): Promise<void> {
  try {
    await mkdir(path);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EEXIST' && (await stat(path)).isDirectory()) return;
    if (code !== 'ENOENT') throw error;
    const parent = dirname(path);
    if (!(await isThere(parent))) await makeFolder(parent);
    await mkdir(path).catch((again: NodeJS.ErrnoException) => {
      if (again.code !== 'EEXIST') throw again;
    });
  }
}

const isThere = (path: string): Promise<boolean> =>
  access(path).then(
    () => true,
    () => false,
  );

/** Writes to a temporary name in the same folder, reads it back, and renames: a reader sees the old file or the whole new one. */
export async function writeAtomically(path: string, bytes: Uint8Array): Promise<void> {
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

/** Removes from `folder` what processes that died while writing have left. */
export async function sweep(folder: string): Promise<void> {
  for (const name of await readdir(folder)) {
    if (!name.endsWith('.tmp')) continue;
    const info = await stat(join(folder, name)).catch(() => undefined);
    if (info && Date.now() - info.mtimeMs > ABANDONED_AFTER_MS) await rm(join(folder, name), { force: true });
  }
}
