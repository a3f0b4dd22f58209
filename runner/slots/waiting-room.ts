import type { CallError } from "../../core/call-error.ts";
import type { Clock } from "../../core/clock.ts";
import { Alarm } from "./alarm.ts";
import type { Expectations } from "./expectations.ts";
import { busy, crowded, full, refused, tooBig } from "./refusals.ts";
import type { Resources } from "./resources.ts";
import type { SlotQueue } from "./slot-queue.ts";
import type { SlotQueues } from "./slot-queues.ts";
import type { Acquired, SlotRequest, SlotWaiter } from "./slot.ts";
import type { Starts } from "./starts.ts";
import type { Waiting } from "./waiting-line.ts";

export interface WaitingRoomOptions<C> {
  readonly resources: Resources;
  readonly starts: Starts<C>;
  readonly expectations: Expectations;
  readonly queues: SlotQueues<C>;
  /** Calls of one slot key that wait at the same time. */
  readonly mostWaiting: number;
  /** Longest wait for a slot to come back. */
  readonly slotWaitMs: number;
  readonly clock: Clock;
}

/** Estimates of calls that take next to no time say little. */
const LEAST_TURN_MS = 10;

/**
 * Calls without a slot: whether each waits for one that is expected back, has a container started for it, or goes
 * elsewhere. One whose expectation was in vain gets a container after all.
 */
export class WaitingRoom<C> {
  readonly #options: WaitingRoomOptions<C>;
  readonly #patience: Alarm;
  #closed = false;

  constructor(options: WaitingRoomOptions<C>) {
    this.#options = options;
    this.#patience = new Alarm(options.clock, () => this.#endPatience());
  }

  /** A call that found no slot. */
  enter(queue: SlotQueue<C>, request: SlotRequest, waiter: SlotWaiter<C>): Acquired<C> {
    const { resources, expectations, mostWaiting, clock } = this.#options;
    if (!resources.couldFit(request.booking)) return refused(tooBig(request, resources));
    const place = queue.waiting.placeOf(waiter);
    const isFull = queue.waiting.length >= mostWaiting;
    if (isFull && place === queue.waiting.length) return refused(crowded(mostWaiting));
    const since = clock.now();
    const until = since + expectations.patienceMs(queue);
    const waiting: Waiting<C> = { request, waiter, since, until, told: false };
    const soon = expectations.comesSoon(queue, place + 1);
    queue.waiting.insert(waiting, place);
    const reason = soon ? undefined : this.#startOne(queue, false);
    if (reason !== undefined) {
      const turnMs = this.#turnMs(waiting, queue);
      if (turnMs === undefined) {
        queue.waiting.remove(waiting);
        if (queue.holders.of(waiter.source) === 0) queue.latecomers.refused(waiter.source);
        return refused(reason);
      }
      waiting.until = since + turnMs;
    }
    if (isFull) queue.waiting.pop()?.waiter.failed(crowded(mostWaiting));
    if (!queue.isBacked(waiting)) this.#patience.by(waiting.until);
    else if (place + 1 < queue.waiting.length) this.#renew(queue.unbacked[0], until);
    waiting.told = (!soon && reason === undefined) || queue.isBacked(waiting);
    return { kind: waiting.told ? "waiting" : "soon" };
  }

  /**
   * How long a call for which there is no room may wait for the next slot, if it may: the only one of a gateway that has
   * nothing of the function here, and was refused while others had all of it.
   */
  #turnMs({ waiter: { source } }: Waiting<C>, queue: SlotQueue<C>): number | undefined {
    const { slotWaitMs } = this.#options;
    const runMs = queue.estimate.run.value ?? Infinity;
    const isOnly = queue.holders.of(source) === 0 && queue.waiting.countOf(source) === 1;
    if (!isOnly || queue.running === 0 || runMs > slotWaitMs || !queue.latecomers.isOwed(source)) return undefined;
    return Math.min(slotWaitMs, LEAST_TURN_MS + 2 * runMs);
  }

  /** A container is removed whose slots some may have expected. */
  lost(queue: SlotQueue<C>): void {
    const { expectations } = this.#options;
    while (queue.waiting.length > 0 && !expectations.comesSoon(queue, queue.waiting.length)) {
      // Where none can be started, it is their patience that ends it.
      if (this.#startOne(queue, false) !== undefined) break;
    }
    queue.tellBacked();
  }

  /** A start has failed: whoever has neither another nor a slot to wait for hears why. The others are patient once more. */
  failed(queue: SlotQueue<C>, reason: CallError): void {
    const { expectations, clock } = this.#options;
    while (queue.waiting.length > 0 && !expectations.comesSoon(queue, queue.waiting.length)) {
      queue.waiting.shift()?.waiter.failed(reason);
    }
    const until = clock.now() + expectations.patienceMs(queue);
    if (!this.#closed) for (const waiting of queue.unbacked) this.#renew(waiting, until);
  }

  /**
   * Whether the waiting calls do as well without the start whose turn has come: since it was decided on, calls have
   * ended, and it is known how long they take. Those that counted on it are patient once more.
   */
  spares(queue: SlotQueue<C>): boolean {
    const { expectations, clock } = this.#options;
    const others = queue.starts.size - 1;
    if (this.#closed || queue.estimate.run.value === undefined || queue.waiting.length === 0) return false;
    if (!expectations.sparesStart(queue)) return false;
    const until = clock.now() + expectations.patienceMs(queue);
    for (const waiting of queue.waiting.slice(others * queue.concurrency)) this.#renew(waiting, until);
    return true;
  }

  /** Nobody is patient any more: those that are left have a start to wait for. */
  close(): void {
    this.#closed = true;
    this.#patience.off();
  }

  /** The start that it counted on is no longer its own. */
  #renew(waiting: Waiting<C> | undefined, until: number): void {
    if (waiting === undefined) return;
    waiting.until = until;
    this.#patience.by(until);
  }

  /** Why none can be started, or undefined: one is. */
  #startOne(queue: SlotQueue<C>, firm: boolean): CallError | undefined {
    const { starts, resources } = this.#options;
    if (queue.full) return full(queue.latest);
    if (starts.begin(queue, { mayEvict: true, firm })) return undefined;
    return starts.trouble ?? busy(queue.latest, resources);
  }

  /** The slots that some expected did not come. */
  #endPatience(): void {
    const { expectations, queues, clock, slotWaitMs } = this.#options;
    const now = clock.now();
    for (const queue of queues.astir()) {
      // Whether a container of its own would be there any sooner, as things stand.
      const { pulls, queuesForTurn } = queue;
      for (const late of queue.unbacked) {
        const mayWaitOn = pulls || (queuesForTurn && now - late.since < slotWaitMs);
        if (late.until <= now && mayWaitOn) late.until = now + expectations.patienceMs(queue);
        if (late.until > now) this.#patience.by(late.until);
        else if (!queue.isBacked(late)) this.#endPatienceOf(late, queue);
      }
    }
  }

  #endPatienceOf(late: Waiting<C>, queue: SlotQueue<C>): void {
    const reason = this.#startOne(queue, true);
    if (reason === undefined) return queue.tellBacked();
    queue.waiting.remove(late);
    this.#options.queues.forgetUnused(queue);
    late.waiter.failed(reason);
  }
}
