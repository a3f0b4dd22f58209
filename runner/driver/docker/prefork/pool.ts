import type { Clock } from "../../../../core/clock.ts";
import type { NetworkTrouble } from "../networks/network-trouble.ts";
import type { HolderState, Lease, PoolCounts, PoolEffects, PoolOptions } from "./pool-contract.ts";
import { type Places, PoolNetworks } from "./pool-networks.ts";
import { TokenBucket } from "./token-bucket.ts";

interface Holder {
  state: HolderState;
  network: string | undefined;
  lease: Lease | undefined;
}

const LOOK_AGAIN_MS = 10_000;
/** A holder that cannot be had is tried again after this, doubled each time. */
const RETRY_MS = { first: 100, most: 10_000 } as const;

/** The rules of the prefork pool: no I/O, and no time but the clock's. */
export class PreforkPool {
  readonly #options: PoolOptions;
  readonly #effects: PoolEffects;
  readonly #clock: Clock;
  readonly #bucket: TokenBucket;
  readonly #networks: PoolNetworks;
  readonly #holders: readonly Holder[];
  /** The one freed last comes last. */
  readonly #free: number[] = [];
  readonly #looking = new Set<string>();
  readonly #closed = Promise.withResolvers<void>();
  #closing = false;
  /** Every network was looked at once: before that, the first to be told of would get all holders. */
  #surveyed = false;
  #short = false;
  #failures = 0;
  #retryAt = 0;
  #lookAt = Infinity;
  #cancelAlarm: () => void = () => {};

