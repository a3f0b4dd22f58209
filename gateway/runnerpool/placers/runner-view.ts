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
  /** Slots that came free in containers that are there, less those that were taken, since it told. */
  readonly #idle = new Map<string, number>();
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
    const capacity = this.#follow();
    const told = (capacity?.idle[affinityKey] ?? 0) + (capacity?.spareSlots[affinityKey] ?? 0);
    return Math.max(0, told + (this.#idle.get(affinityKey) ?? 0));
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
    if (place === "warm") this.#countIdle(need.affinityKey, -1);
    else if (place === "evict") this.#idleSince -= 1;
    else {
      this.#memoryMiB += need.memoryMiB;
      this.#cpuMillis += need.cpuMillis;
    }
  }

  /** A call has ended there and left its container idle. */
  returned(affinityKey: string): void {
    this.#follow();
    this.#version += 1;
    this.#countIdle(affinityKey, 1);
  }

  /** What was promised was not taken after all. */
  forgetPromises(): void {
    this.#version += 1;
    this.#clear();
  }

  #countIdle(affinityKey: string, by: number): void {
    this.#idle.set(affinityKey, (this.#idle.get(affinityKey) ?? 0) + by);
    this.#idleSince += by;
  }

  /** Its last word makes up for all that was counted since the one before. */
  #follow(): Capacity | undefined {
    const { capacity } = this.runner.load;
    if (capacity === this.#told) return capacity;
    this.#told = capacity;
    this.#version += 1;
    this.#clear();
    this.#idleTold = Object.values(capacity?.idle ?? {}).reduce((sum, count) => sum + count, 0);
    return capacity;
  }

  #clear(): void {
    this.#memoryMiB = 0;
    this.#cpuMillis = 0;
    this.#idle.clear();
    this.#idleSince = 0;
  }
}
