/** What waits in a queue takes memory now (bytes) and work later (pixels). */
export interface Load {
  readonly bytes: number;
  readonly pixels: number;
}

export interface QueueLimits extends Load {
  readonly images: number;
}

/** A first-in, first-out queue that refuses rather than grows. */
export class BoundedQueue<T extends Load> {
  readonly limits: QueueLimits;
  readonly #items: T[] = [];
  #bytes = 0;
  #pixels = 0;

  constructor(limits: QueueLimits) {
    this.limits = limits;
  }

  get size(): number {
    return this.#items.length;
  }

  /**
   * Adds all of `items`, or none where they do not fit: a batch is never half accepted. Whatever comes at once fits an
   * empty queue, since waiting would not make it smaller; how large it may be is decided elsewhere.
   * @returns whether they were taken
   */
  push(items: readonly T[]): boolean {
    const bytes = this.#bytes + sum(items, 'bytes');
    const pixels = this.#pixels + sum(items, 'pixels');
    const { limits } = this;
    const fits =
      this.size + items.length <= limits.images && bytes <= limits.bytes && pixels <= limits.pixels;
    if (!fits && this.size > 0) return false;
    this.#items.push(...items);
    this.#bytes = bytes;
    this.#pixels = pixels;
    return true;
  }

  /** Puts back what was taken out already; it has its place at the front whatever the limits say. */
  unshift(item: T): void {
    this.#items.unshift(item);
    this.#count(item, 1);
  }

  shift(): T | undefined {
    const item = this.#items.shift();
    if (item) this.#count(item, -1);
    return item;
  }

  /** Takes `item` out of the middle. @returns whether it was there */
  remove(item: T): boolean {
    const at = this.#items.indexOf(item);
    if (at < 0) return false;
    this.#items.splice(at, 1);
    this.#count(item, -1);
    return true;
  }

  #count(item: T, sign: 1 | -1): void {
    this.#bytes += sign * item.bytes;
    this.#pixels += sign * item.pixels;
  }
}

const sum = (items: readonly Load[], key: keyof Load) => items.reduce((total, item) => total + item[key], 0);
