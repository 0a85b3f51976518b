import type { HeadName } from '../../heads/model.ts';
import type { Style } from '../../models/backbones/blocks.ts';
import type { InputSize, Normalization } from '../../models/graph/image_input.ts';
import type { Label } from './labels.ts';

/** What is known of a network beside its tensors. */
export interface NetworkFacts {
  readonly backbone?: string;
  readonly head?: HeadName;
  readonly width?: number;
  readonly outputStride?: number;
  readonly size?: InputSize;
  readonly map?: string;
  readonly padding?: Style['padding'];
  readonly epsilon?: number;
  readonly normalization?: Normalization;
  /** Classes by id. */
  readonly labels?: readonly Label[];
  readonly title?: string;
  /** The file that said so. */
  readonly described?: string;
}

/** Ranges of what a batch normalisation adds to its variance. */
export const EPSILON: readonly [low: number, high: number] = [1e-12, 1];
