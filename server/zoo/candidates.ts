import type { HeadName } from '../../heads/model.ts';
import { HEADS } from '../../heads/model.ts';
import type { OutputStride } from '../../models/backbones/backbone.ts';
import type { Style } from '../../models/backbones/blocks.ts';
import { backboneNamed } from '../../models/backbones/registry.ts';
import { parametersOf } from '../../models/graph/parameters.ts';
import type { Weights } from '../../models/graph/tensor.ts';
import type { Candidate } from '../../models/weights/maps/maps.ts';
import { mapNamed, nameMaps, recognise } from '../../models/weights/maps/maps.ts';
import type { NameMap } from '../../models/weights/maps/name_map.ts';
import { quote } from '../../models/weights/quote.ts';
import { ImportError } from './checkpoint_file.ts';
import { networkOf } from './network.ts';
import type { NetworkFacts } from './network_facts.ts';
import type { NetworkSpec } from './record.ts';
import { TASK_OF_HEAD } from './record.ts';

const SSD_ANCHORS = 3;

/** The map to read the checkpoint with, and the head that it is for. @throws ImportError where none knows it */
export function candidateFor(facts: NetworkFacts, tensors: Weights, file: string): Candidate {
  const backbone = backboneNamed(facts.backbone ?? '').name;
  const maps = facts.map === undefined ? nameMaps : [mapNamed(facts.map)];
  const candidates = candidatesOf(maps, facts);
  if (candidates.length === 0) {
    const which = maps.map((map) => map.name).join(', ');
    const heads = [...new Set(maps.flatMap((map) => map.covers.get(backbone) ?? []))].join(', ') || 'none';
    throw new ImportError(
      `no checkpoint of ${backbone}${facts.head ? ` with the head ${facts.head}` : ''} is known to the map ${which}; with this backbone the heads are ${heads}`,
    );
  }
  const found = recognise(candidates, tensors);
  if (found) return found;
  const some = [...tensors.keys()].slice(0, 5).map(quote).join(', ');
  const other = recognise(
    candidatesOf(nameMaps, { backbone, ...(facts.width !== undefined && { width: facts.width }) }),
    tensors,
  );
  if (other && facts.map === undefined) {
    throw new ImportError(
      `${file}: its tensors are those of ${backbone} with the head ${other.target.head}, as ${other.map.name} names them; they cannot fill ${facts.head}`,
    );
  }
  const advice = other ? `; they are named as ${other.map.name} does` : '';
  const why =
    facts.described === undefined
      ? ''
      : ` (${facts.described} describes such a network; --map says otherwise)`;
  throw new ImportError(
    `${file}: none of its tensors (${some}, ...) is one of ${backbone} by the names of ${maps.map((map) => map.name).join(', ')}${why}${advice}`,
  );
}

/**
 * What was assumed where the names do not say which of two libraries trained the network; nothing, where one was named or
 * all that they differ in was given.
 */
export function assumption(
  facts: NetworkFacts,
  { map, target }: Candidate,
  file: string,
): string | undefined {
  if (facts.map !== undefined) return undefined;
  const head = target.head as HeadName;
  const namesOf = (candidate: Candidate) =>
    [...new Set(candidate.map.recipes(candidate.target).flatMap(({ from }) => from))].sort().join();
  const names = namesOf({ map, target });
  const assumed = specFor(facts, map, head);
  const others = nameMaps.filter(
    (other) =>
      other !== map &&
      other.covers.get(target.backbone)?.includes(head) &&
      namesOf({ map: other, target }) === names &&
      JSON.stringify(specFor(facts, other, head)) !== JSON.stringify(assumed),
  );
  if (others.length === 0) return undefined;
  const trained = (spec: Omit<NetworkSpec, 'classColumns'>) => {
    const { padding, epsilon } = spec.backboneStyle;
    const { scale, offset } = spec.normalization;
    const pixels = [...scale.map((each) => each * 255), ...offset].map((each) => Number(each.toPrecision(4)));
    return `padding ${padding}, epsilon ${epsilon}, pixels in 0..1 times ${pixels.slice(0, 3).join(', ')} plus ${pixels.slice(3).join(', ')}`;
  };
  const alternatives = others.map(
    (other) => `--map ${other.name} for ${trained(specFor(facts, other, head))}`,
  );
  return `the tensors of ${file} are named alike by ${[map, ...others].map(({ name }) => name).join(', ')}: ${map.name} is assumed (${trained(assumed)}); pass --map ${map.name} if that is right, ${alternatives.join(', ')}, or --config and a config.json`;
}

