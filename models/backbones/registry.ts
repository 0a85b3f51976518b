import type { Backbone } from './backbone.ts';
import { mnasnetA1, mnasnetB1, mnasnetSmall } from './mnasnet.ts';
import { mobilenetV2 } from './mobilenet_v2.ts';
import { shufflenetV2 } from './shufflenet_v2.ts';

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

for (const backbone of [mobilenetV2, shufflenetV2, mnasnetA1, mnasnetB1, mnasnetSmall])
  registerBackbone(backbone);
