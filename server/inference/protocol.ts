import type { PictureType } from '../image/picture.ts';
import type { Region, Size } from '../image/region.ts';
import type { ModelRecord, Precision } from '../zoo/record.ts';
import type { ExecutionProvider } from './execution_providers.ts';
import type { Fallback, PrecisionSetting } from './precision.ts';

/** What passes between the server and its workers. Bytes of photos and of answers travel beside the message, see frames.ts. */

/** What a worker loads before it takes jobs. */
export interface LoadMessage {
  readonly type: 'load';
  /** Records, not names: the server's and its workers' idea of a model is the same. */
  readonly models: readonly ModelRecord[];
  /** The store's folder. */
  readonly home: string;
  /** Threads an inference may use. */
  readonly threads: number;
  readonly precision: PrecisionSetting;
  /** 'cpu' where absent. */
  readonly executionProvider?: ExecutionProvider;
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
  /** Draw what was found on the photo, as a file of this type. */
  readonly picture?: PictureType;
}

/** How often, and how, the network looks at a photo. */
export interface ViewOptions {
  /** At six scales from 0.5 to 1.75, averaged. */
  readonly multiScale: boolean;
  /** Each scale also mirrored left to right, averaged. */
  readonly flip: boolean;
  /**
   * As references evaluate: resized in exact proportion and padded to the network's square, for comparing figures with theirs.
   * Otherwise the network sees the photo alone, which costs less and finds more.
   */
  readonly padded?: boolean;
}

/** How masks sit inside JSON. */
export type MaskFormat = 'png' | 'rle' | 'rle_uncompressed' | 'polygons';

/** What a photo's classes are handed over as. */
export type SegmentForm =
  | {
      readonly kind: 'json';
      readonly masks: MaskFormat;
      /** Pixels that polygons may be off by. */
      readonly tolerance: number;
      /** Also how sure the network is, for each class and each pixel. */
      readonly confidence: boolean;
    }
  /** A palette PNG of class ids. */
  | { readonly kind: 'classes' }
  /** The photo with its classes laid over it. */
  | { readonly kind: 'overlay'; readonly type: PictureType };

/** What to say of a photo's pixels, and how. */
export interface SegmentOptions extends ViewOptions {
  readonly form: SegmentForm;
  /** The classes reported; all of the model's but its background where absent. */
  readonly classIds?: readonly number[];
}

/** What workers can be asked, and what they answer. */
export interface Tasks {
  readonly detect: { readonly options: DetectOptions; readonly outcome: DetectOutcome };
  readonly segment: { readonly options: SegmentOptions; readonly outcome: SegmentOutcome };
}
export type TaskName = keyof Tasks;

export interface JobMessage<Name extends TaskName = TaskName> {
  readonly type: 'job';
  readonly task: Name;
  readonly model: string;
  /** One of those that the model was loaded with. */
  readonly precision: Precision;
  readonly kind: Photo['kind'];
  readonly options: Tasks[Name]['options'];
}

/** Messages to a worker; a `job` is followed by the photo's bytes. */
export type ToWorker = LoadMessage | JobMessage;

/** What became of one model that a worker was told to load. */
export type LoadedModel =
  | ReadyModel
  | { readonly name: string; readonly state: 'unavailable' | 'failed'; readonly reason: string };

export interface ReadyModel {
  readonly name: string;
  readonly state: 'ready';
  readonly seconds: number;
  /** What runs where a request does not say. */
  readonly precision: Precision;
  /** What requests may ask for. */
  readonly precisions: readonly Precision[];
  readonly fallback?: Fallback;
}

/** Milliseconds that a photo spent in each stage of a worker. */
export interface StageTimes {
  /** Decoding, orientation, colour and resizing: libvips does these in one pass. */
  readonly decode: number;
  /** From the decoded pixels to the network's input. */
  readonly preprocess: number;
  readonly inference: number;
  readonly postprocess: number;
  /** Writing what was found as masks or pictures, where that is the worker's. */
  readonly encode?: number;
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
  /** The photo with its objects drawn, a file, where one was asked for. */
  readonly body?: Uint8Array;
}

/** One photo's classes, written already: the server only passes them on. */
export interface SegmentOutcome {
  readonly image: Size;
  /** Size that the network saw the photo at. */
  readonly input: Size;
  readonly madds: number;
  readonly times: StageTimes;
  /** By the form that was asked for: properties of a JSON object without its braces, or a picture's file. */
  readonly body: Uint8Array;
}

/** An outcome's `body`, where it has one, follows its message. */
export type FromWorker =
  | { readonly type: 'ready'; readonly models: readonly LoadedModel[] }
  | { readonly type: 'done'; readonly outcome: Omit<Tasks[TaskName]['outcome'], 'body'> }
  | { readonly type: 'failed'; readonly code: string; readonly message: string; readonly stack?: string };
