/**
 * Messages with a large binary part over a byte stream: two little-endian 32-bit lengths, JSON, bytes. Node's own channel
 * between processes would copy a photo into its serializer and out again, and the garbage of that costs the server more
 * CPU than all its other work on a request.
 */
const HEADER_BYTES = 8;

/** The pieces to write, in order; `body` is not copied. */
export function frame(message: unknown, body: Uint8Array): [Buffer, Uint8Array] {
  const json = Buffer.from(JSON.stringify(message));
  const head = Buffer.allocUnsafe(HEADER_BYTES + json.length);
  head.writeUInt32LE(json.length, 0);
  head.writeUInt32LE(body.length, 4);
  json.copy(head, HEADER_BYTES);
  return [head, body];
}

/** Puts frames together from the chunks of a stream, however they are cut. */
export class FrameReader<Message> {
  readonly #take: (message: Message, body: Uint8Array) => void;
  /** What is being filled: a header, and then JSON and body in one. */
  #target = Buffer.allocUnsafeSlow(HEADER_BYTES);
  #filled = 0;
  /** Length of the JSON, once the header is known. */
  #jsonLength: number | undefined;

  constructor(take: (message: Message, body: Uint8Array) => void) {
    this.#take = take;
  }

  push(chunk: Uint8Array): void {
    for (let at = 0; at < chunk.length; ) {
      const piece = chunk.subarray(at, at + this.#target.length - this.#filled);
      this.#target.set(piece, this.#filled);
      this.#filled += piece.length;
      at += piece.length;
      if (this.#filled === this.#target.length) this.#full();
    }
  }

  #full(): void {
    const filled = this.#target;
    if (this.#jsonLength === undefined) {
      this.#jsonLength = filled.readUInt32LE(0);
      this.#target = Buffer.allocUnsafeSlow(this.#jsonLength + filled.readUInt32LE(4));
    } else {
      const message = JSON.parse(filled.toString('utf8', 0, this.#jsonLength)) as Message;
      const body = filled.subarray(this.#jsonLength);
      this.#jsonLength = undefined;
      this.#target = Buffer.allocUnsafeSlow(HEADER_BYTES);
      this.#take(message, body);
    }
    this.#filled = 0;
  }
}
