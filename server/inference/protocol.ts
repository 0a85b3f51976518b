import type { Region } from '../image/region.ts';
import type { ModelRecord } from '../zoo/record.ts';

/** What passes between the server and its workers. A photo's bytes travel beside the message, see frames.ts. */

/** What a worker loads before it takes jobs. */
export interface LoadMessage {
  readonly type: 'load';
  /** Records, not names: the server's and its workers' idea of a model is the same. */
  readonly models: readonly ModelRecord[];
  /** The store's folder. */
  readonly home: string;
  /** Threads an inference may use. */
  readonly threads: number;
  readonly limits: PhotoLimits;
}

/** What a photo may cost. */
export interface PhotoLimits {
  readonly maxPixels: number;
  /** Whole seconds that decoding may take. */
  readonly timeoutSeconds?: number;
}

/** The photo of a job: a file's bytes, or pixels that are the network's input already ([height, width, 3] RGB). */
export interface Photo {
  readonly kind: 'encoded' | 'pixels';
  readonly bytes: Uint8Array;
}

/** What to look for in a photo, and where. */
export interface DetectOptions {
  /** Only this part is looked at, in pixels of the upright photo. */
  readonly region?: Region;
  readonly scoreThreshold: number;
  readonly iouThreshold: number;
  readonly maxDetections: number;
  readonly agnosticNms: boolean;
  /** The classes looked for; all of the model's where absent. */
  readonly classIds?: readonly number[];
}

export interface DetectMessage {
  readonly type: 'detect';
  readonly model: string;
  readonly kind: Photo['kind'];
  readonly options: DetectOptions;
}

/** Messages to a worker; a `detect` is followed by the photo's bytes. */
export type ToWorker = LoadMessage | DetectMessage;

/** What became of one model that a worker was told to load. */
export type LoadedModel =
  | { readonly name: string; readonly state: 'ready'; readonly seconds: number }
  | { readonly name: string; readonly state: 'unavailable' | 'failed'; readonly reason: string };

/** Milliseconds that a photo spent in each stage of a worker. */
export interface StageTimes {
  /** Decoding, orientation, colour and resizing: libvips does these in one pass. */
  readonly decode: number;
  /** From the decoded pixels to the network's input. */
  readonly preprocess: number;
  readonly inference: number;
  readonly postprocess: number;
}

/** One object, in pixels of the upright photo. */
export interface FoundObject {
  readonly classId: number;
  readonly score: number;
  readonly box: Region;
}

export interface DetectOutcome {
  readonly image: { readonly width: number; readonly height: number };
  readonly objects: readonly FoundObject[];
  readonly times: StageTimes;
}

export type FromWorker =
  | { readonly type: 'ready'; readonly models: readonly LoadedModel[] }
  | { readonly type: 'done'; readonly outcome: DetectOutcome }
  | { readonly type: 'failed'; readonly code: string; readonly message: string; readonly stack?: string };
