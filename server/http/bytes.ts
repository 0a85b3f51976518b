// Bytes that arrive in pieces.

const FIRST_CAPACITY = 64 * 1024;

/**
 * Collects pieces of bytes in one buffer that doubles as it fills. The pieces themselves are not kept: a body sent one
 * byte at a time would otherwise cost a hundred times its size in Buffer objects.
 */
export class Bytes {
  #buffer: Buffer = Buffer.alloc(0);
  #length = 0;
  readonly #most: number;

  /** @param most the buffer never becomes larger than this, in bytes */
  constructor(most: number) {
    this.#most = most;
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
      const capacity = Math.min(this.#most, Math.max(needed, 2 * this.#buffer.length, FIRST_CAPACITY));
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
