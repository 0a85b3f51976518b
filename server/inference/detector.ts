import { ssdAnchors } from '../../heads/ssdlite/anchors.ts';
import { detections } from '../../heads/ssdlite/detections.ts';
import { decodeImage } from '../image/decode.ts';
import type { Region } from '../image/region.ts';
import { networkOf } from '../zoo/network.ts';
import type { ModelRecord, Precision } from '../zoo/record.ts';
import type { ModelStore } from '../zoo/store.ts';
import type { OpenOptions } from './open.ts';
import { openSession } from './open.ts';
import type { DetectOptions, DetectOutcome, FoundObject, Photo, PhotoLimits } from './protocol.ts';
import type { ImageSession } from './session.ts';

/** Whether the JavaScript compiler has seen a photo's whole way in this process: once is enough for all models. */
let isCompiled = false;

/** Everything between a photo's bytes and its boxes, for one model: decode, network, postprocessing. */
export class Detector {
  readonly record: ModelRecord;
  readonly precision: Precision;
  readonly #session: ImageSession;
  readonly #anchors: Float32Array;
  readonly #allClasses: readonly number[];

  private constructor(record: ModelRecord, precision: Precision, session: ImageSession) {
    this.record = record;
    this.precision = precision;
    this.#session = session;
    this.#anchors = ssdAnchors(networkOf(record).grids);
    this.#allClasses = record.labels.map(({ classId }) => classId);
  }

  /**
   * Compiles (or reads) the model, opens a session and, where neither the session nor this process has seen an image yet, looks at
   * a blank one, every candidate considered: the first photo does not wait for what ONNX Runtime and the JavaScript compiler do on
   * first use.
   * @throws whatever `openSession` throws
   */
  static async open(record: ModelRecord, store: ModelStore, options: OpenOptions): Promise<Detector> {
    const detector = new Detector(
      record,
      options.precision ?? 'fp32',
      await openSession(record, store, options),
    );
    if (isCompiled && detector.#session.hasRun) return detector;
    const { width, height } = record.input;
    await detector.detect(
      { kind: 'pixels', bytes: new Uint8Array(width * height * 3) },
      {
        scoreThreshold: 0,
        iouThreshold: 0.6,
        maxDetections: 100,
        agnosticNms: false,
      },
      { maxPixels: width * height },
    );
    isCompiled = true;
    return detector;
  }

  /** The network's raw outputs for pixels [height, width, 3] of its input size; valid until the next call. */
  async outputs(pixels: Uint8Array): Promise<{ encodings: Float32Array; logits: Float32Array }> {
    const { width, height } = this.record.input;
    if (pixels.length !== width * height * 3) {
      throw new RangeError(
        `${this.record.name} takes ${height} x ${width} x 3 pixels, not ${pixels.length} bytes`,
      );
    }
    const { box_encodings: encodings, class_logits: logits } = await this.#session.run(pixels, {
      height,
      width,
    });
    if (!encodings || !logits) throw new Error(`${this.record.name} has other outputs than its head`);
    return { encodings, logits };
  }

  /**
   * Finds objects in one photo. Boxes are pixels of the upright photo, also when only a region of it was looked at.
   * @throws ImageError where the bytes are no photo that can be used
   */
  async detect(photo: Photo, options: DetectOptions, limits: PhotoLimits): Promise<DetectOutcome> {
    const started = performance.now();
    const { input } = this.record;
    const decoded =
      photo.kind === 'pixels'
        ? { pixels: photo.bytes, image: input, region: whole(input) }
        : await decodeImage(Buffer.from(photo.bytes.buffer, photo.bytes.byteOffset, photo.bytes.byteLength), {
            ...input,
            ...limits,
            ...(options.region && { region: options.region }),
          });
    const decodedAt = performance.now();
    // Nothing is left to do between decoder and network: normalisation is inside the graph.
    const { encodings, logits } = await this.outputs(decoded.pixels);
    const inferredAt = performance.now();
    const found = detections(encodings, logits, this.#anchors, {
      ...options,
      classIds: options.classIds ?? this.#allClasses,
    });
    const { region } = decoded;
    const width = region.x_max - region.x_min;
    const height = region.y_max - region.y_min;
    const objects = found.map(
      ({ classId, score, box }): FoundObject => ({
        classId,
        score,
        box: {
          x_min: region.x_min + box.xMin * width,
          y_min: region.y_min + box.yMin * height,
          x_max: region.x_min + box.xMax * width,
          y_max: region.y_min + box.yMax * height,
        },
      }),
    );
    return {
      image: { width: decoded.image.width, height: decoded.image.height },
      objects,
      times: {
        decode: decodedAt - started,
        preprocess: 0,
        inference: inferredAt - decodedAt,
        postprocess: performance.now() - inferredAt,
      },
    };
  }

  async close(): Promise<void> {
    await this.#session.close();
  }
}

const whole = ({ width, height }: { width: number; height: number }): Region => ({
  x_min: 0,
  y_min: 0,
  x_max: width,
  y_max: height,
});
