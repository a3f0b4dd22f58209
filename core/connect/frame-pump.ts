import type { Buffer } from "node:buffer";
import type { Writable } from "node:stream";
import { setImmediate } from "node:timers";

import type { Clock } from "../clock.ts";
import { ProtobufWriter } from "../protobuf/writer.ts";
import { MESSAGE_BYTES } from "../session/frames.ts";
import { ENVELOPE_HEAD_BYTES, sealEnvelope } from "./envelopes.ts";

export interface FrameSource<Frame> {
  /** The next frames, of about so many bytes; none if there is nothing to send. */
  take(budgetBytes: number): readonly Frame[];
  encode(writer: ProtobufWriter, frames: readonly Frame[]): void;
}

/** How long a frame that is in no hurry waits for another to go with. */
export const LINGER_MS = 10;

/**
 * Writes a session's frames to its stream: all of a turn of the event loop in one message, and none while the
 * connection pushes back.
 */
export class FramePump<Frame> {
  readonly #stream: Writable;
  readonly #source: FrameSource<Frame>;
  readonly #clock: Clock;
  readonly #writer = new ProtobufWriter();
  #scheduled = false;
  #blocked = false;
  #stopped = false;
  /** When those that wait for company have waited long enough; undefined while there are none. */
  #lingersUntil: number | undefined;
  #cancelLinger: (() => void) | undefined;

  constructor(stream: Writable, source: FrameSource<Frame>, clock: Clock) {
    this.#stream = stream;
    this.#source = source;
    this.#clock = clock;
    stream.on("drain", () => {
      this.#blocked = false;
      this.flush();
    });
  }

  /** There is something to send. */
  wake(): void {
    if (this.#scheduled || this.#blocked || this.#stopped) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      this.flush();
    });
  }

  /** There is something to send that may wait a little for company. */
  linger(): void {
    if (this.#stopped || this.#lingersUntil !== undefined) return;
    this.#lingersUntil = this.#clock.now() + LINGER_MS;
    this.#lookIn(LINGER_MS);
  }

  /** Writes what there is to send now, as far as the connection takes it. */
  flush(): void {
    this.#lingersUntil = undefined;
    while (!this.#blocked && !this.#stopped) {
      const frames = this.#source.take(MESSAGE_BYTES);
      if (frames.length === 0) return;
      this.#source.encode(this.#writer, frames);
      const pieces = this.#writer.finish(ENVELOPE_HEAD_BYTES);
      sealEnvelope(pieces, 0);
      this.#blocked = !this.#write(pieces);
    }
  }

  /** Writes what there is to send now, and that nothing more comes. */
  end(): void {
    this.flush();
    this.stop();
    this.#stream.end();
  }

  /** Takes no more. */
  stop(): void {
    this.#stopped = true;
    this.#cancelLinger?.();
  }

  /** One timer for all that linger, and not one for each: most of them go with others long before. */
  #lookIn(ms: number): void {
    this.#cancelLinger ??= this.#clock.after(ms, () => {
      this.#cancelLinger = undefined;
      if (this.#lingersUntil === undefined) return;
      const leftMs = this.#lingersUntil - this.#clock.now();
      if (leftMs > 0) this.#lookIn(leftMs);
      else this.wake();
    });
  }

  /** False: the connection has enough. */
  #write([first, ...more]: readonly [Buffer, ...Uint8Array[]]): boolean {
    if (more.length === 0) return this.#stream.write(first);
    this.#stream.cork();
    let room = this.#stream.write(first);
    for (const piece of more) room = this.#stream.write(piece);
    this.#stream.uncork();
    return room;
  }
}
