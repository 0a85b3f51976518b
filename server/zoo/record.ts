import type { HeadName } from '../../heads/model.ts';
import type { OutputStride } from '../../models/backbones/backbone.ts';
import type { Style } from '../../models/backbones/blocks.ts';
import type { Normalization } from '../../models/graph/image_input.ts';
import type { Label } from './labels.ts';

/** Arithmetic that a network can run in: 32-bit floats, or 8-bit integers where it was quantised. */
export const PRECISIONS = ['fp32', 'int8'] as const;
export type Precision = (typeof PRECISIONS)[number];

/** What a model does with an image. */
export type Task = 'detection' | 'segmentation' | 'classification';

/** A model's name: what requests and file names can carry without quoting. */
export const MODEL_NAME = /^[a-z0-9_]{1,64}$/;

/** What each head is for. */
export const TASK_OF_HEAD: Readonly<Record<HeadName, Task>> = {
  ssdlite: 'detection',
  ssd: 'detection',
  deeplabv3: 'segmentation',
  deeplabv3_aspp: 'segmentation',
  classifier: 'classification',
};

/** All that the graph of a network is built from. */
export interface NetworkSpec {
  readonly head: HeadName;
  /** Name of a backbone of the registry. */
  readonly backbone: string;
  /** Width multiplier. */
  readonly width: number;
  /** Input pixels to one cell of the backbone's last map. */
  readonly outputStride: OutputStride;
  /**
   * Pixels. A detection model's is square: the whole photo (or the region asked for) is squashed to it. Of a segmentation
   * model's only the long side counts: photos keep their proportions.
   */
  readonly input: { readonly width: number; readonly height: number };
  readonly normalization: Normalization;
  readonly backboneStyle: Style;
  readonly headStyle: Style;
  /**
   * Of a segmentation model, how its logits lie over the input. True, as where absent: the outermost on the centres of the
   * outermost pixels (TensorFlow's DeepLab). False: in the middle of equal parts (half-pixel centres, transformers').
   */
  readonly alignCorners?: boolean;
  /** Columns of the class predictions: a detection model's include the background (0), a segmentation model's are all its classes. */
  readonly classColumns: number;
}

/** Files inside an installed npm package, pinned by the lock file and by content. */
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
  readonly map: string;
}

/** A .safetensors in the folder weights/ of this package. */
export interface PackageSource {
  readonly kind: 'package';
  readonly file: string;
  readonly bytes: number;
  readonly sha256: string;
  /** Which name map reads it; `thinlens`, where its tensors are named as the graph names them. */
  readonly map: string;
}

/** A .safetensors in the store's folder imported/, its tensors named as the graph names them. */
export interface ImportedSource {
  readonly kind: 'imported';
  /** File name in the store. */
  readonly file: string;
  readonly bytes: number;
  readonly sha256: string;
  /** Name of the file that it was made from. */
  readonly origin: string;
  /** The name map that read that file. */
  readonly map: string;
  /** Tensors of that file which the network has no use for. */
  readonly leftOut: readonly string[];
}

export type WeightSource = NpmSource | PackageSource | ImportedSource;

/** What a model was measured to reach. */
export interface Accuracy {
  /** Average precision of boxes as COCO defines it, or mean intersection over union of masks. */
  readonly metric: 'AP' | 'mIoU';
  /** A fraction, in fp32. */
  readonly value: number;
  /** The same in int8, with the calibration in weights/. */
  readonly int8?: number;
  /** The photos that it was measured on. */
  readonly dataset: string;
}

/** All that is needed to compile, run and describe one model. */
export interface ModelRecord extends NetworkSpec {
  /** `<head>_<backbone>_<dataset>` for those of the catalog; what whoever imported it called it. */
  readonly name: string;
  readonly title: string;
  readonly task: Task;
  readonly dataset: string;
  readonly labels: readonly Label[];
  readonly source: WeightSource;
  /** Of the catalogued models, by `thinlens eval`. */
  readonly accuracy?: Accuracy;
  readonly licence: string;
  readonly attribution: string;
}

/** Whether the server has a route for what the model does. */
export const isServed = ({ task }: Pick<ModelRecord, 'task'>): boolean => task !== 'classification';

/** Where weights come from, in a few words. */
export function describeSource(source: WeightSource): string {
  switch (source.kind) {
    case 'npm':
      return `npm:${source.package}@${source.version}`;
    case 'package':
      return `weights/${source.file}`;
    case 'imported':
      return `imported from ${source.origin}`;
  }
}
