import { CallError } from "../../../core/call-error.ts";
import type { Clock } from "../../../core/clock.ts";
import type { Need } from "./candidate.ts";
import { fairChoice, placeAt, type Lane, type Share } from "./lane.ts";
import type { RunnerView } from "./runner-view.ts";
import { WaitingList, type Ticket } from "./waiting-list.ts";

export interface QueueLimits {
  /** Calls of one function that may wait. */
  readonly perFunction: number;
  /** Calls that may wait in all. */
  readonly total: number;
}

export interface WaitingRoomOptions {
  readonly clock: Clock;
  readonly limits: QueueLimits;
  /** Wait before all runners are asked again though none told of room, at first; it doubles up to 64 times that. */
  readonly retryDelayMs: number;
  /** From 0 to below 1: how much of each such wait is left to chance. */
  readonly random: () => number;
}

/** What a call has heard before it stands in the room. */
export interface Asked {
  /** Who may take it, as the pool says; undefined where it did not ask the pool. */
  readonly runners: readonly RunnerView[] | undefined;
  /** Who refused it, and in which version. */
  readonly refused: ReadonlyMap<RunnerView, number>;
}

const MOST_DELAYS = 64;
/** Calls that ask all runners again at once. */
const PROBES_AT_ONCE = 16;
/** Lanes that are looked at for one place. */
const LANES_AT_ONCE = 128;

/**
 * Where calls wait that no runner took. Each place that a runner tells of wakes one of them: in a lane the first that
 * came, between functions the one that had least. Owns no timer but one of its clock, and does no I/O.
 */
export class WaitingRoom {
  readonly #options: WaitingRoomOptions;
  readonly #lanes = new Map<string, Lane>();
  readonly #shares = new Map<string, Share>();
  #size = 0;
  #lastNumber = 0;
  #delays = 1;
  #cancelProbe: (() => void) | undefined;

  constructor(options: WaitingRoomOptions) {
    this.#options = options;
  }

  /** Calls that wait or try again. */
  get size(): number {
    return this.#size;
  }

  /** Whether calls of this lane wait: who comes now stands behind them. */
  isWaiting(lane: string): boolean {
    return this.#lanes.get(lane)?.list.first !== undefined;
  }

  /** @throws CallError `server_busy` when the room is full */
  enter(laneKey: string, need: Need, asked: Asked, wake: (view: RunnerView | undefined) => void): Ticket {
    this.#checkRoom(need);
    const lane = this.#lane(laneKey, need.fnId);
    const number = ++this.#lastNumber;
    const ticket: Ticket = {
      need,
      number,
      lane,
      wake,
      state: "waiting",
      probing: false,
      before: undefined,
      after: undefined,
    };
    this.#size += 1;
    lane.share.size += 1;
    this.#stand(ticket, asked);
    return ticket;
  }

  /** A call that was woken found no place, and waits on where it stood. */
  comeBack(ticket: Ticket, asked: Asked): void {
    if (ticket.state !== "out") return;
    this.#countOut(ticket, -1);
    ticket.state = "waiting";
    this.#stand(ticket, asked);
  }

  /** The call waits no more: it was placed, or given up. */
  leave(ticket: Ticket, placed: boolean): void {
    if (ticket.state === "gone") return;
    const { lane } = ticket;
    if (ticket.state === "waiting") lane.list.remove(ticket);
    else this.#countOut(ticket, -1);
    ticket.state = "gone";
    this.#size -= 1;
    lane.share.size -= 1;
    if (placed && ticket.probing && lane.list.first !== undefined) this.#wake(lane.list.first, undefined);
    this.#forget(lane, ticket.need.fnId);
  }

