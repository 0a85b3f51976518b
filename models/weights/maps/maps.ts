import type { Weights } from '../../graph/tensor.ts';
import type { MapTarget, NameMap } from './name_map.ts';
import { own, training } from './own.ts';
import { tfSsdliteMobilenetV2 } from './tf_ssdlite_mobilenet_v2.ts';
import { timm, timmTf } from './timm.ts';
import { torchvision } from './torchvision.ts';
import { transformers } from './transformers.ts';

/** Every name map. Where two read the same names, the earlier is the one that is recognised. */
export const nameMaps: readonly NameMap[] = [
  own,
  training,
  torchvision,
  timm,
  timmTf,
  transformers,
  tfSsdliteMobilenetV2,
];

/** The map called `name`. @throws RangeError listing the known ones */
export function mapNamed(name: string): NameMap {
  const found = nameMaps.find((map) => map.name === name);
  if (!found) {
    const known = nameMaps.map((map) => map.name).join(', ');
    throw new RangeError(`there is no name map '${name}': the maps are ${known}`);
  }
  return found;
}

/** A map, and a network that it may be read into. */
export interface Candidate {
  readonly map: NameMap;
  readonly target: MapTarget;
}

/** Tensors that are there, less those that are missing and those that nothing is known about. */
function likeness({ map, target }: Candidate, checkpoint: Weights): number {
  const names = new Set(map.recipes(target).flatMap(({ from }) => from));
  const found = [...names].filter((name) => checkpoint.has(name)).length;
  const patterns = map.leftOut(target);
  const strangers = [...checkpoint.keys()].filter(
    (name) => !names.has(name) && !patterns.some((pattern) => pattern.test(name)),
  ).length;
  return found === 0 ? Number.NEGATIVE_INFINITY : found - (names.size - found) - strangers;
}

/** The candidate whose names are most like the checkpoint's; nothing, where no name is known to any of them. */
export function recognise(candidates: readonly Candidate[], checkpoint: Weights): Candidate | undefined {
  let best: Candidate | undefined;
  let most = Number.NEGATIVE_INFINITY;
  for (const candidate of candidates) {
    const score = likeness(candidate, checkpoint);
    if (score <= most) continue;
    best = candidate;
    most = score;
  }
  return best;
}

const WRAPPER = 'module.';

/** A checkpoint without the prefix that PyTorch's DataParallel puts before every name, and whether it had it. */
export function unwrapped(checkpoint: Weights): { readonly tensors: Weights; readonly wrapped: boolean } {
  const wrapped = checkpoint.size > 0 && [...checkpoint.keys()].every((name) => name.startsWith(WRAPPER));
  if (!wrapped) return { tensors: checkpoint, wrapped };
  const tensors = new Map([...checkpoint].map(([name, tensor]) => [name.slice(WRAPPER.length), tensor]));
  return { tensors, wrapped };
}
