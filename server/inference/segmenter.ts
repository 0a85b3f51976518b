import { classMap } from '../../heads/deeplabv3/class_map.ts';
import type { GridMapping } from '../../heads/deeplabv3/grid_mapping.ts';
import { gridMapping } from '../../heads/deeplabv3/grid_mapping.ts';
import { alignedSide, fittedSize } from '../../heads/deeplabv3/input_size.ts';
import type { LogitMap } from '../../heads/deeplabv3/logits.ts';
import { MULTI_SCALES, scaledSize } from '../../heads/deeplabv3/multi_scale.ts';
import type { View } from '../../heads/deeplabv3/views.ts';
import { averageViews, commonGrid } from '../../heads/deeplabv3/views.ts';
import { cost } from '../../models/graph/cost.ts';
import type { Normalization } from '../../models/graph/image_input.ts';
import { decodeImage } from '../image/decode.ts';
import type { Size } from '../image/region.ts';
import { mirrorPixels, resizePixels } from '../image/resize.ts';
import { MAX_CLASSES } from '../zoo/labels.ts';
import { networkOf, servedSize } from '../zoo/network.ts';
import type { ModelRecord, Precision } from '../zoo/record.ts';
import type { ModelStore } from '../zoo/store.ts';
import { ModelUnavailableError } from '../zoo/weights.ts';
import type { OpenOptions } from './open.ts';
import { openSession } from './open.ts';
import type { PhotoLimits, StageTimes, ViewOptions } from './protocol.ts';
import type { ImageSession } from './session.ts';

/** Resized pixels to a point of the grid that views are averaged on; 0.05 % of the pixels differ from a grid of all (bench/class_map.ts). */
const VIEW_SPACING = 4;

/** What the network said of a photo, to be read at any of its pixels. */
export interface Segmentation {
  /** Size of the photo as a person sees it. */
  readonly image: Size;
  /** Size that the network saw it at, without scaling, any padding included. */
  readonly input: Size;
  readonly logits: LogitMap;
  /** From the photo's pixels to the points of `logits`. */
  readonly mapping: GridMapping;
  /** Multiply-adds over all views. */
  readonly madds: number;
  /** Postprocessing is the averaging of views. */
  readonly times: StageTimes;
}

/** One look at a photo: the size that it is resized to, and that of the input, in whose upper left corner it lies. */
interface Look {
  readonly resized: Size;
  readonly input: Size;
}

const area = ({ width, height }: Size) => width * height;

/** Whether the JavaScript compiler has seen a class map made in this process: once is enough for all models. */
let isCompiled = false;

/** Everything between a photo's bytes and its class map, for one model: decode, network, views. */
export class Segmenter {
  readonly record: ModelRecord;
  readonly precision: Precision;
  readonly #session: ImageSession;
  readonly #madds = new Map<string, number>();

  private constructor(record: ModelRecord, precision: Precision, session: ImageSession) {
    this.record = record;
    this.precision = precision;
    this.#session = session;
  }

