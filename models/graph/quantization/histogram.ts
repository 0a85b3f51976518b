/** Widths double until no more bins than this are in use. */
const MOST_BINS = 4096;
/** Bins are powers of two wide; smaller ones than this are for numbers that are nothing. */
const LEAST_EXPONENT = -60;

/**
 * How often numbers of which kind came by, without their range known beforehand. Bins are [i * width, (i + 1) * width); when
 * what is in use grows too long, the width doubles and each two neighbours become one, so that no count ever moves to a place
 * where it was not. Least and largest are exact, and exact zeros, of which a ReLU makes many, are counted apart.
 */
export class Histogram {
  #least = Number.POSITIVE_INFINITY;
  #largest = Number.NEGATIVE_INFINITY;
  #zeros = 0;
  #total = 0;
  #width = 0;
  /** Number of the first bin. */
  #first = 0;
  #counts = new Float64Array(0);

  /** @throws RangeError where a number is not finite */
  add(data: Float32Array): void {
    let least = Number.POSITIVE_INFINITY;
    let largest = Number.NEGATIVE_INFINITY;
    for (let i = 0; i < data.length; i++) {
      const x = data[i] as number;
      if (x < least) least = x;
      if (x > largest) largest = x;
      // The comparisons above let NaN pass.
      if (!Number.isFinite(x)) throw new RangeError(`element ${i} is ${x}`);
    }
    if (data.length === 0) return;
    this.#least = Math.min(this.#least, least);
    this.#largest = Math.max(this.#largest, largest);
    this.#total += data.length;
    this.#makeRoom();
    const counts = this.#counts;
    const [width, first] = [this.#width, this.#first];
    for (let i = 0; i < data.length; i++) {
      const x = data[i] as number;
      if (x === 0) this.#zeros++;
      else {
        const bin = Math.floor(x / width) - first;
        counts[bin] = (counts[bin] as number) + 1;
      }
    }
  }

  /** Numbers seen. */
  get total(): number {
    return this.#total;
  }

  /** Exact zeros among them; they are in no bin. */
  get zeros(): number {
    return this.#zeros;
  }

  /** Infinity, where nothing was seen. */
  get least(): number {
    return this.#least;
  }

  get largest(): number {
    return this.#largest;
  }

  /** Bins that hold something, in ascending order; `center` lies between least and largest. */
  bins(): { readonly center: number; readonly count: number }[] {
    return Array.from(this.#counts).flatMap((count, i) => {
      const center = (this.#first + i + 0.5) * this.#width;
      return count === 0 ? [] : [{ center: Math.min(Math.max(center, this.#least), this.#largest), count }];
    });
  }

  /** Sees to it that least and largest have bins. */
  #makeRoom(): void {
    const [least, largest] = [this.#least, this.#largest];
    let width = this.#width;
    if (width === 0) {
      const span = Math.max(largest - least, Math.abs(least), Math.abs(largest));
      // Half of the bins at first, so that a little more does not double them at once.
      width = 2 ** Math.max(LEAST_EXPONENT, Math.ceil(Math.log2((span * 2) / MOST_BINS || 1)));
    }
    const count = () => Math.floor(largest / width) - Math.floor(least / width) + 1;
    while (count() > MOST_BINS) width *= 2;
    const first = Math.floor(least / width);
    const length = count();
    if (width === this.#width && first === this.#first && length === this.#counts.length) return;
    const counts = new Float64Array(length);
    // Powers of two: exact.
    const ratio = this.#width === 0 ? 1 : this.#width / width;
    this.#counts.forEach((old, i) => {
      const bin = Math.floor((this.#first + i) * ratio) - first;
      if (old > 0) counts[bin] = (counts[bin] as number) + old;
    });
    [this.#width, this.#first, this.#counts] = [width, first, counts];
  }
}
