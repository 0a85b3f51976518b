import { randomBytes } from 'node:crypto';
import { link, open, readFile, rename, rm, stat, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { ImportError } from './checkpoint_file.ts';
import { ABANDONED_AFTER_MS, importedFolder, makeFolder } from './files.ts';

/**
 * Does `work` while nobody else imports or removes a model of that name, in this process or another.
 * @throws ImportError where somebody else does; then nothing was done
 */
export async function withLock<Result>(
  home: string,
  name: string,
  work: () => Promise<Result>,
): Promise<Result> {
  await makeFolder(importedFolder(home));
  const path = join(importedFolder(home), `${name}.lock`);
  const owner = `${process.pid}-${randomBytes(8).toString('hex')}\n`;
  if (!(await taken(path, owner)) && !((await cleared(path)) && (await taken(path, owner)))) {
    throw new ImportError(
      `'${name}' is being imported or removed by another process: wait for it, or remove ${path} if there is none`,
    );
  }
  // A lock that is in use stays young.
  const beat = setInterval(() => {
    const now = new Date();
    utimes(path, now, now).catch(() => {});
  }, ABANDONED_AFTER_MS / 10);
  beat.unref();
  try {
    return await work();
  } finally {
    clearInterval(beat);
    if ((await readFile(path, 'utf8').catch(() => '')) === owner) await rm(path, { force: true });
  }
}

/** Whether the lock was free and is now the owner's. */
async function taken(path: string, owner: string): Promise<boolean> {
  try {
    const file = await open(path, 'wx');
    await file.writeFile(owner).finally(() => file.close());
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}

const isAbandoned = async (path: string): Promise<boolean> => {
  const info = await stat(path).catch(() => undefined);
  return info !== undefined && Date.now() - info.mtimeMs > ABANDONED_AFTER_MS;
};

/** Removes a lock whose owner died. @returns whether it was one */
async function cleared(path: string): Promise<boolean> {
  if (!(await isAbandoned(path))) return false;
  // Two may find it abandoned: who renames it must look again at what was renamed, which may be the other's new lock.
  const aside = `${path}.${process.pid}-${randomBytes(4).toString('hex')}.tmp`;
  try {
    await rename(path, aside);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return true;
    throw error;
  }
  const abandoned = await isAbandoned(aside);
  if (!abandoned) await link(aside, path).catch(() => {});
  await rm(aside, { force: true });
  return abandoned;
}
