import { writeFile } from 'node:fs/promises';
import { basename } from 'node:path';
import { Command } from 'commander';
import { GraphError } from '../../models/graph/graph.ts';
import { quote, shapeText } from '../../models/weights/quote.ts';
import { readSafetensors, writeSafetensors } from '../../models/weights/safetensors.ts';
import type { RunInput } from '../inference/network_run.ts';
import { runNetwork } from '../inference/network_run.ts';
import { readSettings } from '../settings.ts';
import { readBounded } from '../zoo/checkpoint_file.ts';
import { loadWeights } from '../zoo/weights.ts';
import { CommandError } from './arguments.ts';
import { namedRecord } from './open_model.ts';

const MAX_INPUT_BYTES = 512 * 1024 * 1024;
const MAX_SIDE = 4096;
/** No more names of tensors than this are printed. */
const MOST_NAMED = 10;

interface Options {
  readonly input: string;
  readonly out: string;
  readonly taps?: string;
  readonly json?: boolean;
}

/** `thinlens run MODEL`: a network on tensors, with any of its values, for comparing it with another implementation. */
export function runCommand(): Command {
  return new Command('run')
    .description('Run a network on tensors and write its outputs, and values inside it, to a file.')
    .argument('<model>', 'catalogued or imported')
    .requiredOption(
      '--input <file>',
      'safetensors with `input`, float32 [N, 3, H, W] normalised as in training, or `pixels`, uint8 [N, H, W, 3]',
    )
    .requiredOption('--out <file>', 'safetensors to write, float32')
    .option('--taps <names>', 'also these values, layers or blocks, separated by commas')
    .option('--json', 'print one JSON object')
    .action(run);
}

async function run(model: string, { input: path, out, taps = '', json }: Options): Promise<void> {
  const { home, threads } = readSettings({}, process.env);
  const record = namedRecord(model, home);
  const input = readInput(await readBounded(path, MAX_INPUT_BYTES), basename(path));
  const wanted = taps
    .split(',')
    .map((tap) => tap.trim())
    .filter((tap) => tap !== '');
  const weights = await loadWeights(record, home);
  const results = await runNetwork(record, weights, input, { taps: wanted, threads }).catch((error) => {
    if (!(error instanceof GraphError || error instanceof RangeError)) throw error;
    throw new CommandError(`${model} cannot run on an input of ${input.shape.join(' x ')}: ${error.message}`);
  });
  await writeFile(out, writeSafetensors(results, { metadata: { model } }));
  const outputs = [...results].map(([name, { shape }]) => ({ name, shape }));
  if (json) console.log(JSON.stringify({ model, input: input.shape, out, outputs }, null, 2));
  else for (const { name, shape } of outputs) console.log(`${name}  [${shape.join(', ')}]`);
}

/** @throws CommandError, or WeightsError where the file is no safetensors */
function readInput(bytes: Uint8Array, file: string): RunInput {
  const { tensors, dtypes } = readSafetensors(bytes, file);
  const [input, pixels] = [tensors.get('input'), tensors.get('pixels')];
  if (input && pixels) throw new CommandError(`${file} holds both 'input' and 'pixels': which is meant?`);
  if (input) {
    checkShape(input.shape, 1, `${file}: 'input'`, '[N, 3, height, width]');
    const dtype = dtypes.get('input');
    if (dtype !== 'F32') throw new CommandError(`${file}: 'input' is of type ${dtype}, and must be F32`);
    return { kind: 'tensor', ...input };
  }
  if (pixels) {
    checkShape(pixels.shape, 3, `${file}: 'pixels'`, '[N, height, width, 3]');
    const data = Uint8Array.from(pixels.data);
    if (data.some((value, index) => value !== pixels.data[index])) {
      throw new CommandError(`${file}: 'pixels' must be whole numbers from 0 to 255, as U8 (or F32)`);
    }
    return { kind: 'pixels', shape: pixels.shape, data };
  }
  const names = [...tensors.keys()].slice(0, MOST_NAMED).map(quote);
  if (tensors.size > names.length) names.push(`${tensors.size - names.length} more`);
  throw new CommandError(
    `${file} holds ${names.join(', ') || 'nothing'}: there must be 'input', float32 [N, 3, height, width], or 'pixels', uint8 [N, height, width, 3]`,
  );
}

function checkShape(shape: readonly number[], channels: number, what: string, wanted: string): void {
  const sides = shape.slice(1).filter((_, index) => index + 1 !== channels);
  if (shape.length !== 4 || shape[channels] !== 3 || (shape[0] ?? 0) < 1) {
    throw new CommandError(`${what} is ${shapeText(shape)}, and must be ${wanted}`);
  }
  if (sides.some((side) => side < 1 || side > MAX_SIDE)) {
    throw new CommandError(`${what} is ${shapeText(shape)}: height and width go from 1 to ${MAX_SIDE}`);
  }
}
