import type { HeadName } from '../../heads/model.ts';
import { HEADS } from '../../heads/model.ts';
import type { Backbone, OutputStride } from '../../models/backbones/backbone.ts';
import type { Style } from '../../models/backbones/blocks.ts';
import { backbones } from '../../models/backbones/registry.ts';
import type { Graph } from '../../models/graph/graph.ts';
import { GraphError } from '../../models/graph/graph.ts';
import type { InputSize } from '../../models/graph/image_input.ts';
import { MINUS_ONE_TO_ONE } from '../../models/graph/image_input.ts';
import { networkOf } from './network.ts';

/** Ranges that hold for every backbone: they bound what one description can ask for. */
export const LIMITS = {
  width: [0.1, 4],
  resolution: [32, 2048],
  classes: [1, 100_000],
} as const satisfies Readonly<Record<string, readonly [low: number, high: number]>>;

/** A network to look at rather than to run: any backbone of the registry, and what is built on it. */
export interface Architecture {
  readonly backbone: Backbone;
  readonly width: number;
  readonly size: InputSize;
  readonly outputStride: OutputStride;
  readonly head: HeadName;
  /** Columns of the class predictions: with a background for SSD, SSDLite and DeepLabv3, without one for a classifier. */
  readonly classes: number;
}

/** What people say of it; the rest is the head's and the backbone's default. */
export interface ArchitectureRequest {
  readonly backbone: string;
  readonly width?: number | undefined;
  readonly size?: InputSize | undefined;
  readonly outputStride?: number | undefined;
  readonly head?: string | undefined;
  readonly classes?: number | undefined;
}

export type ArchitectureParameter = 'backbone' | 'width' | 'resolution' | 'outputStride' | 'head' | 'classes';

/** A network that cannot be. `requirement` continues a sentence that begins with the parameter's name. */
export class ArchitectureError extends RangeError {
  override readonly name = 'ArchitectureError';
  readonly parameter: ArchitectureParameter;
  readonly requirement: string;

  constructor(parameter: ArchitectureParameter, requirement: string) {
    super(`${parameter} ${requirement}`);
    this.parameter = parameter;
    this.requirement = requirement;
  }
}

/** The name of every backbone, in the registry's order. */
export function backboneNames(): string[] {
  return backbones().map(({ name }) => name);
}

/**
 * Completes and checks a request.
 * @throws ArchitectureError naming the parameter, what was given and what is allowed
 */
export function architectureOf(request: ArchitectureRequest): Architecture {
  const backbone = backbones().find(({ name }) => name === request.backbone);
  if (!backbone) {
    throw new ArchitectureError(
      'backbone',
      `must be one of ${backboneNames().join(', ')}, got '${request.backbone}'`,
    );
  }
  const head = headOf(backbone, request.head ?? 'classifier');
  const { resolution, classes, outputStrides } = HEADS[head];
  const size = request.size ?? { height: resolution, width: resolution };
  for (const side of [size.height, size.width]) inRange('resolution', side, true);
  if (head.startsWith('ssd') && size.height !== size.width) {
    throw new ArchitectureError(
      'resolution',
      `must be one side for ${head}, whose input is square, got ${size.height}x${size.width}`,
    );
  }
  const strides = backbone.outputStrides
    .filter((stride) => outputStrides.some((allowed) => allowed === stride))
    .toSorted((a, b) => a - b);
  const wanted = request.outputStride ?? strides.at(-1);
  const outputStride = strides.find((stride) => stride === wanted);
  if (outputStride === undefined) {
    throw new ArchitectureError(
      'outputStride',
      `must be ${listed(strides)} for ${backbone.name} with ${HEADS[head].title}, got ${wanted}`,
    );
  }
  return {
    backbone,
    width: inRange('width', request.width ?? 1),
    size,
    outputStride,
    head,
    classes: inRange('classes', request.classes ?? classes, true),
  };
}

function headOf(backbone: Backbone, name: string): HeadName {
  if (!Object.hasOwn(HEADS, name)) {
    throw new ArchitectureError('head', `must be one of ${Object.keys(HEADS).join(', ')}, got '${name}'`);
  }
  if (name !== 'classifier' && !backbone.carriesHeads) {
    const others = backbones().filter(({ carriesHeads }) => carriesHeads);
    throw new ArchitectureError(
      'head',
      `must be classifier for ${backbone.name}, which is for cost and classification, got '${name}'; backbones that carry heads are ${others.map((other) => other.name).join(', ')}`,
    );
  }
  return name as HeadName;
}

function inRange(parameter: keyof typeof LIMITS, value: number, whole = false): number {
  const [low, high] = LIMITS[parameter];
  if (value >= low && value <= high && (!whole || Number.isInteger(value))) return value;
  throw new ArchitectureError(
    parameter,
    `must be a ${whole ? 'whole ' : ''}number from ${low} to ${high}, got ${value}`,
  );
}

function listed(values: readonly number[]): string {
  const [last, ...others] = values.toReversed();
  return others.length > 0 ? `${others.toReversed().join(', ')} or ${last}` : String(last);
}

/** TensorFlow's detection and segmentation heads; nothing that is counted depends on it but where an activation runs. */
const HEAD_STYLE: Style = { padding: 'same', epsilon: 1e-3, activation: 'relu6' };

/**
 * The network, from its normalised image `input` float32 [3, H, W] on.
 * @throws ArchitectureError where the network does not fit into so small an image, or has no such width
 */
export function graphOf({ backbone, width, size, outputStride, head, classes }: Architecture): Graph {
  const spec = {
    name: backbone.name,
    backbone: backbone.name,
    width,
    outputStride,
    head,
    input: size,
    classColumns: classes,
    normalization: MINUS_ONE_TO_ONE,
    backboneStyle: backbone.style,
    headStyle: HEAD_STYLE,
  };
  try {
    return networkOf(spec, { input: 'tensor' }).graph;
  } catch (error) {
    // A family that is published as a few tables refuses the widths between them.
    if (error instanceof RangeError && !backbone.widths.includes(width)) {
      throw new ArchitectureError(
        'width',
        `must be ${listed(backbone.widths)} for ${backbone.name}, got ${width}`,
      );
    }
    if (!(error instanceof GraphError)) throw error;
    throw new ArchitectureError(
      'resolution',
      `must be larger for ${backbone.name} with ${HEADS[head].title}, got ${size.height}x${size.width}: ${error.message}`,
    );
  }
}
