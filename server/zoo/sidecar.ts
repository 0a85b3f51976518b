import { existsSync } from 'node:fs';
import { basename, dirname, extname, join, resolve } from 'node:path';
import { ImportError, readJson } from './checkpoint_file.ts';
import { configurations } from './configurations.ts';
import { isObject } from './json_fields.ts';
import type { NetworkFacts } from './network_facts.ts';

/** What was asked for of the network, by the options that asked. */
export type Asked = Pick<NetworkFacts, 'backbone' | 'head' | 'map'>;

/** What a JSON file says of a network. Nothing, if it is of no kind that is known. */
type Found =
  | { readonly facts: NetworkFacts; readonly contradiction?: undefined }
  | { readonly contradiction: string };

function factsOf(json: unknown, path: string, asked: Asked): Found | undefined {
  if (!isObject(json)) return undefined;
  for (const { subject, read } of configurations) {
    const said = subject(json);
    if (!said) continue;
    const contradiction = contradictionOf(said, asked);
    // What is not about this checkpoint is not read: its other fields may be whatever they are.
    return contradiction === undefined
      ? { facts: { ...read(json, path), described: path } }
      : { contradiction };
  }
  return undefined;
}

/** In which the file and the options contradict each other. */
function contradictionOf(said: Asked, asked: Asked): string | undefined {
  const wrong = (['backbone', 'head', 'map'] as const).find(
    (key) => asked[key] !== undefined && said[key] !== undefined && asked[key] !== said[key],
  );
  if (wrong === undefined) return undefined;
  const what = wrong === 'map' ? `a checkpoint of ${said.map}` : `the ${wrong} ${said[wrong]}`;
  return `describes ${what}, and --${wrong} is ${asked[wrong]}`;
}

/**
 * What is known of a checkpoint from a JSON file: `config` if given, else NAME.json or config.json beside it. One that
 * lies there and cannot be about this checkpoint is passed over.
 * @param note is told of each file that was passed over, and why
 * @throws ImportError where `config` is of no kind that is known or contradicts `asked`, or a file describes what cannot be built
 */
export async function sidecarFacts(
  checkpoint: string,
  config: string | undefined,
  asked: Asked,
  note: (sentence: string) => void,
): Promise<NetworkFacts> {
  if (config !== undefined) {
    const found = factsOf(await readJson(config), config, asked);
    if (!found) {
      throw new ImportError(
        `${config} is neither a config.json of timm or of transformers' MobileNetV2 nor a record of the training kit`,
      );
    }
    if (found.contradiction !== undefined) throw new ImportError(`${config} ${found.contradiction}`);
    return found.facts;
  }
  const folder = dirname(checkpoint);
  const own = `${basename(checkpoint, extname(checkpoint))}.json`;
  for (const name of [own, 'config.json']) {
    const path = join(folder, name);
    if (resolve(path) === resolve(checkpoint) || !existsSync(path)) continue;
    let json: unknown;
    try {
      json = await readJson(path);
    } catch (error) {
      if (!(error instanceof ImportError)) throw error;
      note(`${error.message}: it is not read as a description of ${basename(checkpoint)}`);
      continue;
    }
    const found = factsOf(json, path, asked);
    if (found && found.contradiction === undefined) return found.facts;
    if (found)
      note(`${path} ${found.contradiction}: it is not read as a description of ${basename(checkpoint)}`);
  }
  return {};
}