  /** A runner may have places: wakes as many calls as it has places for. */
  serve(view: RunnerView): void {
    if (this.#size === 0 || !view.usable) return;
    for (let lane = this.#next(view); lane?.list.first !== undefined; lane = this.#next(view)) {
      const { first } = lane.list;
      view.promise(first.need);
      this.#wake(first, view);
    }
  }

  /** There may be runners that nobody has asked: soon one call of each lane asks all. */
  probeSoon(): void {
    this.#delays = 1;
    this.#disarm();
    this.#arm();
  }

  #checkRoom({ fnId }: Need): void {
    const { perFunction, total } = this.#options.limits;
    const why =
      this.#size >= total
        ? `${total} calls wait already, the most (FN_QUEUE_SIZE)`
        : (this.#shares.get(fnId)?.size ?? 0) >= perFunction
          ? `${perFunction} calls of this function wait already, the most (FN_QUEUE_SIZE_PER_FUNCTION)`
          : undefined;
    if (why !== undefined) throw new CallError("server_busy", `Timed out - server too busy: ${why}`);
  }

  #lane(key: string, fnId: string): Lane {
    const known = this.#lanes.get(key);
    if (known !== undefined) return known;
    const share = this.#share(fnId);
    const lane: Lane = { key, share, list: new WaitingList(), runners: [], refused: new Map(), out: 0 };
    this.#lanes.set(key, lane);
    // Whoever is new asks again soon.
    if (this.#delays > 1) this.probeSoon();
    return lane;
  }

  #share(fnId: string): Share {
    let share = this.#shares.get(fnId);
    if (share === undefined) {
      let served = Infinity;
      for (const other of this.#shares.values()) served = Math.min(served, other.served);
      share = { size: 0, served: Number.isFinite(served) ? served : 0, servedAt: this.#options.clock.now(), out: 0 };
      this.#shares.set(fnId, share);
    }
    return share;
  }

  #forget(lane: Lane, fnId: string): void {
    if (lane.list.first === undefined && lane.out === 0) this.#lanes.delete(lane.key);
    if (lane.share.size === 0) this.#shares.delete(fnId);
    if (this.#size > 0) return;
    this.#disarm();
    this.#delays = 1;
  }

  #next(view: RunnerView): Lane | undefined {
    return fairChoice(this.#someLanes(), view, this.#options.clock.now());
  }

  /** Some of the lanes; those that are looked at go to the end, so that each has its turn. */
  *#someLanes(): Generator<Lane, void, void> {
    if (this.#lanes.size <= LANES_AT_ONCE) return yield* this.#lanes.values();
    const turn: Lane[] = [];
    for (const lane of this.#lanes.values()) if (turn.push(lane) >= LANES_AT_ONCE) break;
    for (const lane of turn) this.#toTheEnd(lane);
    yield* turn;
  }

  #toTheEnd(lane: Lane): void {
    this.#lanes.delete(lane.key);
    this.#lanes.set(lane.key, lane);
  }

  #wake(ticket: Ticket, view: RunnerView | undefined): void {
    const { lane } = ticket;
    lane.list.remove(ticket);
    ticket.state = "out";
    ticket.probing = view === undefined;
    this.#countOut(ticket, 1);
    if (view !== undefined) {
      lane.share.served += 1;
      lane.share.servedAt = this.#options.clock.now();
    }
    ticket.wake(view);
  }

  /** Runners may have told of room while the call was out, and found nobody waiting. */
  #stand(ticket: Ticket, { runners, refused }: Asked): void {
    const { lane, need } = ticket;
    if (runners !== undefined) lane.runners = runners;
    for (const [view, version] of refused) lane.refused.set(view, version);
    lane.list.add(ticket);
    this.#arm();
    for (const view of lane.runners) if (placeAt(lane, view, need) !== undefined) this.serve(view);
  }

  #countOut({ lane }: Ticket, by: number): void {
    lane.out += by;
    lane.share.out += by;
  }

  #arm(): void {
    if (this.#cancelProbe !== undefined || this.#size === 0) return;
    const { clock, retryDelayMs, random } = this.#options;
    this.#cancelProbe = clock.after(retryDelayMs * this.#delays * (0.5 + random()), () => {
      this.#cancelProbe = undefined;
      this.#delays = Math.min(this.#delays * 2, MOST_DELAYS);
      this.#probe();
      this.#arm();
    });
  }

  #disarm(): void {
    this.#cancelProbe?.();
    this.#cancelProbe = undefined;
  }

  #probe(): void {
    const turn: Lane[] = [];
    for (const lane of this.#lanes.values()) {
      if (turn.length >= PROBES_AT_ONCE) break;
      if (lane.out === 0) turn.push(lane);
    }
    for (const lane of turn) {
      this.#toTheEnd(lane);
      if (lane.list.first !== undefined) this.#wake(lane.list.first, undefined);
    }
  }
}
