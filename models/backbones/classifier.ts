import { GraphBuilder } from '../graph/builder.ts';
import type { Graph } from '../graph/graph.ts';
import { imageInput, MINUS_ONE_TO_ONE } from '../graph/image_input.ts';
import type { Backbone, BackboneOptions } from './backbone.ts';

export interface ClassifierOptions extends Partial<BackboneOptions> {
  /** Side of the square input in pixels. */
  readonly resolution?: number;
  readonly classes?: number;
}

/**
 * The backbone with its classifier, as papers count it: global average pooling and one fully connected layer.
 * Input `pixels` uint8 [resolution, resolution, 3]; output `classifier` [classes].
 */
export function buildClassifier(
  backbone: Backbone,
  {
    resolution = 224,
    classes = 1000,
    width = 1,
    outputStride = 32,
    style = backbone.style,
  }: ClassifierOptions = {},
): Graph {
  const builder = new GraphBuilder(`${backbone.name}_${width}_${resolution}`);
  const image = imageInput(builder, { height: resolution, width: resolution }, MINUS_ONE_TO_ONE);
  const { final } = backbone.features(builder, image, { width, outputStride, style });
  const pooled = builder.globalAveragePool('pool', final);
  const flat = builder.reshape('flatten', pooled, [final.shape[0] ?? 0]);
  return builder.build([builder.fullyConnected('classifier', flat, classes)]);
}
