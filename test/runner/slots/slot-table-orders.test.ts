import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { CallError } from "../../../core/call-error.ts";
import type { Call } from "../../../core/call.ts";
import { chance, type Chance } from "../../../kiln/fleet/chance.ts";
import { SlotCaller, slotRequest } from "../../../kiln/testing/slot-bench.ts";
import { VirtualClock } from "../../../kiln/testing/virtual-clock.ts";
import { Resources } from "../../../runner/slots/resources.ts";
import { SlotTable } from "../../../runner/slots/slot-table.ts";
import type { LaunchTicket, SlotRequest } from "../../../runner/slots/slot.ts";

const CHANGES: readonly Partial<Call>[] = [
  {},
  { concurrency: 3 },
  { maxCalls: 2 },
  { minContainers: 1 },
  { maxContainers: 1 },
  { concurrency: 2, maxCalls: 5, minContainers: 1, maxContainers: 2 },
];
const REQUESTS = CHANGES.map((changes, which) => slotRequest(`function ${which}`, changes));
const STARTS_AT_ONCE = 2;
const SOURCES = [{}, {}, {}];

describe("SlotTable, in any order of events", () => {
  it("keeps every limit, does one thing at a time to a container, and loses nobody", () => {
    for (let seed = 1; seed <= 1_500; seed += 1) new Life(seed).live();
  });
});

/** A container as its driver would know it. */
interface Container {
  readonly name: string;
  readonly request: SlotRequest;
  readonly callers: Set<SlotCaller>;
  served: number;
  doing: "freeze" | "thaw" | undefined;
  closed: boolean;
  leaving: boolean;
}

/** Calls, starts, freezes, failures and deaths come as the seed has it, and then everything ends. */
class Life {
  readonly #seed: number;
  readonly #chance: Chance;
  readonly #clock = new VirtualClock();
  readonly #resources = new Resources({ memoryMiB: 500, cpuMillis: 1_000 });
  readonly #table: SlotTable<string>;
  readonly #preparing = new Set<LaunchTicket>();
  readonly #prepared = new Set<LaunchTicket>();
  readonly #starting = new Set<LaunchTicket>();
  readonly #containers = new Map<string, Container>();
  readonly #open = new Map<SlotCaller, SlotRequest>();
  #born = 0;
  #ending = false;

