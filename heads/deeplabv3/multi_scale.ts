import { cost } from '../../models/graph/cost.ts';
import type { InputSize } from '../../models/graph/image_input.ts';
import type { Deeplabv3Options } from './graph.ts';
import { buildDeeplabv3 } from './graph.ts';

/** Scales that multi-scale evaluation averages over. Source: Chen et al. (arXiv 1706.05587), section 4.1. */
export const MULTI_SCALES: readonly number[] = [0.5, 0.75, 1, 1.25, 1.5, 1.75];

/** `size` times `scale`, where pixels lie on the corners of a grid: 513 is 512 intervals, and half of it 257. */
export function scaledSize({ height, width }: InputSize, scale: number): InputSize {
  const along = (pixels: number) => Math.round((pixels - 1) * scale) + 1;
  return { height: along(height), width: along(width) };
}

export interface MultiScaleOptions {
  readonly scales?: readonly number[];
  /** Whether each scale is also run on the image mirrored left to right. */
  readonly flip?: boolean;
}

/** MAdds of one image that is run at every scale, and mirrored where `flip` says so. `options.size` is that of scale 1. */
export function multiScaleMadds(
  options: Deeplabv3Options,
  { scales = MULTI_SCALES, flip = false }: MultiScaleOptions = {},
): number {
  const runs = flip ? 2 : 1;
  return scales.reduce((sum, scale) => {
    const { graph } = buildDeeplabv3({ ...options, size: scaledSize(options.size, scale) });
    return sum + runs * cost(graph).madds;
  }, 0);
}
