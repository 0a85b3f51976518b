import { setImmediate as nextTurn } from 'node:timers/promises';
import { HttpProblem } from './problem.ts';

/**
 * Work that a route does on the event loop itself, a piece a turn: whatever else has come in is answered between two
 * pieces, so that probes wait for one of them at most.
 */
export class Turns {
  readonly #most: number;
  #waiting = 0;
  #last: Promise<unknown> = Promise.resolve();

  /** @param most pieces that may wait; one more is refused */
  constructor(most: number) {
    this.#most = most;
  }

  /** What `work` returns or throws, in a turn of its own. @throws HttpProblem `overloaded` where too many wait already */
  async take<Result>(work: () => Result): Promise<Result> {
    if (this.#waiting >= this.#most) {
      throw new HttpProblem('overloaded', `${this.#most} requests of this kind wait already`, {
        headers: { 'Retry-After': '1' },
      });
    }
    this.#waiting += 1;
    const mine = this.#last.then(() => nextTurn()).then(work);
    this.#last = mine.catch(() => undefined);
    try {
      return await mine;
    } finally {
      this.#waiting -= 1;
    }
  }
}
