import { CallError } from "../../../core/call-error.ts";
import type { Clock } from "../../../core/clock.ts";
import type { Placement, RunnerCall, RunnerPool } from "../runnerpool.ts";
import type { Need, Rank, Snapshot } from "./candidate.ts";
import type { Ledger } from "./ledger.ts";
import type { RunnerView } from "./runner-view.ts";
import { Tally } from "./tally.ts";
import type { Asked, WaitingRoom } from "./waiting-room.ts";

export interface SearchParts {
  readonly clock: Clock;
  readonly ledger: Ledger;
  readonly room: WaitingRoom;
  readonly random: () => number;
}

/** What one call looks for, and how. */
export interface SearchPlan {
  readonly call: RunnerCall;
  readonly pool: RunnerPool;
  readonly rank: Rank;
  /** How long it may look; how long it then runs is its own affair. */
  readonly timeoutMs: number;
  /** Told of each order in which runners are asked. */
  readonly ranked?: ((snapshot: Snapshot, order: readonly number[]) => void) | undefined;
}

const NOBODY: ReadonlyMap<RunnerView, number> = new Map();
const ONLY: readonly number[] = [0];

/** One call's way to a runner: asks all of them once, and then waits in the room for a place. */
export class Search {
  readonly #parts: SearchParts;
  readonly #plan: SearchPlan;
  readonly #need: Need;
  readonly #signal: AbortSignal;
  readonly #tally = new Tally();
  readonly #until: number;
  /** Made for the first refusal: most calls have none. */
  #refused: Map<RunnerView, number> | undefined;
  #runners: readonly RunnerView[] | undefined;

  constructor(parts: SearchParts, plan: SearchPlan, signal: AbortSignal) {
    this.#parts = parts;
    this.#plan = plan;
    this.#signal = signal;
    this.#until = parts.clock.now() + plan.timeoutMs;
    const { affinityKey, call } = plan.call;
    const { fnId, cpuMillis, concurrency } = call;
    this.#need = { fnId, affinityKey, memoryMiB: call.memoryMiB + call.tmpfsMiB, cpuMillis, concurrency };
  }

  async run(): Promise<Placement> {
    const { room } = this.#parts;
    const lane = this.#lane;
    // Who comes later does not overtake those that wait.
    const placement = room.isWaiting(lane) ? undefined : await this.#askAll();
    return placement ?? (await this.#wait(lane));
  }

  get #lane(): string {
    const { affinityKey, call } = this.#plan.call;
    const { placement } = call;
    return placement === undefined ? affinityKey : `${affinityKey} ${JSON.stringify(placement.labels ?? {})}`;
  }

  get #asked(): Asked {
    return { runners: this.#runners, refused: this.#refused ?? NOBODY };
  }

  async #wait(laneKey: string): Promise<Placement> {
    const { clock, room } = this.#parts;
    if (this.#signal.aborted) throw this.#left();
    if (clock.now() >= this.#until) throw this.#verdict();
    let woken = awaitedLater<RunnerView | undefined>();
    const ticket = room.enter(laneKey, this.#need, this.#asked, (view) => woken.resolve(view));
    const late = () => woken.reject(this.#verdict());
    const left = () => woken.reject(this.#left());
    const cancelTimer = clock.after(this.#until - clock.now(), late, true);
    this.#signal.addEventListener("abort", left, { once: true });
    let placement: Placement | undefined;
    try {
      for (;;) {
        const view = await woken.promise;
        woken = awaitedLater();
        placement = view === undefined ? await this.#askAll() : await this.#askOne(view);
        if (placement !== undefined) return placement;
        if (clock.now() >= this.#until) throw this.#verdict();
        room.comeBack(ticket, this.#asked);
      }
    } finally {
      cancelTimer();
      this.#signal.removeEventListener("abort", left);
      room.leave(ticket, placement !== undefined);
    }
  }

  async #askAll(): Promise<Placement | undefined> {
    const { call, pool } = this.#plan;
    const { clock } = this.#parts;
    const runners = await pool.runners(call, this.#signal);
    const views = this.#parts.ledger.viewsOf(runners, call.call.placement?.labels);
    this.#runners = views;
    for (const index of this.#order(views)) {
      const view = views[index];
      // A runner that is known to be away is asked only where there is no other, for its reason.
      if (view === undefined || (!view.usable && views.some(({ usable }) => usable))) continue;
      if (clock.now() >= this.#until) return undefined;
      if (this.#signal.aborted) throw this.#left();
      view.promise(this.#need);
      const placement = await this.#offer(view);
      if (placement !== undefined) return placement;
    }
    const reason = this.#tally.neverFits(views.map(({ runner }) => runner));
    if (reason !== undefined) throw reason;
    return undefined;
  }

  /** By index: who is asked first, second and so on. Of one there is nothing to choose. */
  #order(candidates: readonly RunnerView[]): Iterable<number> {
    const { rank, ranked } = this.#plan;
    if (candidates.length === 1 && ranked === undefined) return ONLY;
    const { clock, random } = this.#parts;
    const snapshot: Snapshot = { need: this.#need, candidates, chance: random(), now: clock.now() };
    if (ranked === undefined) return rank(snapshot);
    // As an array: what is told must be what is asked, though the first runner's refusal changes its view.
    const order = [...rank(snapshot)];
    ranked(snapshot, order);
    return order;
  }

  /** Its room was promised to this call. */
  async #askOne(view: RunnerView): Promise<Placement | undefined> {
    if (this.#signal.aborted) {
      view.forgetPromises();
      this.#parts.room.serve(view);
      throw this.#left();
    }
    return this.#offer(view);
  }

  async #offer(view: RunnerView): Promise<Placement | undefined> {
    this.#tally.attempts += 1;
    const { version, runner } = view;
    // The call's own signal: finding a runner has a deadline, running on it does not.
    const offer = await runner.tryCall(this.#plan.call, this.#signal);
    if (offer.placed) return { runner, attempts: this.#tally.attempts };
    if (offer.scope === "any_runner") throw offer.reason;
    this.#tally.refused(runner, offer.reason);
    view.refused(this.#need.affinityKey, version);
    (this.#refused ??= new Map()).set(view, version);
    return undefined;
  }

  #left(): CallError {
    return CallError.from(this.#signal.reason, "client_cancel");
  }

  #verdict(): CallError {
    return this.#tally.verdict(this.#plan.timeoutMs, this.#unasked);
  }

  /** Why no runner was asked. */
  get #unasked(): string {
    if (this.#runners === undefined || this.#runners.length > 0) return "calls before it took what came free";
    const wished = Object.entries(this.#plan.call.call.placement?.labels ?? {});
    if (wished.length === 0) return "the pool has no runner";
    return `the pool has no runner with ${wished.map(([name, value]) => `${name}=${value}`).join(" and ")}`;
  }
}

/** A promise that may be rejected while the call asks a runner, before it is waited for again. */
function awaitedLater<T>(): PromiseWithResolvers<T> {
  const made = Promise.withResolvers<T>();
  made.promise.catch(() => {});
  return made;
}
