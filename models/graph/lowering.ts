import { checkGraph, checkWeights } from '../arguments.ts';
import { foldBroadcasts, splitWeights } from './broadcast_folding.ts';
import { padChannels, padWeights } from './channel_padding.ts';
import { foldGraph, foldWeights } from './folding.ts';
import type { Graph } from './graph.ts';
import { foldShuffles, permuteWeights } from './shuffle_folding.ts';
import type { Tensor, Weights } from './tensor.ts';

/** A network as it runs: the same inputs, outputs and numbers, in fewer and better shaped steps. */
export interface LoweredGraph {
  readonly graph: Graph;
  /** The weights of `graph` from those of the network as it was described. @throws GraphError naming a tensor that is missing */
  readonly weights: (described: Weights) => Map<string, Tensor>;
}

/**
 * Everything that is done to a described network before it is written to run: batch normalisation folded into convolutions,
 * repeated cells into sums, channel shuffles into weights, and channel counts padded to what the blocked layout takes.
 * Counts of work and parameters are of the network as described, not of this.
 * @throws ArgumentError where it is given no Graph
 */
export function lower(graph: Graph): LoweredGraph {
  checkGraph('lower', graph);
  const broadcasts = foldBroadcasts(foldGraph(graph));
  const shuffles = foldShuffles(broadcasts.graph);
  const channels = padChannels(shuffles.graph);
  return {
    graph: channels.graph,
    weights: (described) => {
      checkWeights('lower', described);
      const folded = splitWeights(broadcasts, foldWeights(graph, described));
      return padWeights(channels, permuteWeights(shuffles, folded));
    },
  };
}
