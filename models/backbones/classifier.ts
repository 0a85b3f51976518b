import { GraphBuilder } from '../graph/builder.ts';
import type { Graph } from '../graph/graph.ts';
import type { InputSize, NetworkInput } from '../graph/image_input.ts';
import { MINUS_ONE_TO_ONE, networkInput } from '../graph/image_input.ts';
import type { Backbone, BackboneOptions } from './backbone.ts';
import { featuresOf } from './backbone.ts';

export interface ClassifierOptions extends Partial<BackboneOptions> {
  /** Name of the graph; by default backbone, width and resolution. */
  readonly name?: string;
  /** Side of the square input in pixels, or its height and width. */
  readonly resolution?: number | InputSize;
  readonly classes?: number;
  readonly input?: NetworkInput;
  /** Further outputs: values, layers or blocks, see `GraphBuilder.find`. */
  readonly taps?: readonly string[];
}

/**
 * The backbone with its classifier, as papers count it: global average pooling and one fully connected layer, where the
 * backbone brings no other. Input [resolution, resolution, 3] pixels or [3, resolution, resolution] floats; first output the
 * logits [classes], `classifier` or what the backbone's own calls them, then the taps.
 * @throws RangeError where the backbone cannot be built for that output stride
 */
export function buildClassifier(
  backbone: Backbone,
  {
    resolution = 224,
    classes = 1000,
    width = 1,
    outputStride = Math.max(...backbone.outputStrides) as (typeof backbone.outputStrides)[number],
    style = backbone.style,
    input = { kind: 'pixels', normalization: MINUS_ONE_TO_ONE },
    taps = [],
    ...given
  }: ClassifierOptions = {},
): Graph {
  const size = typeof resolution === 'number' ? { height: resolution, width: resolution } : resolution;
  const builder = new GraphBuilder(given.name ?? `${backbone.name}_${width}_${size.height}x${size.width}`);
  const image = networkInput(builder, size, input);
  const features = featuresOf(backbone, builder, image, { width, outputStride, style });
  const logits = backbone.classifier
    ? backbone.classifier(builder, features, { classes, width, style })
    : builder.fullyConnected(
        'classifier',
        builder.reshape('flatten', builder.globalAveragePool('pool', features.final), [
          features.final.shape[0] ?? 0,
        ]),
        classes,
      );
  return builder.build([logits, ...taps.map((tap) => builder.find(tap))]);
}
