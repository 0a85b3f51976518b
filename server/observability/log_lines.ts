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
/** The system's ways of saying "not now", */
const BUSY = new Set(['EAGAIN', 'EBUSY', 'EINTR']);
/** and "never again": who read it is gone. */
const OVER = new Set(['EPIPE', 'EBADF', 'EIO', 'ECONNRESET']);
const NOTHING = Buffer.alloc(0);
const NEWLINE = 10;

/**
 * Where pino puts its lines: gathered, and written a few at a time. Lines that cannot be written (the disk is full) or that nobody
 * reads are lost, and the log says how many once it goes on; neither keeps the server from answering or from ending, as
 * sonic-boom 4.2, pino's own, does by writing again for ever.
 */
export class LogLines {
  readonly #descriptor: number;
  #waiting = '';
  /** What the system did not take yet of lines that it began with. */
  #rest: Buffer = NOTHING;
  /** Whether the last line was lost after its beginning had been written. */
  #isTorn = false;
  #timer: NodeJS.Timeout | undefined;
  #writing: Promise<void> | undefined;
  /** When the system was given what it still holds. */
  #since = 0;
  #isOver = false;
  #isClosed = false;
  #dropped = 0;
  /** Of those, what a notice that is being written says. */
  #noted = 0;

  /** @param descriptor of an open file; standard output where none is named */
  constructor(descriptor = 1) {
    this.#descriptor = descriptor;
    process.on('exit', () => this.#atExit());
  }

  /** Takes a line, with its end. */
  write(line: string): void {
    if (this.#isOver || this.#isClosed) return;
    if (this.#waiting.length + line.length > MOST_WAITING) {
      this.#dropped += 1;
      return;
    }
    this.#waiting += line;
    if (this.#waiting.length >= ENOUGH) this.#send();
    else this.#sendLater();
  }

  /** Takes no more lines, and writes all that waits, before the process ends; gives up after a second. */
  async close(): Promise<void> {
    this.#isClosed = true;
    const done = (async () => {
      while (this.#waiting !== '' || this.#rest.length > 0 || this.#writing) {
        this.#send();
        await this.#writing;
      }
    })();
    await Promise.race([done, sleep(LAST_MS, undefined, { ref: false })]);
    this.#isOver = true;
  }

  /** Writes all that waits at once, as far as the system takes it: for a process that breaks off. */
  flushSync(): void {
    // What the system is writing now comes before it, and cannot be waited for here.
    if (this.#isOver || this.#writing) return;
    this.#take();
    while (this.#rest.length > 0) {
      try {
        this.#wrote(writeSync(this.#descriptor, this.#rest));
      } catch (error) {
        if (!this.#isToTryAgain(error as NodeJS.ErrnoException)) continue;
        this.#sendLater();
        return;
      }
    }
  }

  #atExit(): void {
    this.flushSync();
    // Node waits for its threads, and one is in a write that nobody will ever let go on: a terminal that was stopped, say.
    if (this.#writing && performance.now() - this.#since > LAST_MS / 2) process.kill(process.pid, 'SIGKILL');
  }

  #sendLater(): void {
    this.#timer ??= setTimeout(() => this.#send(), LATEST_MS).unref();
  }

  #send(): void {
    if (this.#writing || this.#isOver) return;
    this.#take();
    if (this.#rest.length === 0) return;
    this.#writing = this.#writeRest().finally(() => {
      this.#writing = undefined;
      if (this.#waiting.length >= ENOUGH) this.#send();
      else if (this.#waiting !== '') this.#sendLater();
    });
  }

  /** Makes what waits the rest that is to be written. */
  #take(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#waiting === '') return;
    const lost = {
      level: 40,
      time: new Date().toISOString(),
      dropped: this.#dropped,
      msg: 'lines of the log were lost before this one: it could not be written, or was not read',
    };
    const notice = this.#dropped > 0 ? `${JSON.stringify(lost)}\n` : '';
    const begun = this.#isTorn ? '\n' : '';
    this.#isTorn = false;
    this.#rest = Buffer.concat([this.#rest, Buffer.from(begun + this.#waiting + notice)]);
    this.#waiting = '';
    this.#noted += this.#dropped;
    this.#dropped = 0;
  }

  async #writeRest(): Promise<void> {
    while (this.#rest.length > 0 && !this.#isOver) {
      this.#since = performance.now();
      const error = await new Promise<NodeJS.ErrnoException | null>((resolve) => {
        write(this.#descriptor, this.#rest, (failed, written) => {
          if (!failed) this.#wrote(written);
          resolve(failed);
        });
      });
      if (error && this.#isToTryAgain(error)) await sleep(RETRY_MS);
    }
  }

  #wrote(count: number): void {
    this.#isTorn = count < this.#rest.length && this.#rest[count - 1] !== NEWLINE;
    this.#rest = this.#rest.subarray(count);
    if (this.#rest.length === 0) this.#noted = 0;
  }

  /** Whether the system may take the rest a little later; where not, it is lost, and all that comes where there is no reader any more. */
  #isToTryAgain({ code = '' }: NodeJS.ErrnoException): boolean {
    if (BUSY.has(code)) return true;
    const lines = this.#rest.filter((byte) => byte === NEWLINE).length;
    // A notice is no line that anybody misses, but what it says is.
    this.#dropped += this.#noted > 0 ? lines - 1 + this.#noted : lines;
    this.#noted = 0;
    this.#rest = NOTHING;
    if (OVER.has(code)) {
      this.#isOver = true;
      this.#waiting = '';
      console.error(`thinlens: the log ends here, since it cannot be written any more (${code})`);
    }
    return false;
  }
}
