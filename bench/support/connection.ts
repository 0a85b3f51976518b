import type { Socket } from 'node:net';
import { connect } from 'node:net';

const HEADER_END = '\r\n\r\n';

/**
 * One keep-alive HTTP/1.1 connection that sends prepared requests, one at a time: far cheaper than a general HTTP client,
 * which would compete with the server for the same cores. It reads as much of an answer as tells its status and its end.
 */
export class Connection {
  readonly #host: string;
  readonly #port: number;
  /** How often a connection was opened: once, unless the server closes it. */
  opened = 0;
  #socket: Socket | undefined;
  #answer = new AnswerReader();
  #settle: ((outcome: string) => void) | undefined;

  constructor(host: string, port: number) {
    this.#host = host;
    this.#port = port;
  }

  /**
   * Sends one request.
   * @param parts head and body
   * @returns the status of its answer, or in words what went wrong; never rejects
   */
  send(parts: readonly Buffer[]): Promise<string> {
    this.#socket ??= this.#connect();
    this.#answer = new AnswerReader();
    const outcome = new Promise<string>((resolve) => {
      this.#settle = resolve;
    });
    this.#socket.cork();
    for (const part of parts) this.#socket.write(part);
    this.#socket.uncork();
    return outcome;
  }

  close(): void {
    this.#socket?.destroy();
    this.#socket = undefined;
  }

  #connect(): Socket {
    this.opened += 1;
    const socket = connect(this.#port, this.#host).setNoDelay(true);
    const broken = (reason: string) => {
      // A socket tells its error and then that it is closed: by then there may be another one.
      if (socket !== this.#socket) return;
      this.#socket = undefined;
      socket.destroy();
      this.#settle?.(reason);
    };
    socket.on('data', (chunk) => {
      if (socket !== this.#socket) return;
      const outcome = this.#answer.read(chunk);
      if (outcome === undefined) return;
      if (/^\d+$/.test(outcome) && !this.#answer.closes) this.#settle?.(outcome);
      else broken(outcome);
    });
    socket.on('error', (error: NodeJS.ErrnoException) => broken(error.code ?? error.message));
    socket.on('close', () => broken('connection closed'));
    return socket;
  }
}

/** Reads one answer, of which only the head is looked at. */
export class AnswerReader {
  /** Whether the server said that it closes the connection after this answer. */
  closes = false;
  #head = '';
  #status = '';
  #left = Number.NaN;

  /** @returns the status once the answer is whole, in words what is wrong with it, or undefined while more has to come */
  read(chunk: Buffer): string | undefined {
    if (Number.isNaN(this.#left)) {
      this.#head += chunk.toString('latin1');
      const end = this.#head.indexOf(HEADER_END);
      if (end < 0) return undefined;
      const lines = this.#head.slice(0, end);
      const length = /^content-length: *(\d+)/im.exec(lines)?.[1];
      if (length === undefined) return 'an answer without Content-Length';
      this.#status = lines.slice(9, 12);
      this.closes = /^connection: *close/im.test(lines);
      this.#left = Number(length) - (this.#head.length - end - HEADER_END.length);
    } else {
      this.#left -= chunk.length;
    }
    return this.#left <= 0 ? this.#status : undefined;
  }
}
