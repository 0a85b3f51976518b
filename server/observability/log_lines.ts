import { write, writeSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

/** Lines are written when they are this long together, in characters, */
const ENOUGH = 4096;
/** or this old, in milliseconds. */
const LATEST_MS = 200;
/** No more characters than this wait for somebody to read the log. */
const MOST_WAITING = 1 << 20;
/** For how long a log that nobody reads holds up the end of the process. */
const LAST_MS = 1000;
const RETRY_MS = 20;
/** The system's way of saying "not now". */
const BUSY = new Set(['EAGAIN', 'EBUSY', 'EINTR']);

/**
 * Where pino puts its lines: gathered, and written a few at a time. A log that cannot be written (its reader is gone, the disk is
 * full) is given up, and one that nobody reads loses lines; neither keeps the server from answering or from ending, as
 * sonic-boom 4.2, pino's own, does by writing again for ever.
 */
export class LogLines {
  readonly #descriptor: number;
  #waiting = '';
  #timer: NodeJS.Timeout | undefined;
  /** Being written now. */
  #writing: Promise<void> | undefined;
  #isLost = false;
  #isClosed = false;
  #dropped = 0;

  /** @param descriptor of an open file; standard output where none is named */
  constructor(descriptor = 1) {
    this.#descriptor = descriptor;
    process.on('exit', () => this.flushSync());
  }

  /** Takes a line, with its end. */
  write(line: string): void {
    if (this.#isLost || this.#isClosed) return;
    if (this.#waiting.length + line.length > MOST_WAITING) {
      this.#dropped += 1;
      return;
    }
    this.#waiting += line;
    if (this.#waiting.length >= ENOUGH) this.#send();
    else this.#timer ??= setTimeout(() => this.#send(), LATEST_MS).unref();
  }

  /** Takes no more lines, and writes all that waits, before the process ends; gives up after a second. */
  async close(): Promise<void> {
    this.#isClosed = true;
    const done = (async () => {
      while (this.#waiting !== '' || this.#writing) {
        this.#send();
        await this.#writing;
      }
    })();
    await Promise.race([done, sleep(LAST_MS, undefined, { ref: false })]);
    this.#giveUp();
  }

  /** Writes all that waits at once, as far as the system takes it: for a process that breaks off. */
  flushSync(): void {
    // What is half written cannot be finished here, and nothing belongs in its middle.
    if (this.#isLost || this.#writing) return;
    try {
      let bytes = Buffer.from(this.#take());
      while (bytes.length > 0) bytes = bytes.subarray(writeSync(this.#descriptor, bytes));
    } catch {
      this.#giveUp();
    }
  }

  #send(): void {
    if (this.#writing || this.#waiting === '') return;
    this.#writing = this.#writeWhole(Buffer.from(this.#take())).finally(() => {
      this.#writing = undefined;
      if (this.#waiting.length >= ENOUGH) this.#send();
      else if (this.#waiting !== '') this.#timer ??= setTimeout(() => this.#send(), LATEST_MS).unref();
    });
  }

  #take(): string {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const taken = this.#waiting;
    const lost =
      this.#dropped > 0
        ? `${JSON.stringify({ level: 40, dropped: this.#dropped, msg: 'the log was not read: lines are missing here' })}\n`
        : '';
    this.#waiting = '';
    this.#dropped = 0;
    return taken + lost;
  }

  async #writeWhole(bytes: Buffer): Promise<void> {
    for (let rest = bytes; rest.length > 0 && !this.#isLost; ) {
      const { written, code } = await this.#writeSome(rest);
      rest = rest.subarray(written);
      if (code === undefined) continue;
      if (!BUSY.has(code)) return this.#giveUp();
      await sleep(RETRY_MS);
    }
  }

  #writeSome(bytes: Buffer): Promise<{ readonly written: number; readonly code?: string | undefined }> {
    return new Promise((resolve) => {
      write(this.#descriptor, bytes, (error, written) =>
        resolve(error ? { written: 0, code: error.code ?? error.message } : { written }),
      );
    });
  }

  #giveUp(): void {
    this.#isLost = true;
    this.#waiting = '';
    clearTimeout(this.#timer);
  }
}
