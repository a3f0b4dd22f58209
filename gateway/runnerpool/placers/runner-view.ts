import type { Capacity } from "../../../core/session/frames.ts";
import type { Runner } from "../runnerpool.ts";
import type { Candidate, Need, Place } from "./candidate.ts";

/** What is known of a runner's room: its last word, and what was sent and came back since. */
export class RunnerView implements Candidate {
  readonly runner: Runner;
  readonly address: string;
  #told: Capacity | undefined;
  #version = 0;
  #memoryMiB = 0;
  #cpuMillis = 0;
  /** Idle containers by affinity key: as it told, less those that were taken since. */
  readonly #idle = new Map<string, number>();
  /** Slots free in containers that run calls, by affinity key: as it told, and as they came and went since. */
  readonly #spare = new Map<string, number>();
  #idleTold = 0;
  #idleSince = 0;

  constructor(runner: Runner) {
    this.runner = runner;
    this.address = runner.address;
  }

  get usable(): boolean {
    return this.runner.connected && !this.runner.load.draining;
  }

  get inFlight(): number {
    return this.runner.load.inFlight;
  }

  get toldAt(): number {
    return this.runner.load.toldAt;
  }

  /** Another one after all that may have made room. */
  get version(): number {
    this.#follow();
    return this.#version;
  }

  get freeMemoryMiB(): number {
    return Math.max(0, (this.#follow()?.freeMemoryMiB ?? 0) - this.#memoryMiB);
  }

  get freeCpuMillis(): number {
    return Math.max(0, (this.#follow()?.freeCpuMillis ?? 0) - this.#cpuMillis);
  }

  get totalMemoryMiB(): number {
    return this.#follow()?.totalMemoryMiB ?? 0;
  }

  get totalCpuMillis(): number {
    return this.#follow()?.totalCpuMillis ?? 0;
  }

  get idleTotal(): number {
    this.#follow();
    return Math.max(0, this.#idleTold + this.#idleSince);
  }

  idle(affinityKey: string): number {
    this.#follow();
    return (this.#idle.get(affinityKey) ?? 0) + (this.#spare.get(affinityKey) ?? 0);
  }

  placeFor(need: Need): Place | undefined {
    if (this.idle(need.affinityKey) > 0) return "warm";
    const { totalMemoryMiB, totalCpuMillis } = this;
    if (need.memoryMiB > totalMemoryMiB || need.cpuMillis > totalCpuMillis) return undefined;
    if (need.memoryMiB <= this.freeMemoryMiB && need.cpuMillis <= this.freeCpuMillis) return "free";
    return this.idleTotal > 0 ? "evict" : undefined;
  }

  /** A call goes there: what it will take is no longer there for another. */
  promise(need: Need): void {
    const place = this.placeFor(need);
    if (place === "warm") return this.#take(need);
    if (place === "evict") this.#idleSince -= 1;
    else {
      this.#memoryMiB += need.memoryMiB;
      this.#cpuMillis += need.cpuMillis;
    }
    // What else the container takes that is started for it: a start somewhere else would be over later.
    if (place !== undefined) add(this.#spare, need.affinityKey, need.concurrency - 1);
  }

  /** It took no such call in that version: there is no slot for one until it tells of one, or one comes back. */
  refused(affinityKey: string, version: number): void {
    if (version !== this.version) return;
    this.#idle.delete(affinityKey);
    this.#spare.delete(affinityKey);
  }

  /** A call has ended there and left its slot to the next; its container idle, if that runs one call at a time. */
  returned(affinityKey: string, concurrency: number): void {
    this.#follow();
    this.#version += 1;
    add(this.#spare, affinityKey, 1);
    if (concurrency === 1) this.#idleSince += 1;
  }

  /** What was promised was not taken after all. */
  forgetPromises(): void {
    this.#version += 1;
    this.#count();
  }

  /** A slot of a container that runs calls already; or the first of an idle one, whose others then wait for more calls. */
  #take({ affinityKey, concurrency }: Need): void {
    const spare = (this.#spare.get(affinityKey) ?? 0) > 0;
    if (!spare || concurrency === 1) this.#idleSince -= 1;
    if (spare) return add(this.#spare, affinityKey, -1);
    add(this.#idle, affinityKey, -1);
    add(this.#spare, affinityKey, concurrency - 1);
  }

  /** Its last word makes up for all that was counted since the one before. */
  #follow(): Capacity | undefined {
    const { capacity } = this.runner.load;
    if (capacity === this.#told) return capacity;
    this.#told = capacity;
    this.#version += 1;
    this.#count();
    return capacity;
  }

  /** From its last word on. Read from it once, as many runners are asked for a function's slots with every call. */
  #count(): void {
    const { idle = {}, spareSlots = {} } = this.#told ?? {};
    this.#memoryMiB = 0;
    this.#cpuMillis = 0;
    this.#idleTold = 0;
    this.#idleSince = 0;
    this.#idle.clear();
    this.#spare.clear();
    for (const [key, count] of Object.entries(idle)) {
      this.#idle.set(key, count);
      this.#idleTold += count;
    }
    for (const [key, count] of Object.entries(spareSlots)) this.#spare.set(key, count);
  }
}

function add(counts: Map<string, number>, key: string, by: number): void {
  counts.set(key, (counts.get(key) ?? 0) + by);
}
