// Compiles every catalogued model, in fp32 and in int8, into the store THINLENS_HOME, as sessions are opened from it.
//   THINLENS_HOME=DIR node scripts/image/compile.js FOLDER     FOLDER holds the built server
import { readdirSync, rmSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';

const from = (file) => import(pathToFileURL(resolve(process.argv[2], 'dist/server', file)).href);
const { catalog } = await from('zoo/catalog.js');
const { ModelStore } = await from('zoo/store.js');
const { optimizedForm } = await from('inference/optimized_form.js');

const home = process.env.THINLENS_HOME;
const store = new ModelStore(home);
const wanted = new Set();
for (const record of catalog) {
  // It will run on CPUs with and without instructions for products of bytes.
  for (const [precision, narrowSums] of [
    ['fp32', false],
    ['int8', false],
    ['int8', process.arch === 'x64'],
  ]) {
    const { path } = await store.formed(record, precision, optimizedForm(narrowSums));
    if (!path.includes('.ort')) throw new Error(`${record.name} could not be optimised in ${precision}`);
    wanted.add(path).add(`${path}.sha256`);
  }
}
// What the forms were made from is not opened again.
for (const file of readdirSync(join(home, 'compiled'))) {
  const path = join(home, 'compiled', file);
  if (!wanted.has(path)) rmSync(path);
}
