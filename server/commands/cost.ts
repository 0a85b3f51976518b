import { Command, Option } from 'commander';
import { HEADS } from '../../heads/model.ts';
import { backbones } from '../../models/backbones/registry.ts';
import { guidelines } from '../../models/graph/guidelines.ts';
import type { InputSize } from '../../models/graph/image_input.ts';
import { DEFAULT_SLICES } from '../../models/graph/peak_memory.ts';
import type { Architecture, ArchitectureRequest } from '../zoo/architecture.ts';
import { ArchitectureError, architectureOf, graphOf, LIMITS } from '../zoo/architecture.ts';
import { describeBackbone, describeNetwork } from '../zoo/backbone_description.ts';
import { CommandError, numberBetween, resolutionOf } from './arguments.ts';
import type { CountedNetwork } from './cost_tables.ts';
import { layersCsv, networksCsv, networksTable, networkText } from './cost_tables.ts';

interface Options {
  readonly all?: boolean;
  readonly width?: number;
  readonly resolution?: InputSize;
  readonly outputStride?: string;
  readonly head?: string;
  readonly classes?: number;
  readonly elementBytes: string;
  readonly slices: number;
  readonly layers?: boolean;
  readonly guidelines?: boolean;
  readonly json?: boolean;
  readonly csv?: boolean;
}

const HEAD_HELP = Object.entries(HEADS)
  .map(([name, { resolution, classes }]) => `${name} (${resolution}x${resolution}, ${classes} classes)`)
  .join(', ');

/** `thinlens cost [BACKBONE]`: work, weights and memory of networks, counted; nothing runs and no weights are needed. */
export function costCommand(): Command {
  return new Command('cost')
    .description(
      'Count MAdds, parameters and memory of a network, or of every backbone at each of its published widths.\n' +
        'MAdds are multiply-accumulates of convolution and fully connected layers for one image.',
    )
    .argument(
      '[backbone]',
      `one of ${backbones()
        .map(({ name }) => name)
        .join(', ')}; without it, all`,
    )
    .option('--all', 'every backbone, as without BACKBONE')
    .option(
      '--width <multiplier>',
      'width multiplier; default 1, or with --all each published one',
      numberBetween('--width', ...LIMITS.width),
    )
    .option('--resolution <N|HxW>', "input in pixels; default the head's", resolutionOf)
    .addOption(
      new Option(
        '--output-stride <stride>',
        "input pixels to a cell of the last map; default the backbone's largest, 16 for deeplabv3",
      ).choices(['8', '16', '32']),
    )
    .addOption(
      new Option('--head <name>', `default classifier; with their own defaults ${HEAD_HELP}`).choices(
        Object.keys(HEADS),
      ),
    )
    .option(
      '--classes <n>',
      "columns of the predictions, with the background where the head has one; default the head's",
      numberBetween('--classes', ...LIMITS.classes, true),
    )
    .addOption(
      new Option('--element-bytes <n>', 'what a weight or activation takes: 4 fp32, 2 fp16, 1 int8')
        .choices(['1', '2', '4'])
        .default('4'),
    )
    .option(
      '--slices <n>',
      'into how many slices of its channels a block divides its inner values (peak memory by blocks)',
      numberBetween('--slices', 1, 64, true),
      DEFAULT_SLICES,
    )
    .option('--layers', 'also layer by layer')
    .option(
      '--guidelines',
      "also ShuffleNetV2's four guidelines: what in the network makes it slower than its MAdds say",
    )
    .addOption(new Option('--json', 'print one JSON object').conflicts('csv'))
    .addOption(new Option('--csv', 'print CSV: a line a network, or with --layers a line a layer'))
    .action(cost);
}

function cost(name: string | undefined, options: Options): void {
  if (name !== undefined && options.all)
    throw new CommandError('--all counts every backbone: leave BACKBONE out');
  const { width, resolution: size, outputStride, head, classes } = options;
  const request = {
    width,
    size,
    outputStride: outputStride === undefined ? undefined : Number(outputStride),
    head,
    classes,
  };
  if (name === undefined) costOfAll(request, options);
  else costOfOne({ ...request, backbone: name }, options);
}

function costOfOne(request: ArchitectureRequest, options: Options): void {
  const architecture = explained(() => architectureOf(request));
  const counted = explained(() => count(architecture, options));
  if (options.csv) {
    process.stdout.write(options.layers ? layersCsv(counted) : networksCsv([counted]));
  } else if (options.json) {
    const { network, layers, guidelines: report } = counted;
    const shown = {
      ...describeBackbone(architecture.backbone),
      network,
      ...(options.layers && { layers }),
      ...(report && { guidelines: inSnakeCase(report) }),
    };
    console.log(JSON.stringify(shown, null, 2));
  } else {
    console.log(networkText(counted, options));
  }
}

function costOfAll(request: Omit<ArchitectureRequest, 'backbone'>, options: Options): void {
  if (options.layers) throw new CommandError('--layers needs one BACKBONE');
  const leftOut = new Map<string, string[]>();
  const counted = backbones().flatMap(({ name, widths }) => {
    try {
      return (request.width === undefined ? widths : [request.width]).map((width) =>
        count(architectureOf({ ...request, backbone: name, width }), options),
      );
    } catch (error) {
      // What one backbone cannot be does not hide the others.
      if (!(error instanceof ArchitectureError)) throw error;
      const parameter = nameOf(error);
      leftOut.set(parameter, [...(leftOut.get(parameter) ?? []), name]);
      return [];
    }
  });
  for (const [parameter, names] of leftOut) {
    console.error(
      `thinlens: left out because of ${parameter}: ${names.join(', ')}; asked for alone, each says why`,
    );
  }
  if (options.csv) {
    process.stdout.write(networksCsv(counted));
  } else if (options.json) {
    const networks = counted.map(({ architecture, network, guidelines: report }) => ({
      backbone: architecture.backbone.name,
      ...network,
      ...(report && { guidelines: inSnakeCase(report) }),
    }));
    console.log(JSON.stringify({ networks }, null, 2));
  } else {
    console.log(networksTable(counted, options));
  }
}

function count(
  architecture: Architecture,
  { elementBytes, slices, guidelines: wanted }: Options,
): CountedNetwork {
  const description = describeNetwork(architecture, { elementBytes: Number(elementBytes), slices });
  const report = wanted ? guidelines(graphOf(architecture)) : undefined;
  return { architecture, ...description, ...(report && { guidelines: report }) };
}

/** The report with its keys as everything else that is printed as JSON has them. */
function inSnakeCase(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(inSnakeCase);
  if (typeof value !== 'object' || value === null) return value;
  const named = Object.entries(value).map(([key, each]) => [
    key.replaceAll(/[A-Z]/g, (capital) => `_${capital.toLowerCase()}`),
    inSnakeCase(each),
  ]);
  return Object.fromEntries(named);
}

/** The options' names on the command line, where they are others than in the code. */
const OPTION_NAMES: Readonly<Record<string, string>> = {
  outputStride: '--output-stride',
  backbone: 'BACKBONE',
};

const nameOf = ({ parameter }: ArchitectureError) => OPTION_NAMES[parameter] ?? `--${parameter}`;

/** What `make` returns. @throws CommandError naming the option that a network cannot have */
function explained<Result>(make: () => Result): Result {
  try {
    return make();
  } catch (error) {
    if (!(error instanceof ArchitectureError)) throw error;
    throw new CommandError(`${nameOf(error)} ${error.requirement}`);
  }
}
