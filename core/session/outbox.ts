import { NumberMap } from "../number-map.ts";
import { ChunkList } from "./chunk-list.ts";
import {
  DATA_FRAME_BYTES,
  LEAST_TURN_BYTES,
  weightOf,
  type CallNumber,
  type DataFrame,
  type GatewayFrame,
  type RunnerFrame,
} from "./frames.ts";

/** The body of one call on its way out. */
interface Lane<Frame> {
  readonly call: CallNumber;
  readonly chunks: ChunkList;
  /** The writer was told to wait. */
  full: boolean;
  /** Bytes the other side has room for. */
  credit: number;
  /** What goes after the last byte, once the body has ended. */
  tail: Frame | undefined;
  /** In the ring of lanes that have something to send. */
  queued: boolean;
}

/** What a call may have queued before its writer is to wait: a small answer is then one write, its end included. */
const LANE_BYTES = 64 * 1024;

/**
 * What one end of a session has to send: control frames first, then bodies, call by call in turns
 * that share a message, each against the credit the other end gave. No I/O: `wake` is called when there is
 * something to take, and whoever writes takes as much as the connection has room for.
 */
export class Outbox<Frame extends GatewayFrame | RunnerFrame> {
  readonly #wake: () => void;
  readonly #linger: () => void;
  readonly #drained: (call: CallNumber) => void;
  #control: Frame[] = [];
  readonly #lanes = new NumberMap<Lane<Frame>>();
  #ring: Lane<Frame>[] = [];

  /**
   * @param drained - told when all that was written for a call has been taken, if its writer waits for it
   * @param linger - there is something to take that is in no hurry
   */
  constructor(wake: () => void, drained: (call: CallNumber) => void, linger: () => void = wake) {
    this.#wake = wake;
    this.#drained = drained;
    this.#linger = linger;
  }

  /** Queues a frame ahead of all bodies. */
  control(frame: Frame): void {
    this.#control.push(frame);
    this.#wake();
  }

  /** Queues a frame in the same order, which need not be sent before there is something to go with it. */
  unhurried(frame: Frame): void {
    this.#control.push(frame);
    this.#linger();
  }

  /** Takes a control frame back if it has not been taken. */
  withdraw(frame: Frame): boolean {
    const at = this.#control.indexOf(frame);
    if (at >= 0) this.#control.splice(at, 1);
    return at >= 0;
  }

  open(call: CallNumber, credit: number): void {
    this.#lanes.set(call, { call, credit, chunks: new ChunkList(), full: false, tail: undefined, queued: false });
  }

  credit(call: CallNumber, bytes: number): void {
    const lane = this.#lanes.get(call);
    if (lane === undefined) return;
    lane.credit += bytes;
    this.#enqueue(lane);
  }

  /** Queues body bytes, which must not change afterwards. False: write no more until `drained`. */
  write(call: CallNumber, bytes: Uint8Array): boolean {
    const lane = this.#lanes.get(call);
    if (lane === undefined || bytes.length === 0) return true;
    lane.chunks.push(bytes);
    this.#enqueue(lane);
    lane.full = lane.chunks.bytes >= LANE_BYTES || lane.chunks.bytes > lane.credit;
    return !lane.full;
  }

  /** Ends the body; `tail` goes after its last byte, and the lane is closed with it. */
  end(call: CallNumber, tail: Frame): void {
    const lane = this.#lanes.get(call);
    if (lane === undefined) return;
    lane.tail = tail;
    this.#enqueue(lane);
  }

  /** Drops what is left of the body, and keeps its end. */
  cut(call: CallNumber): void {
    const lane = this.#lanes.get(call);
    if (lane === undefined) return;
    lane.chunks.clear();
    this.#enqueue(lane);
  }

  /** Forgets what is left of the body, its end included. */
  close(call: CallNumber): void {
    const lane = this.#lanes.get(call);
    if (lane === undefined) return;
    lane.chunks.clear();
    lane.tail = undefined;
    this.#lanes.delete(call);
  }

  /** Bodies that have not been sent to their end. */
  get bodies(): number {
    return this.#lanes.size;
  }

  get empty(): boolean {
    return this.#control.length === 0 && this.#ring.length === 0;
  }

  /** The next frames, of about `budgetBytes`: control frames in their order, then bodies in turns. */
  take(budgetBytes: number): (Frame | DataFrame)[] {
    let budget = budgetBytes;
    let controls = 0;
    for (const frame of this.#control) {
      if (budget <= 0) break;
      controls += 1;
      budget -= weightOf(frame);
    }
    const frames: (Frame | DataFrame)[] = this.#control.splice(0, controls);
    const most = Math.max(LEAST_TURN_BYTES, Math.min(DATA_FRAME_BYTES, Math.floor(budget / this.#ring.length)));
    while (budget > 0) {
      const lane = this.#ring.shift();
      if (lane === undefined) break;
      lane.queued = false;
      budget -= this.#turn(lane, most, frames);
      this.#enqueue(lane, false);
    }
    return frames;
  }

  /** One call's turn; returns the bytes it took of the budget. The tail goes with the last of them. */
  #turn(lane: Lane<Frame>, mostBytes: number, frames: (Frame | DataFrame)[]): number {
    const size = this.#piece(lane, mostBytes, frames);
    if (lane.chunks.bytes > 0) return size;
    if (lane.tail !== undefined) {
      frames.push(lane.tail);
      this.#lanes.delete(lane.call);
      lane.tail = undefined;
    } else if (lane.full && size > 0) {
      lane.full = false;
      this.#drained(lane.call);
    }
    return size;
  }

  #piece(lane: Lane<Frame>, mostBytes: number, frames: (Frame | DataFrame)[]): number {
    const bytes = lane.chunks.take(Math.min(lane.credit, mostBytes));
    if (bytes === undefined) return 0;
    frames.push({ type: "data", call: lane.call, bytes, end: false });
    lane.credit -= bytes.length;
    return bytes.length;
  }

  #enqueue(lane: Lane<Frame>, wake = true): void {
    const sendable = lane.chunks.bytes > 0 ? lane.credit > 0 : lane.tail !== undefined;
    if (lane.queued || !sendable) return;
    lane.queued = true;
    this.#ring.push(lane);
    if (wake) this.#wake();
  }
}
