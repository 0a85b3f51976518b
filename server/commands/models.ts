import { readdir } from 'node:fs/promises';
import { basename } from 'node:path';
import Table from 'cli-table3';
import { Command } from 'commander';
import { readSettings } from '../settings.ts';
import { readImported } from '../zoo/imported.ts';
import { costOf } from '../zoo/network.ts';
import { readQuantization } from '../zoo/quantization.ts';
import type { ModelRecord } from '../zoo/record.ts';
import { describeSource } from '../zoo/record.ts';
import { records } from '../zoo/records.ts';
import { compiledFolder, ModelStore } from '../zoo/store.ts';
import { locateWeights, ModelUnavailableError } from '../zoo/weights.ts';

/** `thinlens models`: what can be served on this machine. */
export function modelsCommand(): Command {
  return new Command('models')
    .description(
      'List the models: task, state (compiled; available, to be compiled when first used; unavailable, and why), parameters, MAdds, size, source.',
    )
    .option('--json', 'print one JSON object')
    .action(async ({ json }: { json?: boolean }) => {
      const store = new ModelStore(readSettings({}, process.env).home);
      const rows = await Promise.all(records(store.home).map((record) => describe(record, store)));
      for (const fault of readImported(store.home).faults) console.error(`thinlens: ${fault}`);
      if (json) {
        console.log(JSON.stringify({ models: rows }, null, 2));
        return;
      }
      const table = new Table({
        head: ['name', 'task', 'state', 'params', 'MAdds', 'accuracy', 'size', 'source'],
        style: { head: [], border: [] },
      });
      for (const { name, task, state, reason, parameters, madds, accuracy, size_bytes, source } of rows) {
        table.push([
          name,
          task,
          reason ? `${state}: ${reason}` : state,
          `${(parameters / 1e6).toFixed(3)} M`,
          `${(madds / 1e6).toFixed(1)} M`,
          accuracy ? `${accuracy.metric} ${(100 * accuracy.value).toFixed(1)}` : '',
          `${(size_bytes / 1e6).toFixed(1)} MB`,
          source,
        ]);
      }
      console.log(table.toString());
    });
}

/** `compiled`: in the store. `available`: its weights are here, the first use compiles them. `unavailable`: they are not. */
type State = 'compiled' | 'available' | 'unavailable';

async function describe(record: ModelRecord, store: ModelStore) {
  const { name, title, task, source, accuracy, licence } = record;
  const { madds, parameters, parametersFolded } = costOf(record);
  let state: State = 'available';
  let reason: string | undefined;
  try {
    await locateWeights(record, store.home);
    if (await isCompiled(record, store)) state = 'compiled';
  } catch (error) {
    if (!(error instanceof ModelUnavailableError)) throw error;
    state = 'unavailable';
    reason = error.message;
  }
  return {
    name,
    title,
    task,
    state,
    ...(reason && { reason }),
    parameters,
    parameters_folded: parametersFolded,
    madds,
    size_bytes: source.bytes,
    ...(accuracy && { accuracy }),
    licence,
    source: describeSource(source),
  };
}

/** In whichever precision and form. */
async function isCompiled(record: ModelRecord, store: ModelStore): Promise<boolean> {
  // One that cannot be read is not what int8 was made from, either.
  const quantization = await readQuantization(record, store.home).catch(() => undefined);
  const paths = [store.pathOf(record), store.pathOf(record, quantization?.sha256)];
  const files = await readdir(compiledFolder(store.home)).catch(() => []);
  return paths.some((path) => files.some((file) => file.startsWith(basename(path, 'onnx'))));
}
