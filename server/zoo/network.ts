import { buildSsdlite } from '../../heads/ssdlite/graph.ts';
import { backboneNamed } from '../../models/backbones/registry.ts';
import type { Cost } from '../../models/graph/cost.ts';
import { cost } from '../../models/graph/cost.ts';
import type { Graph } from '../../models/graph/graph.ts';
import type { ModelRecord } from './catalog.ts';

/** A record's network: the graph, and the grids that its anchors lie on. */
export interface Network {
  readonly graph: Graph;
  readonly grids: readonly (readonly [height: number, width: number])[];
}

/** Builds the graph that `record` describes. */
export function networkOf(record: ModelRecord): Network {
  return buildSsdlite({
    name: record.name,
    backbone: backboneNamed(record.backbone),
    width: record.width,
    resolution: record.input.height,
    classes: record.classColumns,
    input: { kind: 'pixels', normalization: record.normalization },
    backboneStyle: record.backboneStyle,
    headStyle: record.headStyle,
  });
}

/** Work and size of a record's network, one image. */
export function costOf(record: ModelRecord): Cost {
  return cost(networkOf(record).graph);
}
