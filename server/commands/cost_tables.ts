import Table from 'cli-table3';
import { HEADS } from '../../heads/model.ts';
import type { Guidelines } from '../../models/graph/guidelines.ts';
import type { Architecture } from '../zoo/architecture.ts';
import type { NetworkDescription } from '../zoo/backbone_description.ts';
import { toCsv } from './csv.ts';
import { guidelinesText } from './guidelines_text.ts';

/** A network with all that was counted of it. */
export interface CountedNetwork extends NetworkDescription {
  readonly architecture: Architecture;
  readonly guidelines?: Guidelines;
}

export interface TextOptions {
  readonly layers?: boolean;
  readonly slices: number;
  readonly elementBytes: string;
}

const millions = (count: number) => `${(count / 1e6).toFixed(count < 1e7 ? 3 : 1)} M`;
const megabytes = (bytes: number) => `${(bytes / 1e6).toFixed(2)} MB`;
const kilobytes = (bytes: number) => (bytes / 1e3).toFixed(1);
const PLAIN = { head: [], border: [], compact: true };

/** One network in words, with its layers and guidelines where they are wanted. */
export function networkText(counted: CountedNetwork, options: TextOptions): string {
  const { architecture, network, guidelines } = counted;
  const { backbone, width, size, outputStride, head, classes } = architecture;
  const { memory_access: access, peak_memory: peak } = network;
  const lines = [
    `${backbone.title} ${width} (${backbone.name}), ${HEADS[head].title} with ${classes} classes, ${size.height}x${size.width}, output stride ${outputStride}`,
    '',
    `MAdds            ${millions(network.madds)}`,
    `parameters       ${millions(network.parameters)}, ${millions(network.parameters_folded)} with batch normalisation folded`,
    `memory access    ${megabytes(access.total_bytes)}: weights ${megabytes(access.weight_bytes)}, activations read ${megabytes(access.read_bytes)}, written ${megabytes(access.written_bytes)}`,
    `peak activations ${megabytes(peak.layers.bytes)} in ${peak.layers.at}, inputs and output of one layer`,
    `                 ${megabytes(peak.blocks.bytes)} in ${peak.blocks.at}, blocks as one operator in ${options.slices} slices`,
    `                 ${megabytes(peak.scheduled.bytes)} in ${peak.scheduled.at}, every value kept until its last reader`,
    '',
    `One image, ${options.elementBytes} bytes an element, MB = 1 000 000 bytes.`,
  ];
  if (guidelines) lines.push('', guidelinesText(guidelines));
  if (options.layers) lines.push('', layersTable(counted));
  return lines.join('\n');
}

function layersTable({ layers }: CountedNetwork): string {
  const table = new Table({
    head: ['layer', 'op', 'output', 'MAdds', 'params', 'moved kB'],
    colAligns: ['left', 'left', 'left', 'right', 'right', 'right'],
    style: PLAIN,
  });
  for (const { name, op, shape, madds, parameters, memory_access } of layers) {
    const counts = [madds, parameters].map(String);
    table.push([name, op, shape.join('x'), ...counts, kilobytes(memory_access.total_bytes)]);
  }
  return table.toString();
}

/** Many networks, one a row. */
export function networksTable(networks: readonly CountedNetwork[], options: TextOptions): string {
  const guided = networks.some(({ guidelines }) => guidelines !== undefined);
  const head = ['backbone', 'width', 'input', 'stride', 'MAdds', 'params', 'moved', 'peak', 'peak (blocks)'];
  const table = new Table({
    head: [...head, ...(guided ? ['G1', 'G2', 'G3', 'G4'] : [])],
    colAligns: ['left', ...Array.from({ length: 12 }, () => 'right' as const)],
    style: PLAIN,
  });
  for (const { architecture, network, guidelines } of networks) {
    const { backbone, width, size, outputStride } = architecture;
    table.push([
      backbone.name,
      String(width),
      `${size.height}x${size.width}`,
      String(outputStride),
      millions(network.madds),
      millions(network.parameters),
      megabytes(network.memory_access.total_bytes),
      megabytes(network.peak_memory.layers.bytes),
      megabytes(network.peak_memory.blocks.bytes),
      ...(guidelines ? figures(guidelines).map((figure) => figure.toFixed(2)) : []),
    ]);
  }
  const notes = [
    `One image, ${options.elementBytes} bytes an element. moved: each weight, input and output of every layer once. peak: activations, the`,
    `largest inputs and output of one layer; (blocks): with blocks as one operator in ${options.slices} slices.`,
  ];
  const guide = [
    'G1 memory access of pointwise layers through its lower bound. G2 part of the MAdds in group convolution, depthwise not',
    'included. G3 operators a block. G4 part of the memory access in element-wise operators, activation functions fused.',
  ];
  return [table.toString(), ...notes, ...(guided ? guide : [])].join('\n');
}

/** The one figure that each guideline comes to. */
function figures({ channelBalance, groupConvolution, fragmentation, elementWise }: Guidelines): number[] {
  return [
    channelBalance.excess,
    groupConvolution.grouped.madds,
    fragmentation.meanOperators,
    elementWise.shareFused,
  ];
}

/** Many networks as CSV, one a line. */
export function networksCsv(networks: readonly CountedNetwork[]): string {
  const guided = networks.some(({ guidelines }) => guidelines !== undefined);
  const head = [
    'backbone',
    'head',
    'classes',
    'width',
    'input_height',
    'input_width',
    'output_stride',
    'madds',
    'parameters',
    'parameters_folded',
    'weight_bytes',
    'read_bytes',
    'written_bytes',
    'peak_layers_bytes',
    'peak_layers_at',
    'peak_blocks_bytes',
    'peak_blocks_at',
    'peak_scheduled_bytes',
    'peak_scheduled_at',
    ...(guided
      ? ['g1_balance_excess', 'g2_grouped_madds', 'g3_operators_per_block', 'g4_element_wise_memory_access']
      : []),
  ];
  const rows = networks.map(({ architecture, network, guidelines }) => {
    const { memory_access: access, peak_memory: peak, input } = network;
    return [
      architecture.backbone.name,
      network.head,
      network.classes,
      network.width,
      input.height,
      input.width,
      network.output_stride,
      network.madds,
      network.parameters,
      network.parameters_folded,
      access.weight_bytes,
      access.read_bytes,
      access.written_bytes,
      ...[peak.layers, peak.blocks, peak.scheduled].flatMap(({ bytes, at }) => [bytes, at]),
      ...(guidelines ? figures(guidelines) : []),
    ];
  });
  return toCsv(head, rows);
}

/** A network's layers as CSV, one a line. */
export function layersCsv({ layers }: CountedNetwork): string {
  const head = ['layer', 'op', 'block', 'output', 'madds', 'parameters', 'parameters_folded'];
  return toCsv(
    [...head, 'weight_bytes', 'read_bytes', 'written_bytes'],
    layers.map(({ name, op, block = '', shape, madds, parameters, parameters_folded, memory_access }) => [
      name,
      op,
      block,
      shape.join('x'),
      madds,
      parameters,
      parameters_folded,
      memory_access.weight_bytes,
      memory_access.read_bytes,
      memory_access.written_bytes,
    ]),
  );
}