  /**
   * Compiles (or reads) the model, opens a session and, where neither the session nor this process has seen an image yet, looks at
   * a blank square: the first photo does not wait for what ONNX Runtime and the JavaScript compiler do on first use.
   * @throws whatever `openSession` throws; ModelUnavailableError where the model has more classes than a class map can hold
   */
  static async open(record: ModelRecord, store: ModelStore, options: OpenOptions): Promise<Segmenter> {
    if (record.classColumns > MAX_CLASSES) {
      throw new ModelUnavailableError(
        `${record.name} has ${record.classColumns} classes, and a class map holds at most ${MAX_CLASSES}`,
      );
    }
    const segmenter = new Segmenter(
      record,
      options.precision ?? 'fp32',
      await openSession(record, store, options),
    );
    if (isCompiled && segmenter.#session.hasRun) return segmenter;
    const size = servedSize(record);
    const logits = await segmenter.#logits(new Uint8Array(size.height * size.width * 3), size);
    const look = { resized: size, input: size };
    classMap(logits, segmenter.#mapping(size, look, logits, false), size);
    isCompiled = true;
    return segmenter;
  }

  /**
   * Looks at one photo, at every scale and mirrored where the options say so.
   * @param bytes of the file
   * @throws ImageError where they are no photo that can be used
   */
  async segment(bytes: Uint8Array, options: ViewOptions, limits: PhotoLimits): Promise<Segmentation> {
    const started = performance.now();
    const decoded = await decodeImage(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength), {
      fit: (photo) =>
        this.#looks(photo, options)
          .map(({ resized }) => resized)
          .reduce((a, b) => (area(b) > area(a) ? b : a)),
      ...limits,
    });
    const { image } = decoded;
    const clock = new Clock();
    const decode = performance.now() - started;
    const seen: Seen[] = [];
    for (const look of this.#looks(image, options)) {
      const resized = await resizePixels(decoded.pixels, decoded.size, look.resized);
      for (const mirrored of options.flip ? [false, true] : [false]) {
        const shown = mirrored ? mirrorPixels(resized, look.resized) : resized;
        const pixels = padded(shown, look, this.record.normalization);
        clock.lap('preprocess');
        const logits = await this.#logits(pixels, look.input);
        clock.lap('inference');
        seen.push({ look, mirrored, logits });
      }
    }
    const { input, resized: unscaled } = this.#look(image, 1, options);
    const [only] = seen;
    const { logits, mapping } =
      seen.length === 1 && only
        ? { logits: only.logits, mapping: this.#mapping(image, only.look, only.logits, false) }
        : this.#average(seen, image, unscaled);
    clock.lap('postprocess');
    const madds = seen.reduce((sum, { look }) => sum + this.#maddsOf(look.input), 0);
    return { image, input, logits, mapping, madds, times: { decode, ...clock.times } };
  }

  async close(): Promise<void> {
    await this.#session.close();
  }

  #look(photo: Size, scale: number, { padded: toSquare = false }: ViewOptions): Look {
    const { outputStride } = this.record;
    const side = alignedSide(scaledSize(servedSize(this.record), scale).width, outputStride);
    const square = { width: side, height: side };
    if (!toSquare) {
      const fitted = fittedSize(photo, side, outputStride);
      return { resized: fitted, input: fitted };
    }
    const ratio = side / Math.max(photo.width, photo.height);
    const along = (pixels: number) => Math.max(1, Math.round(pixels * ratio));
    return { resized: { width: along(photo.width), height: along(photo.height) }, input: square };
  }

  #looks(photo: Size, options: ViewOptions): Look[] {
    return (options.multiScale ? MULTI_SCALES : [1]).map((scale) => this.#look(photo, scale, options));
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

  #mapping(photo: Size, look: Look, grid: Size, mirrored: boolean): GridMapping {
    const { alignCorners = true } = this.record;
    return gridMapping({ photo, ...look, grid, alignCorners, mirrored });
  }

  /** @param resized size of the photo in the network's input, without scaling: the grid has its proportions */
  #average(seen: readonly Seen[], image: Size, resized: Size): { logits: LogitMap; mapping: GridMapping } {
    const grid = commonGrid(image, resized, VIEW_SPACING);
    const views = seen.map(
      ({ look, mirrored, logits }): View => ({
        logits,
        mapping: this.#mapping(grid, look, logits, mirrored),
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

/** What the network said of one look. */
interface Seen {
  readonly look: Look;
  readonly mirrored: boolean;
  readonly logits: LogitMap;
}

/** Milliseconds by stage, each lap added to the stage that it ends. */
class Clock {
  readonly times = { preprocess: 0, inference: 0, postprocess: 0 };
  #since = performance.now();

  lap(stage: keyof Clock['times']): void {
    const now = performance.now();
    this.times[stage] += now - this.#since;
    this.#since = now;
  }
}

/**
 * The pixels in the upper left corner of the input, the rest as near to 0 as a pixel can be once it is normalised, which is
 * what references pad with; as they are where they fill it.
 */
function padded(pixels: Uint8Array, { resized, input }: Look, { scale, offset }: Normalization): Uint8Array {
  if (area(resized) === area(input)) return pixels;
  const filled = new Uint8Array(area(input) * 3);
  const zero = offset.map((shift, channel) => Math.round(-shift / (scale[channel] ?? 1)));
  for (let at = 0; at < filled.length; at++) filled[at] = Math.min(255, Math.max(0, zero[at % 3] ?? 0));
  const row = resized.width * 3;
  for (let y = 0; y < resized.height; y++)
    filled.set(pixels.subarray(y * row, (y + 1) * row), y * input.width * 3);
  return filled;
}
