import type { Request, Response } from 'express';
import { declaredSize, identifyImage } from '../image/format.ts';
import type { EncodedImage } from '../inference/service.ts';
import type { Settings } from '../settings.ts';
import { readImages } from './body.ts';
import { BodyMemory } from './body_memory.ts';
import { context } from './context.ts';
import type { OperationId } from './document.ts';
import { ClientGone, HttpProblem } from './problem.ts';

/** The images of one request, whole and looked at, and how long they may take. */
export interface Intake {
  readonly images: readonly EncodedImage[];
  /** Whether `{results: [...]}` is the answer. */
  readonly batch: boolean;
  /** Aborts when the client goes away or the request's time is up. */
  readonly signal: AbortSignal;
  /** `performance.now()` when the whole body was there. */
  readonly received: number;
  /** Counts an answer's bytes with those of bodies, until it has gone out. @throws HttpProblem `overloaded` */
  readonly hold: (bytes: number) => void;
}

/** Takes in the images of requests; one for all routes, since they share the memory that bodies may take. */
export class ImageIntake {
  readonly #settings: Settings;
  readonly #bodies: BodyMemory;

  constructor(settings: Settings) {
    this.#settings = settings;
    this.#bodies = new BodyMemory(settings.bodyBytes);
  }

  /**
   * @throws HttpProblem and ClientGone as `readImages` does, `image_too_large`; ImageError where bytes are no image of ours
   */
  async receive(request: Request, response: Response, operationId: OperationId): Promise<Intake> {
    const settings = this.#settings;
    const memory = this.#bodies.open();
    response.once('close', memory.release);
    const signal = deadline(response, context(response).started, settings);
    const limits = { ...settings, timeoutMs: settings.requestTimeoutMs, hold: memory.take };
    const { images, batch } = await readImages(request, limits, operationId);
    const received = performance.now();
    return {
      images: images.map((bytes, index) => admit(bytes, settings, batch ? index : undefined)),
      batch,
      signal,
      received,
      hold: memory.take,
    };
  }
}

/** Refuses, before any native code sees them, bytes that are no image of ours or declare too many pixels. */
function admit(bytes: Buffer, { maxImagePixels }: Settings, index: number | undefined): EncodedImage {
  try {
    identifyImage(bytes);
  } catch (error) {
    throw Object.assign(error as Error, index !== undefined && { index });
  }
  const size = declaredSize(bytes);
  // A size that only the decoder can tell counts as the largest.
  const pixels = size ? size.width * size.height : maxImagePixels;
  if (size && pixels > maxImagePixels) {
    throw new HttpProblem(
      'image_too_large',
      `the image has ${size.width} x ${size.height} = ${pixels} pixels, the most that this server takes is ${maxImagePixels}`,
      index === undefined ? {} : { index },
    );
  }
  return { bytes, pixels };
}

/** Aborts when the client goes away (nobody reads the answer) or the request's time is up. */
function deadline(response: Response, started: number, { requestTimeoutMs }: Settings): AbortSignal {
  const controller = new AbortController();
  const timer = setTimeout(
    () =>
      controller.abort(
        new HttpProblem('deadline_exceeded', `the answer was not ready within ${requestTimeoutMs} ms`),
      ),
    Math.max(0, started + requestTimeoutMs - performance.now()),
  );
  response.once('close', () => {
    clearTimeout(timer);
    if (!response.writableFinished) controller.abort(new ClientGone('the client closed the connection'));
  });
  return controller.signal;
}

/** All results, or the error of the first image (in the batch's order) that has one, with its index. */
export async function settle<Result>(pending: readonly Promise<Result>[], batch: boolean): Promise<Result[]> {
  const outcomes = await Promise.allSettled(pending);
  return outcomes.map((outcome, index) => {
    if (outcome.status === 'fulfilled') return outcome.value;
    if (batch && outcome.reason instanceof Error && !(outcome.reason instanceof HttpProblem)) {
      throw Object.assign(outcome.reason, { index });
    }
    throw outcome.reason;
  });
}
