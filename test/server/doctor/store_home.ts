// A store of its own for each test of a file.
import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before } from 'node:test';
import { catalog } from '../../../server/zoo/catalog.ts';

/** A model whose weights come with the package. */
export const shipped =
  catalog.find(({ source }) => source.kind === 'package') ?? assert.fail('no weights come with it');

/** Makes the folders' folder before the tests of the file that calls this, and removes it after them. @returns what makes an empty one */
export function emptyHomes(): () => Promise<string> {
  let folder: string;
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'thinlens-doctor-'));
  });
  after(() => rm(folder, { recursive: true, force: true }));
  let homes = 0;
  return async () => {
    homes += 1;
    const home = join(folder, `home-${homes}`);
    await mkdir(home);
    return home;
  };
}
