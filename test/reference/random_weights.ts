import type { Graph } from '../../models/graph/graph.ts';
import { elementCount } from '../../models/graph/graph.ts';
import { parametersOf } from '../../models/graph/parameters.ts';
import type { Tensor } from '../../models/graph/tensor.ts';
import { mulberry32 } from './noise.ts';

/** Seeded weights for every parameter; variances positive, and small enough that signals stay in range. */
export function randomWeights(graph: Graph, seed: number): Map<string, Tensor> {
  const random = mulberry32(seed);
  return new Map(
    parametersOf(graph).map(({ name, shape, role }) => {
      const fanIn = elementCount(shape.slice(1));
      const scale = role === 'weight' ? Math.sqrt(3 / fanIn) : 0.5;
      const data = Float32Array.from({ length: elementCount(shape) }, () =>
        role === 'variance' ? 0.3 + random() : role === 'gamma' ? 0.5 + random() : (random() * 2 - 1) * scale,
      );
      return [name, { shape, data }];
    }),
  );
}
