// Bytes that arrive in pieces.

const FIRST_CAPACITY = 64 * 1024;
/** A body's declared length is believed up to here: beyond that, memory is given to bytes that have come. */
const MOST_EXPECTED = 4 * 1024 * 1024;

/**
 * Collects pieces of bytes in one buffer that doubles as it fills. The pieces themselves are not kept: a body sent one
 * byte at a time would otherwise cost a hundred times its size in Buffer objects.
 */
export class Bytes {
  #buffer: Buffer = Buffer.alloc(0);
  #length = 0;
  readonly #most: number;
  readonly #first: number;

  /**
   * @param most the buffer never becomes larger than this, in bytes
   * @param expected how many bytes were announced, so that they fit without growing; a hint, not a limit
   */
  constructor(most: number, expected = FIRST_CAPACITY) {
    this.#most = most;
    this.#first = Math.min(expected, MOST_EXPECTED);
  }

  get length(): number {
    return this.#length;
  }

  /**
   * Adds a copy of `piece`.
   * @returns false, and adds nothing, if that would be more than the most
   */
  append(piece: Uint8Array): boolean {
    const needed = this.#length + piece.length;
    if (needed > this.#most) return false;
    if (needed > this.#buffer.length) {
      const capacity = Math.min(this.#most, Math.max(needed, 2 * this.#buffer.length, this.#first));
      const larger = Buffer.allocUnsafeSlow(capacity);
      larger.set(this.#buffer.subarray(0, this.#length));
      this.#buffer = larger;
    }
    this.#buffer.set(piece, this.#length);
    this.#length = needed;
    return true;
  }

  /** The bytes so far, without a copy. */
  view(): Buffer {
    return this.#buffer.subarray(0, this.#length);
  }
}
