import { Buffer } from "node:buffer";
import type { Socket } from "node:net";

const CRLF = Buffer.from("\r\n");
const LAST_CHUNK = Buffer.from("0\r\n\r\n");

/** Writes a request body in chunks, one after the other, as fast as the function takes them. */
export class RequestUpload {
  readonly #socket: Socket;
  readonly #source: AsyncIterator<readonly Uint8Array[]>;
  #stopped = false;
  #sent = false;
  #wake: (() => void) | undefined;

  /** @param failed - told what the body threw */
  constructor(socket: Socket, body: AsyncIterable<readonly Uint8Array[]>, failed: (error: unknown) => void) {
    this.#socket = socket;
    this.#source = body[Symbol.asyncIterator]();
    this.#run().catch((error: unknown) => {
      if (!this.#stopped) failed(error);
    });
  }

  /** The socket has room again. */
  drained(): void {
    this.#wake?.();
    this.#wake = undefined;
  }

  /** Writes no more, and tells the body so. Whether all of it was written. */
  stop(): boolean {
    if (!this.#stopped && !this.#sent) {
      this.#stopped = true;
      this.drained();
      // Not waited for: a generator that waits for its next chunk returns after it.
      void Promise.resolve(this.#source.return?.()).catch(() => {});
    }
    return this.#sent;
  }

  async #run(): Promise<void> {
    while (!this.#stopped) {
      const next = await this.#source.next();
      if (this.#stopped) return;
      if (next.done === true) {
        this.#sent = true;
        this.#socket.write(LAST_CHUNK);
        return;
      }
      if (!this.#writeChunk(next.value)) await new Promise<void>((resolve) => (this.#wake = resolve));
    }
  }

  /** False: wait for the socket to have room. */
  #writeChunk(pieces: readonly Uint8Array[]): boolean {
    const bytes = pieces.reduce((sum, { length }) => sum + length, 0);
    if (bytes === 0) return true;
    this.#socket.cork();
    this.#socket.write(`${bytes.toString(16)}\r\n`, "latin1");
    for (const piece of pieces) this.#socket.write(piece);
    const room = this.#socket.write(CRLF);
    this.#socket.uncork();
    return room;
  }
}
