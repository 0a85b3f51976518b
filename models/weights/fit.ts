import { foldablePairs, foldedBiasName } from '../graph/folding.ts';
import type { Graph } from '../graph/graph.ts';
import { parametersOf } from '../graph/parameters.ts';
import type { Weights } from '../graph/tensor.ts';
import { WeightsError } from './errors.ts';
import { quote, shapeText } from './quote.ts';

/** What a check says about the tensors of a file whose names are not the graph's. */
export interface FileNames {
  /** Tensors of the file that nothing needs, beside those of `weights`. */
  readonly surplus?: readonly string[];
  /** What the file calls a tensor of the graph, or the several that it is made from. */
  readonly namesOf?: (name: string) => readonly string[];
}

/**
 * Checks that `weights` are exactly what `graph` needs: every tensor there, of its shape, finite, no variance below 0 (its
 * root makes NaN of a channel), and none beside them.
 * A layer whose batch normalisation was folded before publication may bring a bias instead of the statistics.
 * @throws WeightsError naming all that is missing, surplus, misshapen, not finite or a negative variance, not only the first.
 * Names are quoted: they may come out of a file.
 */
export function checkFit(
  graph: Graph,
  weights: Weights,
  source: string,
  { surplus: strangers = [], namesOf = (name) => [name] }: FileNames = {},
): void {
  const parameters = parametersOf(graph);
  const nameOf = (name: string) => namesOf(name).map(quote).join(' and ');
  const needed = new Map(parameters.map(({ name, shape }) => [name, shape]));
  const variances = new Set(parameters.filter(({ role }) => role === 'variance').map(({ name }) => name));
  for (const { conv, norm } of foldablePairs(graph).values()) {
    if (conv.bias || !weights.has(foldedBiasName(conv))) continue;
    for (const name of [norm.gamma, norm.beta, norm.mean, norm.variance]) needed.delete(name);
    needed.set(foldedBiasName(conv), [conv.outChannels]);
  }
  const missing = [...needed.keys()].filter((name) => !weights.has(name)).map(nameOf);
  const surplus = [...weights.keys()].filter((name) => !needed.has(name)).map(nameOf);
  for (const name of strangers) surplus.push(quote(name));
  const misshapen: string[] = [];
  const notFinite: string[] = [];
  const negative: string[] = [];
  for (const [name, shape] of needed) {
    const found = weights.get(name);
    if (!found) continue;
    if (found.shape.join() !== shape.join()) {
      misshapen.push(`${nameOf(name)} is ${shapeText(found.shape)} and should be ${shapeText(shape)}`);
    }
    if (!found.data.every(Number.isFinite)) notFinite.push(nameOf(name));
    if (variances.has(name) && found.data.some((value) => value < 0)) negative.push(nameOf(name));
  }
  const faults = [
    missing.length > 0 && `missing: ${missing.join(', ')}`,
    surplus.length > 0 && `surplus: ${surplus.join(', ')}`,
    misshapen.length > 0 && `of another shape: ${misshapen.join('; ')}`,
    notFinite.length > 0 && `not finite: ${notFinite.join(', ')}`,
    negative.length > 0 && `negative variance: ${negative.join(', ')}`,
  ].filter(Boolean);
  if (faults.length > 0) throw new WeightsError(`${source} does not fit ${graph.name}: ${faults.join('. ')}`);
}