  constructor(options: PoolOptions, effects: PoolEffects, clock: Clock) {
    this.#options = options;
    this.#effects = effects;
    this.#clock = clock;
    this.#bucket = new TokenBucket(options.rate, clock);
    this.#networks = new PoolNetworks(options.networks);
    this.#holders = Array.from({ length: options.size }, () => ({
      state: "waiting",
      network: undefined,
      lease: undefined,
    }));
  }

  open(): void {
    this.#look(this.#networks.names);
  }

  /** Never waits: undefined where no holder is free. */
  take(): Lease | undefined {
    const holder = this.#free.pop();
    if (holder === undefined) return undefined;
    const lease = { holder };
    this.#holder(holder).lease = lease;
    this.#enter(holder, "used");
    return lease;
  }

  /** The container of this lease is gone. Does nothing for a holder that died meanwhile. */
  giveBack(lease: Lease): void {
    const holder = this.#leased(lease);
    if (holder === undefined) return;
    holder.lease = undefined;
    if (this.#options.useOnce) {
      this.#enter(lease.holder, "recycling");
      this.#effects.kill(lease.holder);
    } else {
      this.#becomeFree(lease.holder);
    }
  }

  /** The container of this lease may still be there, or the holder turned out to be dead: it is made anew. */
  discard(lease: Lease): void {
    const holder = this.#leased(lease);
    if (holder === undefined) return;
    holder.lease = undefined;
    this.#initialiseAgain(lease.holder);
    this.#turn();
  }

  looked(network: string, places: Places): void {
    this.#looking.delete(network);
    this.#surveyed ||= this.#looking.size === 0;
    const news = this.#networks.looked(network, places);
    if (news !== undefined) this.#effects.network(network, news);
    this.#turn();
  }

  initialised(index: number): void {
    if (this.#holder(index).state !== "creating") return this.#removeIfLeaving(index);
    this.#enter(index, "starting");
    this.#effects.start(index);
  }

  started(index: number): void {
    if (this.#holder(index).state !== "starting") return this.#removeIfLeaving(index);
    this.#failures = 0;
    this.#becomeFree(index);
  }

  /** What was wanted of it last did not work. */
  failed(index: number, trouble?: NetworkTrouble): void {
    const holder = this.#holder(index);
    if (holder.state === "leaving") return this.#removeIfLeaving(index);
    const { network } = holder;
    if (trouble !== undefined && network !== undefined) {
      if (this.#networks.failed(network, trouble)) this.#effects.network(network, trouble);
    } else {
      const wait = Math.min(RETRY_MS.most, RETRY_MS.first * 2 ** this.#failures);
      this.#failures += 1;
      this.#retryAt = this.#clock.now() + wait;
    }
    this.#initialiseAgain(index);
    this.#turn();
  }

  /** What failed may work now: it is tried at once. */
  retry(): void {
    this.#failures = 0;
    this.#retryAt = 0;
    this.#turn();
  }

  /** Its process has ended, by our kill or by itself. */
  ended(index: number): void {
    switch (this.#holder(index).state) {
      case "recycling":
        this.#enter(index, "starting");
        return this.#effects.start(index);
      case "leaving":
        return this.#removeIfLeaving(index);
      case "starting":
      case "free":
      case "used":
        this.#initialiseAgain(index);
        return this.#turn();
      case "waiting":
      case "creating":
      case "removing":
      case "removed":
    }
  }

  removed(index: number): void {
    this.#enter(index, "removed");
    if (this.#holders.every(({ state }) => state === "removed")) this.#closed.resolve();
  }

  get counts(): PoolCounts {
    const count = (...states: readonly HolderState[]) =>
      this.#holders.filter(({ state }) => states.includes(state)).length;
    return {
      initialising: count("waiting", "creating"),
      starting: count("starting"),
      free: count("free"),
      used: count("used"),
      recycling: count("recycling"),
    };
  }

  /** Removes every holder; resolves when the last of them is gone. */
  close(): Promise<void> {
    if (this.#closing) return this.#closed.promise;
    this.#closing = true;
    this.#cancelAlarm();
    this.#free.length = 0;
    if (this.#holders.length === 0) this.#closed.resolve();
    for (const [index, holder] of this.#holders.entries()) {
      // What is under way is answered first, so that a holder which is being made is not missed.
      const busy = holder.state === "creating" || holder.state === "starting" || holder.state === "recycling";
      this.#enter(index, "leaving");
      if (!busy) this.#removeIfLeaving(index);
    }
    return this.#closed.promise;
  }

  #enter(index: number, state: HolderState): void {
    const holder = this.#holder(index);
    const before = holder.state;
    holder.state = state;
    this.#effects.moved(before, state);
  }

  #becomeFree(index: number): void {
    this.#enter(index, "free");
    this.#free.push(index);
  }

  #initialiseAgain(index: number): void {
    const holder = this.#holder(index);
    if (holder.network !== undefined) this.#networks.leave(holder.network);
    const { lease } = holder;
    Object.assign(holder, { network: undefined, lease: undefined });
    this.#enter(index, "waiting");
    const at = this.#free.indexOf(index);
    if (at >= 0) this.#free.splice(at, 1);
    if (lease !== undefined) this.#effects.lost(lease);
  }

  #removeIfLeaving(index: number): void {
    if (this.#holder(index).state !== "leaving") return;
    this.#enter(index, "removing");
    this.#effects.remove(index);
  }

  /** Initialises what waits, as far as limiter and networks let it. */
  #turn(): void {
    if (this.#closing || !this.#surveyed) return;
    for (const [index, holder] of this.#holders.entries()) {
      if (holder.state !== "waiting") continue;
      if (this.#clock.now() < this.#retryAt) break;
      const network = this.#networks.hasRoom && this.#bucket.take() ? this.#networks.take() : undefined;
      if (network === undefined) break;
      holder.network = network;
      this.#enter(index, "creating");
      this.#effects.initialise(index, network);
    }
    this.#tellShort();
    this.#setAlarm();
  }

  #tellShort(): void {
    const waiting = this.#holders.filter(({ state }) => state === "waiting").length;
    const short = waiting > 0 && !this.#networks.hasRoom && this.#looking.size === 0;
    if (short && !this.#short) this.#effects.short(waiting);
    this.#short = short;
  }

  #setAlarm(): void {
    this.#cancelAlarm();
    const now = this.#clock.now();
    if (this.#networks.worthALook.length === 0) this.#lookAt = Infinity;
    else if (this.#lookAt === Infinity) this.#lookAt = now + LOOK_AGAIN_MS;
    const waits = this.#networks.hasRoom && this.#holders.some(({ state }) => state === "waiting");
    const next = waits ? Math.max(this.#retryAt, now + this.#bucket.waitMs) : Infinity;
    const at = Math.min(next, this.#lookAt);
    if (at !== Infinity) this.#cancelAlarm = this.#clock.after(at - now, () => this.#ring());
  }

  #ring(): void {
    if (this.#clock.now() >= this.#lookAt) {
      this.#lookAt = Infinity;
      this.#look(this.#networks.worthALook);
    }
    this.#turn();
  }

  #look(names: readonly string[]): void {
    const asked = names.filter((name) => !this.#looking.has(name));
    for (const name of asked) this.#looking.add(name);
    for (const name of asked) this.#effects.look(name);
  }

  #leased(lease: Lease): Holder | undefined {
    const holder = this.#holder(lease.holder);
    return holder.lease === lease && holder.state === "used" ? holder : undefined;
  }

  #holder(index: number): Holder {
    const holder = this.#holders[index];
    if (holder === undefined) throw new RangeError(`Cannot find holder ${index} of ${this.#holders.length}`);
    return holder;
  }
}