/** The heads that each map knows with this backbone. */
function candidatesOf(maps: readonly NameMap[], facts: NetworkFacts): Candidate[] {
  const { name: backbone } = backboneNamed(facts.backbone ?? '');
  return maps.flatMap((map) =>
    (map.covers.get(backbone) ?? [])
      .filter((head) => facts.head === undefined || facts.head === head)
      .map((head): Candidate => {
        // The names do not depend on classes, sizes and strides, and not every head can be built with all of them.
        const plain = { backbone, width: facts.width ?? 1 };
        const spec = { ...specFor(plain, map, head as HeadName), classColumns: 2, name: 'candidate' };
        return { map, target: { backbone, head, graph: networkOf(spec).graph } };
      }),
  );
}

/** The network but for its classes. */
function specFor(facts: NetworkFacts, map: NameMap, head: HeadName): Omit<NetworkSpec, 'classColumns'> {
  const backbone = backboneNamed(facts.backbone ?? '');
  const task = TASK_OF_HEAD[head];
  const styles = map.styles(backbone.name, head);
  const { resolution, outputStrides } = HEADS[head];
  const { height, width } = facts.size ?? { height: resolution, width: resolution };
  const strides = backbone.outputStrides.filter((stride) =>
    (outputStrides as readonly number[]).includes(stride),
  );
  const outputStride = facts.outputStride ?? Math.max(...strides);
  const body = {
    ...styles.backbone,
    ...(facts.padding && { padding: facts.padding }),
    ...(facts.epsilon !== undefined && { epsilon: facts.epsilon }),
  };
  return {
    head,
    backbone: backbone.name,
    width: facts.width ?? 1,
    outputStride: outputStride as OutputStride,
    input: { width, height },
    normalization: facts.normalization ?? map.normalization(backbone.name),
    backboneStyle: body,
    headStyle: task === 'classification' ? body : styles.head,
    ...(task === 'segmentation' && { alignCorners: map.alignCorners ?? true }),
  };
}

/** What is asked for of the head alone, and the name that faults are told under. */
export interface HeadRequest {
  readonly name: string;
  readonly headPadding?: Style['padding'];
  readonly headEpsilon?: number;
}

/** The network with its classes, which the tensors count. */
export function specOf(
  { name, headPadding, headEpsilon }: HeadRequest,
  facts: NetworkFacts,
  map: NameMap,
  head: HeadName,
  tensors: Weights,
): NetworkSpec {
  const { headStyle, ...spec } = specFor(facts, map, head);
  const styled = {
    ...spec,
    headStyle: {
      ...headStyle,
      ...(headPadding && { padding: headPadding }),
      ...(headEpsilon !== undefined && { epsilon: headEpsilon }),
    },
  };
  return { ...styled, classColumns: classColumnsOf({ ...styled, classColumns: 2, name }, map, tensors) };
}

/** Columns of the class predictions, from the shape of the layer that makes them. */
function classColumnsOf(spec: NetworkSpec & { name: string }, map: NameMap, tensors: Weights): number {
  const { graph } = networkOf(spec);
  const detection = TASK_OF_HEAD[spec.head] === 'detection';
  const last = parametersOf(graph).findLast(({ role }) => role === 'weight')?.name;
  const layer = detection ? 'head.cls.0.predict.weight' : last;
  const target = { backbone: spec.backbone, head: spec.head, graph };
  const recipe = map.recipes(target).find(({ to }) => to === layer);
  const from = recipe?.from.map((name) => tensors.get(name)) ?? [];
  // Where it is missing, the check that follows says so.
  if (!recipe || !from.every((found) => found !== undefined)) return spec.classColumns;
  const [rows = 0] = (recipe.make ? recipe.make(from) : from[0])?.shape ?? [];
  return Math.max(detection ? 2 : 1, Math.floor(rows / (detection ? SSD_ANCHORS : 1)));
}
