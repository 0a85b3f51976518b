import type { Backbone } from './backbone.ts';
import { mnasnetA1, mnasnetB1, mnasnetSmall } from './mnasnet.ts';
import { mobilenetV1 } from './mobilenet_v1.ts';
import { mobilenetV2 } from './mobilenet_v2.ts';
import { mobilenetV3Large, mobilenetV3Small } from './mobilenet_v3.ts';
import {
  shufflenetV1G1,
  shufflenetV1G2,
  shufflenetV1G3,
  shufflenetV1G4,
  shufflenetV1G8,
} from './shufflenet_v1.ts';
import { shufflenetV2 } from './shufflenet_v2.ts';
import { squeezenet10, squeezenet11 } from './squeezenet.ts';

const registry = new Map<string, Backbone>();

/** Adds a backbone. @throws Error if its name is taken. */
export function registerBackbone(backbone: Backbone): void {
  if (registry.has(backbone.name)) throw new Error(`backbone '${backbone.name}' is registered already`);
  registry.set(backbone.name, backbone);
}

/** The backbone called `name`. @throws RangeError listing the known ones. */
export function backboneNamed(name: string): Backbone {
  const found = registry.get(name);
  if (!found) {
    throw new RangeError(`there is no backbone '${name}'; known are ${[...registry.keys()].join(', ')}`);
  }
  return found;
}

/** All backbones, in order of registration. */
export function backbones(): Backbone[] {
  return [...registry.values()];
}

for (const backbone of [
  mobilenetV1,
  mobilenetV2,
  mobilenetV3Large,
  mobilenetV3Small,
  shufflenetV1G1,
  shufflenetV1G2,
  shufflenetV1G3,
  shufflenetV1G4,
  shufflenetV1G8,
  shufflenetV2,
  mnasnetA1,
  mnasnetB1,
  mnasnetSmall,
  squeezenet10,
  squeezenet11,
]) {
  registerBackbone(backbone);
}
