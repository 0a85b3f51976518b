import { checkGraph } from '../arguments.ts';
import type { Graph, Node } from './graph.ts';
import { valueNamed } from './graph.ts';

/** What a weight is: papers and torchvision count the learnt ones, not the statistics. */
export type ParameterRole = 'weight' | 'bias' | 'gamma' | 'beta' | 'mean' | 'variance';

/** One tensor that a graph needs from a checkpoint. */
export interface Parameter {
  readonly name: string;
  readonly shape: readonly number[];
  readonly role: ParameterRole;
}

/** The tensors that `node` owns. */
export function parametersOfNode(graph: Graph, node: Node): Parameter[] {
  const input = valueNamed(graph, node.inputs[0] ?? '').shape;
  const [channels = 0] = input;
  switch (node.op) {
    case 'conv': {
      const shape = [node.outChannels, channels / node.groups, ...node.kernel];
      const parameters: Parameter[] = [{ name: node.weight, shape, role: 'weight' }];
      if (node.bias) parameters.push({ name: node.bias, shape: [node.outChannels], role: 'bias' });
      return parameters;
    }
    case 'batchNorm': {
      const shape = [channels];
      return [
        { name: node.gamma, shape, role: 'gamma' },
        { name: node.beta, shape, role: 'beta' },
        { name: node.mean, shape, role: 'mean' },
        { name: node.variance, shape, role: 'variance' },
      ];
    }
    case 'fullyConnected':
      return [
        { name: node.weight, shape: [node.outFeatures, channels], role: 'weight' },
        { name: node.bias, shape: [node.outFeatures], role: 'bias' },
      ];
    default:
      return [];
  }
}

/** All tensors that a checkpoint must hold for `graph`, in the order of its nodes. */
export function parametersOf(graph: Graph): Parameter[] {
  checkGraph('parametersOf', graph);
  return graph.nodes.flatMap((node) => parametersOfNode(graph, node));
}
