import { classMap } from '../../heads/deeplabv3/class_map.ts';
import type { GridMapping } from '../../heads/deeplabv3/grid_mapping.ts';
import { gridMapping } from '../../heads/deeplabv3/grid_mapping.ts';
import { fittedSize } from '../../heads/deeplabv3/input_size.ts';
import type { LogitMap } from '../../heads/deeplabv3/logits.ts';
import { MULTI_SCALES, scaledSize } from '../../heads/deeplabv3/multi_scale.ts';
import type { View } from '../../heads/deeplabv3/views.ts';
import { averageViews, commonGrid } from '../../heads/deeplabv3/views.ts';
import { cost } from '../../models/graph/cost.ts';
import { decodeImage } from '../image/decode.ts';
import type { Size } from '../image/region.ts';
import { mirrorPixels, resizePixels } from '../image/resize.ts';
import { networkOf, servedSize } from '../zoo/network.ts';
import type { ModelRecord } from '../zoo/record.ts';
import type { ModelStore } from '../zoo/store.ts';
import type { PhotoLimits, StageTimes, ViewOptions } from './protocol.ts';
import { ImageSession } from './session.ts';

/** A byte holds no more. */
const MAX_CLASSES = 256;
/** Resized pixels to a point of the grid that views are averaged on: a fifth of a per mille of the pixels differs from 1 (bench/class_map.ts). */
const VIEW_SPACING = 4;

/** What the network said of a photo, to be read at any of its pixels. */
export interface Segmentation {
  /** Size of the photo as a person sees it. */
  readonly image: Size;
  /** Size that the network saw it at, without scaling. */
  readonly input: Size;
  readonly logits: LogitMap;
  /** From the photo's pixels to the points of `logits`. */
  readonly mapping: GridMapping;
  /** Multiply-adds over all views. */
  readonly madds: number;
  /** Postprocessing is the averaging of views. */
  readonly times: StageTimes;
}

/** Everything between a photo's bytes and its class map, for one model: decode, network, views. */
export class Segmenter {
  readonly record: ModelRecord;
  readonly #session: ImageSession;
  readonly #madds = new Map<string, number>();

  private constructor(record: ModelRecord, session: ImageSession) {
    this.record = record;
    this.#session = session;
  }

  /**
   * Compiles (or reads) the model, opens a session and looks at one blank square, so that the first photo does not wait for
   * what ONNX Runtime and the JavaScript compiler do on first use.
   * @throws whatever `ModelStore.compiled` throws; Error where the model has more classes than a class map can hold
   */
  static async open(record: ModelRecord, store: ModelStore, threads: number): Promise<Segmenter> {
    if (record.classColumns > MAX_CLASSES) {
      throw new Error(
        `${record.name} has ${record.classColumns} classes, and at most ${MAX_CLASSES} can be served`,
      );
    }
    const { onnx } = await store.compiled(record);
    const segmenter = new Segmenter(record, await ImageSession.open(onnx, { threads }));
    const size = servedSize(record);
    const logits = await segmenter.#logits(new Uint8Array(size.height * size.width * 3), size);
    classMap(logits, segmenter.#mapping(size, size, logits, false), size);
    return segmenter;
  }

  /**
   * Looks at one photo, at every scale and mirrored where the options say so.
   * @param bytes of the file
   * @throws ImageError where they are no photo that can be used
   */
  async segment(bytes: Uint8Array, options: ViewOptions, limits: PhotoLimits): Promise<Segmentation> {
    const started = performance.now();
    const sizesOf = (photo: Size) => this.#viewSizes(photo, options);
    const decoded = await decodeImage(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength), {
      fit: (photo) => sizesOf(photo).reduce((a, b) => (b.width * b.height > a.width * a.height ? b : a)),
      ...limits,
    });
    const { image } = decoded;
    const sizes = sizesOf(image);
    const decodedAt = performance.now();
    let preprocess = 0;
    let inference = 0;
    const timed = async <Result>(work: () => Promise<Result> | Result, add: (ms: number) => void) => {
      const from = performance.now();
      const result = await work();
      add(performance.now() - from);
      return result;
    };
    const seen: { size: Size; mirrored: boolean; logits: LogitMap }[] = [];
    for (const size of sizes) {
      const prepare = (ms: number) => {
        preprocess += ms;
      };
      const plain = await timed(() => resizePixels(decoded.pixels, decoded.size, size), prepare);
      for (const mirrored of options.flip ? [false, true] : [false]) {
        const pixels = mirrored ? await timed(() => mirrorPixels(plain, size), prepare) : plain;
        const logits = await timed(
          () => this.#logits(pixels, size),
          (ms) => {
            inference += ms;
          },
        );
        seen.push({ size, mirrored, logits });
      }
    }
    const inferredAt = performance.now();
    const input = this.#fitted(image, 1);
    const [only] = seen;
    const { logits, mapping } =
      seen.length === 1 && only
        ? { logits: only.logits, mapping: this.#mapping(image, only.size, only.logits, false) }
        : this.#average(seen, image, input);
    return {
      image,
      input,
      logits,
      mapping,
      madds: seen.reduce((sum, { size }) => sum + this.#maddsOf(size), 0),
      times: {
        decode: decodedAt - started,
        preprocess,
        inference,
        postprocess: performance.now() - inferredAt,
      },
    };
  }

  async close(): Promise<void> {
    await this.#session.close();
  }

  /** The size of a photo at `scale`, whose long side is the network's, scaled. */
  #fitted(photo: Size, scale: number): Size {
    const { width } = scaledSize(servedSize(this.record), scale);
    return fittedSize(photo, width, this.record.outputStride);
  }

  #viewSizes(photo: Size, { multiScale }: ViewOptions): Size[] {
    return (multiScale ? MULTI_SCALES : [1]).map((scale) => this.#fitted(photo, scale));
  }

  /** @param pixels [height, width, 3] of an aligned size @returns a copy, which later runs leave alone */
  async #logits(pixels: Uint8Array, size: Size): Promise<LogitMap> {
    const [data] = Object.values(await this.#session.run(pixels, size));
    const { outputStride, classColumns: classes } = this.record;
    const points = (side: number) => (side - 1) / outputStride + 1;
    const grid = { height: points(size.height), width: points(size.width) };
    if (data?.length !== classes * grid.height * grid.width) {
      throw new Error(`${this.record.name} has other outputs than its head`);
    }
    return { data: data.slice(), classes, ...grid };
  }

  #mapping(photo: Size, size: Size, grid: Size, mirrored: boolean): GridMapping {
    const { alignCorners = true } = this.record;
    return gridMapping({ photo, resized: size, input: size, grid, alignCorners, mirrored });
  }

  #average(
    seen: readonly { readonly size: Size; readonly mirrored: boolean; readonly logits: LogitMap }[],
    image: Size,
    input: Size,
  ): { logits: LogitMap; mapping: GridMapping } {
    const grid = commonGrid(image, input, VIEW_SPACING);
    const views = seen.map(
      ({ size, mirrored, logits }): View => ({
        logits,
        mapping: this.#mapping(grid, size, logits, mirrored),
      }),
    );
    return { logits: averageViews(views, grid), mapping: grid.mapping };
  }

  #maddsOf(size: Size): number {
    const key = `${size.height}x${size.width}`;
    const known = this.#madds.get(key);
    if (known !== undefined) return known;
    const { madds } = cost(networkOf(this.record, { size }).graph);
    this.#madds.set(key, madds);
    return madds;
  }
}
