import { Command, Option } from 'commander';
import type { HeadName } from '../../heads/model.ts';
import { backbones } from '../../models/backbones/registry.ts';
import type { InputSize } from '../../models/graph/image_input.ts';
import { MINUS_ONE_TO_ONE } from '../../models/graph/image_input.ts';
import { nameMaps } from '../../models/weights/maps/maps.ts';
import { BATCH_COUNTERS, IMAGENET_NORMALIZATION } from '../../models/weights/maps/name_map.ts';
import { quote } from '../../models/weights/quote.ts';
import { trialRun } from '../inference/trial.ts';
import { readSettings } from '../settings.ts';
import { LIMITS } from '../zoo/architecture.ts';
import { catalog } from '../zoo/catalog.ts';
import { removeImported } from '../zoo/imported.ts';
import type { Imported, ImportRequest } from '../zoo/importer.ts';
import { importModel } from '../zoo/importer.ts';
import { EPSILON } from '../zoo/network_facts.ts';
import { TASK_OF_HEAD } from '../zoo/record.ts';
import { ModelStore } from '../zoo/store.ts';
import { CommandError, numberBetween, resolutionOf } from './arguments.ts';

const NORMALIZATIONS = { imagenet: IMAGENET_NORMALIZATION, minus_one_to_one: MINUS_ONE_TO_ONE } as const;
/** No more names of left-out tensors than this are printed. */
const MOST_NAMED = 8;

interface Options {
  readonly name?: string;
  readonly backbone?: string;
  readonly head?: HeadName;
  readonly width?: number;
  readonly outputStride?: string;
  readonly resolution?: InputSize;
  readonly labels?: string;
  readonly map?: string;
  readonly config?: string;
  readonly padding?: 'same' | 'symmetric';
  readonly epsilon?: number;
  readonly headPadding?: 'same' | 'symmetric';
  readonly headEpsilon?: number;
  readonly normalization?: keyof typeof NORMALIZATIONS;
  readonly licence?: string;
  readonly force?: boolean;
  readonly remove?: string;
  readonly json?: boolean;
}

/** `thinlens import FILE --name NAME`: a checkpoint of one's own becomes a model. */
export function importCommand(): Command {
  const choice = (flags: string, about: string, values: readonly string[]) =>
    new Option(flags, about).choices(values);
  const epsilon = (flag: string) => numberBetween(flag, ...EPSILON);
  return new Command('import')
    .description(
      'Read a checkpoint (safetensors, PyTorch, TF.js) into a network, check it, and keep it as a model.',
    )
    .argument(
      '[file]',
      'NAME.safetensors, .pth or .pt, or a TF.js model.json; what lies beside it is read too',
    )
    .option('--name <name>', 'what the model will be called: a to z, 0 to 9 and _')
    .addOption(
      choice(
        '--backbone <name>',
        'network of the registry',
        backbones().map(({ name }) => name),
      ),
    )
    .addOption(
      choice('--head <head>', 'default: the one that the tensors are for', Object.keys(TASK_OF_HEAD)),
    )
    .option('--width <w>', 'width multiplier (default: 1)', numberBetween('--width', ...LIMITS.width))
    .addOption(choice('--output-stride <s>', 'input pixels to a cell of the last map', ['8', '16', '32']))
    .option('--resolution <n|HxW>', 'input size in pixels', resolutionOf)
    .option('--labels <file>', 'class names: one a line, a JSON array, or a JSON object by id')
    .addOption(
      choice(
        '--map <map>',
        'who named the tensors; default: recognised',
        nameMaps.map(({ name }) => name),
      ),
    )
    .option('--config <file>', "config.json of timm or transformers, or the training kit's record")
    .addOption(choice('--padding <mode>', 'of the backbone, as it was trained', ['same', 'symmetric']))
    .option('--epsilon <e>', "of the backbone's batch normalisations", epsilon('--epsilon'))
    .addOption(choice('--head-padding <mode>', 'of the head', ['same', 'symmetric']))
    .option('--head-epsilon <e>', "of the head's batch normalisations", epsilon('--head-epsilon'))
    .addOption(
      choice('--normalization <kind>', 'of the pixels, as it was trained', Object.keys(NORMALIZATIONS)),
    )
    .option('--licence <text>', 'licence of the weights')
    .option('--force', 'replace an imported model of that name')
    .option('--remove <name>', 'forget an imported model instead')
    .option('--json', 'print one JSON object')
    .action(run);
}

