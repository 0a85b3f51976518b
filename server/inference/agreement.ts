import { classMap } from '../../heads/deeplabv3/class_map.ts';
import { gridMapping } from '../../heads/deeplabv3/grid_mapping.ts';
import type { LogitMap } from '../../heads/deeplabv3/logits.ts';
import { ConfusionMatrix } from '../../heads/deeplabv3/mean_iou.ts';
import { ssdAnchors } from '../../heads/ssdlite/anchors.ts';
import type { CocoDetection } from '../../heads/ssdlite/coco/detections.ts';
import { evaluateDetections } from '../../heads/ssdlite/coco/evaluation.ts';
import type { CocoAnnotation, CocoImage } from '../../heads/ssdlite/coco/instances.ts';
import { detections } from '../../heads/ssdlite/detections.ts';
import type { Size } from '../image/region.ts';
import { networkOf } from '../zoo/network.ts';
import type { ModelRecord } from '../zoo/record.ts';
import type { PhotoInput } from './photo_input.ts';

/** Outputs of a network by name. */
type Outputs = Readonly<Record<string, Float32Array>>;

/** Measures how far one form of a network finds what another one finds, by the measure of its task. */
export interface Agreement {
  readonly metric: 'AP' | 'mIoU';
  /** Takes in what both make of one photo. */
  add(actual: Outputs, reference: Outputs, photo: PhotoInput): void;
  /** A fraction; undefined where the reference found nothing that could be agreed with. */
  value(): number | undefined;
}

/** What measures a model of this task. @throws RangeError for a task that has no such measure */
export function agreementOf(record: ModelRecord): Agreement {
  if (record.task === 'detection') return new BoxAgreement(record);
  if (record.task === 'segmentation') return new ClassMapAgreement(record);
  throw new RangeError(`there is no measure of agreement for ${record.task}`);
}

/** What the reference is held to have found: the boxes that are shown unless something else is asked for. */
const FOUND = 0.3;
/** Of the other's boxes, next to nothing is cut off, as COCO measures. */
const LEAST = 0.001;

/** COCO's AP with the boxes of the reference as the truth. */
class BoxAgreement implements Agreement {
  readonly metric = 'AP';
  readonly #record: ModelRecord;
  readonly #anchors: Float32Array;
  readonly #images: CocoImage[] = [];
  readonly #truth: CocoAnnotation[] = [];
  readonly #found: CocoDetection[] = [];

  constructor(record: ModelRecord) {
    this.#record = record;
    this.#anchors = ssdAnchors(networkOf(record).grids);
  }

  add(actual: Outputs, reference: Outputs, { image }: PhotoInput): void {
    const image_id = this.#images.length + 1;
    this.#images.push({ id: image_id, ...image, file_name: '' });
    for (const box of this.#boxes(reference, FOUND, image)) {
      const [, , width, height] = box.bbox;
      const id = this.#truth.length + 1;
      const { score: _score, ...rest } = box;
      this.#truth.push({ id, image_id, ...rest, area: width * height, iscrowd: 0 });
    }
    for (const box of this.#boxes(actual, LEAST, image)) this.#found.push({ image_id, ...box });
  }

  value(): number | undefined {
    if (this.#truth.length === 0) return undefined;
    const categories = this.#record.labels.map(({ classId, label }) => ({ id: classId, name: label }));
    const instances = { images: this.#images, annotations: this.#truth, categories };
    return evaluateDetections(instances, this.#found).summary.AP;
  }

  #boxes(
    { box_encodings: encodings, class_logits: logits }: Outputs,
    scoreThreshold: number,
    { width, height }: Size,
  ) {
    if (!encodings || !logits) throw new Error(`${this.#record.name} has other outputs than its head`);
    const options = { scoreThreshold, iouThreshold: 0.6, maxDetections: 100, agnosticNms: false };
    const classIds = this.#record.labels.map(({ classId }) => classId);
    return detections(encodings, logits, this.#anchors, { ...options, classIds }).map(
      ({ classId, score, box: { xMin, yMin, xMax, yMax } }) => ({
        category_id: classId,
        score,
        bbox: [xMin * width, yMin * height, (xMax - xMin) * width, (yMax - yMin) * height] as const,
      }),
    );
  }
}

/** VOC's mean IoU with the class map of the reference as the truth, both at the size that the network sees. */
class ClassMapAgreement implements Agreement {
  readonly metric = 'mIoU';
  readonly #record: ModelRecord;
  readonly #matrix: ConfusionMatrix;

  constructor(record: ModelRecord) {
    this.#record = record;
    this.#matrix = new ConfusionMatrix(record.classColumns);
  }

  add(actual: Outputs, reference: Outputs, { size }: PhotoInput): void {
    this.#matrix.add(this.#classes(reference, size), this.#classes(actual, size));
  }

  value(): number | undefined {
    const { mIoU } = this.#matrix.evaluate();
    return mIoU < 0 ? undefined : mIoU;
  }

  #classes(outputs: Outputs, size: Size): Uint8Array {
    const { outputStride, classColumns: classes, alignCorners = true } = this.#record;
    const points = (side: number) => (side - 1) / outputStride + 1;
    const grid = { height: points(size.height), width: points(size.width) };
    const [data = new Float32Array()] = Object.values(outputs);
    const logits: LogitMap = { data, classes, ...grid };
    const looks = { photo: size, resized: size, input: size, grid };
    return classMap(logits, gridMapping({ ...looks, alignCorners, mirrored: false }), size);
  }
}
