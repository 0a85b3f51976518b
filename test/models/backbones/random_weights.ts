import type { Graph } from '../../../models/graph/graph.ts';
import { elementCount } from '../../../models/graph/graph.ts';
import { parametersOf } from '../../../models/graph/parameters.ts';
import type { Tensor } from '../../../models/graph/tensor.ts';
import { mulberry32 } from '../../reference/noise.ts';

const random = mulberry32(17);
// A prime length, so that layers do not meet the same numbers at the same places.
const NOISE = Float32Array.from({ length: 65_537 }, () => random() * 2 - 1);

/**
 * Weights for a folded graph out of one piece of noise, repeated: numbers for millions of weights in milliseconds. Scaled
 * by He's rule (arXiv 1502.01852), so that signals keep their size through ReLUs.
 */
export function repeatedNoise(graph: Graph): Map<string, Tensor> {
  let at = 0;
  return new Map(
    parametersOf(graph).map(({ name, shape, role }) => {
      const scale = role === 'weight' ? Math.sqrt(6 / elementCount(shape.slice(1))) : 0.1;
      const data = new Float32Array(elementCount(shape));
      for (let i = 0; i < data.length; i++) {
        data[i] = (NOISE[at] as number) * scale;
        at = at + 1 === NOISE.length ? 0 : at + 1;
      }
      return [name, { shape, data }];
    }),
  );
}
