import type { Backbone as RegisteredBackbone } from '../../models/backbones/backbone.ts';
import type { Cost, CostOptions } from '../../models/graph/cost.ts';
import { cost } from '../../models/graph/cost.ts';
import type { MemoryAccess as CountedAccess } from '../../models/graph/memory_access.ts';
import { totalBytes } from '../../models/graph/memory_access.ts';
import type { Backbone, MemoryAccess, Network, NetworkLayer } from '../../openapi/types.ts';
import type { Architecture } from './architecture.ts';
import { graphOf } from './architecture.ts';

/** A network and what it costs, as GET /v1/backbones/{backbone} and `thinlens cost --json` show it. */
export interface NetworkDescription {
  readonly network: Network;
  readonly layers: readonly NetworkLayer[];
}

/** Counts a network. @throws ArchitectureError where it does not fit into so small an image, or has no such width */
export function describeNetwork(architecture: Architecture, options: CostOptions = {}): NetworkDescription {
  const counted = cost(graphOf(architecture), options);
  return { network: networkOf(architecture, counted), layers: counted.layers.map(layerOf) };
}

/** What a backbone is, whatever is built of it. */
export function describeBackbone(backbone: RegisteredBackbone): Omit<Backbone, 'network' | 'layers'> {
  const { name, title, paper, reference, widths, outputStrides, carriesHeads } = backbone;
  return {
    name,
    title,
    paper,
    reference,
    widths,
    output_strides: outputStrides,
    carries_heads: carriesHeads,
  };
}

function networkOf(architecture: Architecture, counted: Cost): Network {
  const { head, classes, width, size, outputStride } = architecture;
  const { madds, parameters, parametersFolded, memoryAccess, peakMemory } = counted;
  return {
    head,
    classes,
    width,
    input: { width: size.width, height: size.height },
    output_stride: outputStride,
    madds,
    parameters,
    parameters_folded: parametersFolded,
    memory_access: accessOf(memoryAccess),
    peak_memory: peakMemory,
  };
}

function layerOf(layer: Cost['layers'][number]): NetworkLayer {
  const { name, op, block, shape, madds, parameters, parametersFolded, memoryAccess } = layer;
  return {
    name,
    op,
    ...(block !== undefined && { block }),
    shape,
    madds,
    parameters,
    parameters_folded: parametersFolded,
    memory_access: accessOf(memoryAccess),
  };
}

function accessOf(access: CountedAccess): MemoryAccess {
  const { weights, read, written } = access;
  return {
    weight_bytes: weights,
    read_bytes: read,
    written_bytes: written,
    total_bytes: totalBytes(access),
  };
}