async function run(file: string | undefined, options: Options): Promise<void> {
  const { home, threads } = readSettings({}, process.env);
  const store = new ModelStore(home);
  if (options.remove !== undefined) {
    if (file !== undefined) throw new CommandError('--remove takes a name, and no file');
    await remove(options.remove, store);
    return;
  }
  if (file === undefined) throw new CommandError('import needs a file, or --remove and a name');
  if (options.name === undefined)
    throw new CommandError('import needs --name: what the model will be called');
  const imported = await importModel(requestOf(file, options.name, options), store, {
    trial: (onnx, size) => trialRun(onnx, size, threads),
    note: (sentence) => console.error(`thinlens: ${sentence}`),
  });
  report(imported, options.json ?? false);
}

/** The options that were given, and no others. */
function requestOf(file: string, name: string, options: Options): ImportRequest {
  const { resolution: size, outputStride, normalization, labels: labelsFile, ...same } = options;
  const { remove: _remove, json: _json, ...rest } = same;
  return {
    ...rest,
    file,
    name,
    ...(size && { size }),
    ...(outputStride && { outputStride: Number(outputStride) }),
    ...(normalization && { normalization: NORMALIZATIONS[normalization] }),
    ...(labelsFile !== undefined && { labelsFile }),
  };
}

async function remove(name: string, store: ModelStore): Promise<void> {
  if (!(await removeImported(store.home, name))) {
    const why = catalog.some((record) => record.name === name) ? 'it is one of the catalog' : 'there is none';
    throw new CommandError(`no imported model '${name}' can be removed: ${why}`);
  }
  await store.forget(name);
  console.log(`${name} is removed`);
}

function report({ record, cost, taken, wrapped, recognised, described }: Imported, json: boolean): void {
  const { name, task, head, backbone, width, outputStride, input, source, licence, classColumns } = record;
  const { parameters, madds } = cost;
  if (json) {
    const { map, leftOut, bytes, sha256 } = source;
    console.log(
      JSON.stringify(
        {
          name,
          task,
          head,
          backbone,
          width,
          output_stride: outputStride,
          input,
          class_columns: classColumns,
          map,
          tensors: taken,
          left_out: leftOut,
          data_parallel: wrapped,
          described_by: described ?? null,
          parameters,
          madds,
          size_bytes: bytes,
          sha256,
          licence,
        },
        null,
        2,
      ),
    );
    return;
  }
  const lines = [
    `${name}: ${head} on ${backbone} ${width}, output stride ${outputStride}, input ${input.height}x${input.width}, ${classColumns} class columns`,
    ...(described === undefined ? [] : [`described by ${described}`]),
    `names: ${source.map}${recognised ? ' (recognised)' : ''}${wrapped ? ", DataParallel's prefix 'module.' taken off" : ''}`,
    `tensors: ${taken} taken, ${source.leftOut.length} left out${summary(source.leftOut)}`,
    `parameters: ${(parameters / 1e6).toFixed(3)} M, MAdds: ${(madds / 1e6).toFixed(1)} M`,
    `licence: ${licence}`,
    task === 'detection'
      ? `ready: thinlens detect --model ${name} PHOTO, or thinlens serve`
      : task === 'segmentation'
        ? `ready: thinlens segment --model ${name} PHOTO --out DIR, or thinlens serve`
        : `ready: thinlens run ${name} --input IN.safetensors --out OUT.safetensors`,
  ];
  console.log(lines.join('\n'));
}

/** Which tensors were left out: those of one kind are counted. */
function summary(leftOut: readonly string[]): string {
  if (leftOut.length === 0) return '';
  const counters = leftOut.filter((name) => BATCH_COUNTERS.test(name));
  const others = leftOut.filter((name) => !BATCH_COUNTERS.test(name));
  const parts = others.slice(0, MOST_NAMED).map(quote);
  if (others.length > MOST_NAMED) parts.push(`${others.length - MOST_NAMED} more`);
  if (counters.length > 0) parts.push(`${counters.length} num_batches_tracked`);
  return `: ${parts.join(', ')}`;
}
