import type { Response } from 'express';

/** What is known of a request while it is being answered; kept with its response. */
export interface RequestContext {
  readonly id: string;
  /** `performance.now()` when the request arrived. */
  readonly started: number;
  /** Filled in by the route as it finds out: labels of the metrics, fields of the log. */
  readonly seen: {
    model?: string;
    precision?: string;
    code?: string;
    /** The answer was sent, though its request was cut off before its end. */
    answered?: boolean;
  };
}

const contexts = new WeakMap<object, RequestContext>();

export function setContext(response: Response, value: RequestContext): void {
  contexts.set(response, value);
}

/** @throws Error where the response passed no `requestContext` middleware, which is a fault of the server */
export function context(response: Response): RequestContext {
  const found = contexts.get(response);
  if (!found) throw new Error('a response without context');
  return found;
}
