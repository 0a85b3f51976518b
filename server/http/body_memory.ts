import { HttpProblem } from './problem.ts';

/**
 * The bytes of request bodies, and of answers that are pictures or masks, that the server holds over all requests: what
 * each may send is limited, but many at once would still be more than the machine has. They count until the request is
 * answered.
 */
export class BodyMemory {
  readonly #limit: number;
  #held = 0;

  /** @param limit bytes; a body that comes when none other is held is taken whatever its size */
  constructor(limit: number) {
    this.#limit = limit;
  }

  /** An account for one request. `release` gives back all that it took. */
  open(): { take(bytes: number): void; release(): void } {
    let own = 0;
    return {
      take: (bytes) => {
        if (this.#held + bytes > this.#limit && this.#held > own) {
          throw new HttpProblem(
            'overloaded',
            `the server holds ${this.#limit} bytes of other requests already`,
          );
        }
        own += bytes;
        this.#held += bytes;
      },
      release: () => {
        this.#held -= own;
        own = 0;
      },
    };
  }
}