  constructor(seed: number) {
    this.#seed = seed;
    this.#chance = chance(seed);
    const effects = {
      prepare: (ticket: LaunchTicket) => void this.#preparing.add(ticket),
      start: (ticket: LaunchTicket) => {
        assert.ok(this.#prepared.delete(ticket), this.#say("it was not prepared"));
        this.#starting.add(ticket);
      },
      drop: (ticket: LaunchTicket) => assert.ok(this.#prepared.delete(ticket), this.#say("it was not prepared")),
      remove: (name: string) => this.#removed(this.#at(name)),
      freeze: (name: string) => this.#begins("freeze", this.#at(name)),
      thaw: (name: string) => this.#begins("thaw", this.#at(name)),
      changed() {},
    };
    const slotWaitMs = this.#chance.pick([0, 100, 2_000]);
    const limits = { freezeIdleMs: 50, startsAtOnce: STARTS_AT_ONCE, slotWaitMs, mostWaiting: 6 };
    this.#table = new SlotTable(this.#resources, effects, this.#clock, limits);
  }

  live(): void {
    const steps = [() => this.#ask(), ...this.#otherSteps()];
    for (let i = 0; i < 120; i += 1) {
      this.#chance.pick(steps)();
      this.#check();
    }
    this.#table.close();
    this.#ending = true;
    for (let i = 0; i < 300; i += 1) {
      for (const step of this.#otherSteps()) {
        step();
        this.#check();
      }
    }
    assert.equal(this.#prepared.size, 0, this.#say("an image is kept for nobody"));
    assert.equal(this.#open.size, 0, this.#say("a call still waits"));
    assert.equal(this.#table.size, 0, this.#say("a container is left"));
    assert.equal(this.#table.keys, 0, this.#say("a key is remembered"));
    assert.deepEqual(this.#resources.free, this.#resources.total, this.#say("something is still booked"));
    assert.equal(this.#clock.pending, 0, this.#say("a timer is set"));
  }

  #ask(): void {
    const caller = new SlotCaller(this.#chance.pick(SOURCES));
    const request = this.#chance.pick(REQUESTS);
    this.#open.set(caller, request);
    const acquired = this.#table.acquire(request, caller);
    if (acquired.kind === "slot") caller.slot = acquired.slot;
    if (acquired.kind === "refused") this.#open.delete(caller);
  }

  #otherSteps(): readonly (() => void)[] {
    return [
      () => this.#endPreparing(),
      () => this.#endStart(),
      () => this.#release(),
      () => this.#leave(),
      () => this.#clock.advance(this.#chance.pick([1, 10, 60, 1_100])),
      () => this.#endIce("freeze"),
      () => this.#endIce("thaw"),
      () => this.#die(),
      () => this.#gone(),
    ];
  }

  #endPreparing(): void {
    const [ticket] = this.#preparing;
    if (ticket === undefined) return;
    this.#preparing.delete(ticket);
    if (this.#chance.happens(0.9)) {
      this.#prepared.add(ticket);
      this.#table.prepared(ticket);
    } else this.#table.launchFailed(ticket, new CallError("image_pull_failed"));
  }

  #endStart(): void {
    const [ticket] = this.#starting;
    if (ticket === undefined) return;
    this.#starting.delete(ticket);
    if (this.#chance.happens(0.1)) return this.#table.launchFailed(ticket, new CallError("container_init_failed"));
    const name = `c${(this.#born += 1)}`;
    const state = { served: 0, doing: undefined, closed: false, leaving: false };
    this.#containers.set(name, { name, request: ticket.request, callers: new Set(), ...state });
    this.#table.launched(ticket, name);
  }

  #release(): void {
    const busy = [...this.#containers.values()].filter(({ callers }) => callers.size > 0);
    if (busy.length === 0) return;
    const container = this.#chance.pick(busy);
    const [caller] = container.callers;
    if (caller?.slot === undefined) return;
    container.callers.delete(caller);
    const broken = this.#chance.happens(0.1);
    if (broken) container.closed = true;
    this.#table.release(caller.slot, broken);
    if (this.#chance.happens(0.1)) this.#table.release(caller.slot, false);
  }

  #leave(): void {
    if (this.#open.size === 0 || (this.#ending && this.#chance.happens(0.5))) return;
    const [caller, request] = this.#chance.pick([...this.#open]);
    this.#open.delete(caller);
    this.#table.leave(request.key, caller);
  }

  #endIce(what: "freeze" | "thaw"): void {
    const container = [...this.#containers.values()].find(({ doing }) => doing === what);
    if (container === undefined) return;
    container.doing = undefined;
    const ok = this.#chance.happens(0.8);
    if (what === "freeze") this.#table.froze(container.name, ok);
    else this.#table.thawed(container.name, ok);
  }

  #die(): void {
    if (this.#containers.size === 0 || this.#chance.happens(0.5)) return;
    const container = this.#chance.pick([...this.#containers.values()]);
    container.closed = true;
    this.#table.died(container.name);
  }

  #gone(): void {
    // Nothing is gone while something is still done to it.
    const gone = [...this.#containers.values()].find(({ leaving, doing }) => leaving && doing === undefined);
    if (gone === undefined) return;
    this.#containers.delete(gone.name);
    this.#table.gone(gone.name);
  }

  #begins(what: "freeze" | "thaw", container: Container): void {
    const { callers, doing, leaving } = container;
    assert.equal(doing, undefined, this.#say(`${what} while ${doing}`));
    assert.equal(callers.size, 0, this.#say(`${what} of a busy container`));
    assert.ok(!leaving, this.#say(`${what} of a removed container`));
    container.doing = what;
  }

  #removed(container: Container): void {
    assert.ok(!container.leaving, this.#say("removed twice"));
    this.#settle();
    assert.equal(container.callers.size, 0, this.#say("removed while a call runs in it"));
    container.leaving = true;
  }

  /** What calls heard since the last time. */
  #settle(): void {
    for (const caller of this.#open.keys()) {
      if (caller.reason !== undefined) this.#open.delete(caller);
      if (caller.slot === undefined) continue;
      this.#open.delete(caller);
      const container = this.#at(caller.slot.container);
      container.callers.add(caller);
      container.served += 1;
      const { concurrency, maxCalls } = container.request.task;
      assert.ok(!container.closed, this.#say("a call got a container that is dead or broken"));
      assert.equal(container.doing, undefined, this.#say(`a call got a container under ${container.doing}`));
      assert.ok(container.callers.size <= concurrency, this.#say("more calls than its concurrency"));
      assert.ok(maxCalls === 0 || container.served <= maxCalls, this.#say("more calls than it may serve"));
    }
  }

  #check(): void {
    this.#settle();
    assert.ok(this.#starting.size <= STARTS_AT_ONCE, this.#say("too many starts at once"));
    const { memoryMiB, cpuMillis } = this.#resources.free;
    assert.ok(memoryMiB >= 0 && cpuMillis >= 0, this.#say("more is booked than there is"));
    for (const { key, maxContainers } of REQUESTS) {
      if (maxContainers === 0) continue;
      const all = [...this.#containers.values(), ...this.#starting].filter(({ request }) => request.key === key);
      assert.ok(all.length <= maxContainers, this.#say("more containers than it may have"));
    }
  }

  #at(name: string): Container {
    return this.#containers.get(name) ?? assert.fail(this.#say(`there is no ${name}`));
  }

  #say(what: string): string {
    return `${what} (seed ${this.#seed})`;
  }
}
