/** What waits in a queue takes memory now (bytes) and work later (pixels). */
export interface Load {
  readonly bytes: number;
  readonly pixels: number;
}

export interface QueueLimits extends Load {
  readonly images: number;
}

/** How items are told apart, and what they take of those who share the queue. */
export interface Sharing<T> {
  /** The lane that `item` waits in: lanes get equal shares of the work. */
  lane(item: T): string;
  /** Expected work of an item of `lane`, above 0, in whatever unit. */
  cost(lane: string): number;
  /** Lanes that there can be. */
  readonly lanes: number;
}

interface Lane<T> {
  readonly name: string;
  readonly items: T[];
  /** Virtual time at which its first item starts. */
  start: number;
  readonly load: Totals;
}

/** Of the queue, the part that is kept for lanes with little waiting, and how much that is. */
const RESERVE = 1 / 4;

/**
 * A queue that refuses rather than grows, and shares the work out fairly between its lanes; within a lane it is first in, first out.
 *
 * Start-time fair queueing (Goyal, Vin and Cheng, SIGCOMM 1996): each item starts, in virtual time, when the one before it in its
 * lane is done, and the item that starts first is next. Virtual time is the start of what was taken last, and no lane that
 * had nothing waiting starts before it: idleness saves up nothing. Items are charged when they are taken, by what is
 * expected of their lane then; what is taken out unserved was free.
 */
export class BoundedQueue<T extends Load> {
  readonly limits: QueueLimits;
  readonly #sharing: Sharing<T>;
  readonly #lanes = new Map<string, Lane<T>>();
  /** What came back: before all lanes, and charged already. */
  readonly #returned: T[] = [];
  readonly #total = new Totals();
  #now = 0;

  constructor(limits: QueueLimits, sharing: Sharing<T>) {
    this.limits = limits;
    this.#sharing = sharing;
  }

  get size(): number {
    return this.#total.images;
  }

  /** Expected work of all that waits, in the unit of the costs. */
  get work(): number {
    const { lane, cost } = this.#sharing;
    const returned = this.#returned.reduce((sum, item) => sum + cost(lane(item)), 0);
    return [...this.#lanes.values()].reduce(
      (sum, { name, items }) => sum + items.length * cost(name),
      returned,
    );
  }

  /**
   * Adds all of `items`, or none where they do not fit: a batch is never half accepted. Whatever comes at once fits an
   * empty queue, since waiting would not make it smaller; how large it may be is decided elsewhere. Where there are several
   * lanes, the last quarter of the queue is for those that hold no more than a quarter: who floods one is refused before those who
   * use another are.
   * @returns whether they were taken
   */
  push(items: readonly T[]): boolean {
    if (this.size > 0 && !this.#fits(items)) return false;
    for (const item of items) {
      const lane = this.#laneOf(item);
      if (lane.items.length === 0) lane.start = Math.max(lane.start, this.#now);
      lane.items.push(item);
      lane.load.count(item, 1);
      this.#total.count(item, 1);
    }
    return true;
  }

  /** Puts back what was taken out already; it has its place at the front whatever the limits say. */
  unshift(item: T): void {
    this.#returned.unshift(item);
    this.#total.count(item, 1);
  }

  /** Takes out the item whose turn it is. */
  shift(): T | undefined {
    const item = this.#returned.shift() ?? this.#next();
    if (item) this.#total.count(item, -1);
    return item;
  }

  /** Takes `item` out of the middle. @returns whether it was there */
  remove(item: T): boolean {
    const lane = this.#laneOf(item);
    const waiting = [this.#returned, lane.items].find((items) => items.includes(item));
    if (!waiting) return false;
    waiting.splice(waiting.indexOf(item), 1);
    if (waiting === lane.items) lane.load.count(item, -1);
    this.#total.count(item, -1);
    return true;
  }

  #next(): T | undefined {
    let first: Lane<T> | undefined;
    for (const lane of this.#lanes.values()) {
      if (lane.items.length > 0 && (!first || lane.start < first.start)) first = lane;
    }
    const item = first?.items.shift();
    if (!first || !item) return undefined;
    first.load.count(item, -1);
    this.#now = first.start;
    first.start += this.#sharing.cost(first.name);
    return item;
  }

  #laneOf(item: T): Lane<T> {
    const name = this.#sharing.lane(item);
    let lane = this.#lanes.get(name);
    if (!lane) {
      lane = { name, items: [], start: this.#now, load: new Totals() };
      this.#lanes.set(name, lane);
    }
    return lane;
  }

  #fits(items: readonly T[]): boolean {
    const total = this.#total.copy();
    const lanes = new Map<string, Totals>();
    for (const item of items) {
      const { name, load } = this.#laneOf(item);
      const sums = lanes.get(name) ?? load.copy();
      lanes.set(name, sums);
      for (const sum of [total, sums]) sum.count(item, 1);
    }
    return (['images', 'bytes', 'pixels'] as const).every((key) => {
      const limit = this.limits[key];
      if (total[key] > limit) return false;
      const reserve = this.#sharing.lanes > 1 ? Math.floor(limit * RESERVE) : 0;
      if (total[key] <= limit - reserve) return true;
      return [...lanes.values()].every((sums) => sums[key] <= reserve);
    });
  }
}

/** Sums over items that wait. */
class Totals implements QueueLimits {
  images = 0;
  bytes = 0;
  pixels = 0;

  count({ bytes, pixels }: Load, sign: 1 | -1): void {
    this.images += sign;
    this.bytes += sign * bytes;
    this.pixels += sign * pixels;
  }

  copy(): Totals {
    return Object.assign(new Totals(), this);
  }
}
