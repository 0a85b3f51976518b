import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { access, constants, mkdtemp, rmdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';

const NOBODY = 65534;

/** What `look` returns while this process may read a folder and may not write to it; the one that it lies in is opened to all. */
export async function withoutRights<Result>(folder: string, look: () => Promise<Result>): Promise<Result> {
  const isRoot = process.geteuid?.() === 0;
  execFileSync('chmod', ['a+rx', dirname(folder)]);
  execFileSync('chmod', ['-R', 'a+rX,a-w', folder]);
  // Who may do anything may write there all the same.
  if (isRoot) process.seteuid?.(NOBODY);
  try {
    await access(folder, constants.R_OK | constants.X_OK);
    await assert.rejects(mkdtemp(join(folder, 'x')).then(rmdir), { code: 'EACCES' });
    return await look();
  } finally {
    if (isRoot) process.seteuid?.(0);
    execFileSync('chmod', ['-R', 'u+w', folder]);
  }
}
