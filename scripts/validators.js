// Writes dist/server/zoo/validators.cjs: what the schemas of the store's files say, as plain functions. Compiling a schema when a process
// starts takes ajv's eighty modules and a tenth of a second, which the server and each worker would wait for.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

/** @param {string} dist the folder that TypeScript was compiled to */
export async function writeValidators(dist) {
  const [{ Ajv2020 }, { default: standalone }, { fileSchemas }] = await Promise.all([
    import('ajv/dist/2020.js'),
    import('ajv/dist/standalone/index.js'),
    import(pathToFileURL(join(dist, 'server', 'zoo', 'file_schemas.js')).href),
  ]);
  const ajv = new Ajv2020({
    strict: true,
    strictTypes: false,
    schemas: Object.entries(fileSchemas).map(([name, schema]) => ({ $id: name, ...schema })),
    code: { source: true },
  });
  const names = Object.fromEntries(Object.keys(fileSchemas).map((name) => [name, name]));
  writeFileSync(join(dist, 'server', 'zoo', 'validators.cjs'), standalone.default(ajv, names));
}
