/** One class of a dataset: its id there, and its name. */
export interface Label {
  readonly classId: number;
  readonly label: string;
}

const names = new WeakMap<readonly Label[], ReadonlyMap<number, string>>();

/** Names of classes by their id; put together once for each list of labels. */
export function namesOf({ labels }: { readonly labels: readonly Label[] }): ReadonlyMap<number, string> {
  const known = names.get(labels) ?? new Map(labels.map(({ classId, label }) => [classId, label]));
  names.set(labels, known);
  return known;
}

/**
 * COCO's 80 object classes with their ids in the 91-id range of the annotation files (the gaps are classes that the
 * dataset never labelled). Source: COCO 2017 instances annotations, `categories`.
 */
export const COCO_LABELS: readonly Label[] = Object.entries({
  1: 'person',
  2: 'bicycle',
  3: 'car',
  4: 'motorcycle',
  5: 'airplane',
  6: 'bus',
  7: 'train',
  8: 'truck',
  9: 'boat',
  10: 'traffic light',
  11: 'fire hydrant',
  13: 'stop sign',
  14: 'parking meter',
  15: 'bench',
  16: 'bird',
  17: 'cat',
  18: 'dog',
  19: 'horse',
  20: 'sheep',
  21: 'cow',
  22: 'elephant',
  23: 'bear',
  24: 'zebra',
  25: 'giraffe',
  27: 'backpack',
  28: 'umbrella',
  31: 'handbag',
  32: 'tie',
  33: 'suitcase',
  34: 'frisbee',
  35: 'skis',
  36: 'snowboard',
  37: 'sports ball',
  38: 'kite',
  39: 'baseball bat',
  40: 'baseball glove',
  41: 'skateboard',
  42: 'surfboard',
  43: 'tennis racket',
  44: 'bottle',
  46: 'wine glass',
  47: 'cup',
  48: 'fork',
  49: 'knife',
  50: 'spoon',
  51: 'bowl',
  52: 'banana',
  53: 'apple',
  54: 'sandwich',
  55: 'orange',
  56: 'broccoli',
  57: 'carrot',
  58: 'hot dog',
  59: 'pizza',
  60: 'donut',
  61: 'cake',
  62: 'chair',
  63: 'couch',
  64: 'potted plant',
  65: 'bed',
  67: 'dining table',
  70: 'toilet',
  72: 'tv',
  73: 'laptop',
  74: 'mouse',
  75: 'remote',
  76: 'keyboard',
  77: 'cell phone',
  78: 'microwave',
  79: 'oven',
  80: 'toaster',
  81: 'sink',
  82: 'refrigerator',
  84: 'book',
  85: 'clock',
  86: 'vase',
  87: 'scissors',
  88: 'teddy bear',
  89: 'hair drier',
  90: 'toothbrush',
}).map(([classId, label]) => ({ classId: Number(classId), label }));

/**
 * PASCAL VOC's 20 object classes and the background, by their indices in the annotation files' masks, under VOC's own
 * names. Source: VOCdevkit 2012, VOCopts.classes.
 */
export const VOC_LABELS: readonly Label[] = [
  'background',
  'aeroplane',
  'bicycle',
  'bird',
  'boat',
  'bottle',
  'bus',
  'car',
  'cat',
  'chair',
  'cow',
  'diningtable',
  'dog',
  'horse',
  'motorbike',
  'person',
  'pottedplant',
  'sheep',
  'sofa',
  'train',
  'tvmonitor',
].map((label, classId) => ({ classId, label }));

/** Classes of a segmentation model at most: a class map is of bytes, and 255 is no class (VOC's void). */
export const MAX_CLASSES = 255;

/** The class that stands for nothing in particular, where the dataset has one; torchvision calls it `__background__`. */
export function backgroundOf(labels: readonly Label[]): number | undefined {
  return labels.find(({ label }) => /^_*background_*$/i.test(label))?.classId;
}

/** Class ids by what people may call them: all that have a label, or else the id itself. */
export function idsByName(labels: readonly Label[]): ReadonlyMap<string, readonly number[]> {
  const ids = new Map<string, number[]>();
  for (const { classId, label } of labels) ids.set(label, [...(ids.get(label) ?? []), classId]);
  for (const { classId } of labels) if (!ids.has(String(classId))) ids.set(String(classId), [classId]);
  return ids;
}
