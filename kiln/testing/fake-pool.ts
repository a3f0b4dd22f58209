import { CallError } from "../../core/call-error.ts";
import type { Placement, Placer, Runner, RunnerCall, RunnerPool } from "../../gateway/runnerpool/runnerpool.ts";

/** A pool of the runners it is given. */
export class FakePool implements RunnerPool {
  members: readonly Runner[];
  disposed = false;
  readonly #wakes = new Set<() => void>();

  constructor(...members: readonly Runner[]) {
    this.members = members;
  }

  runners(): Promise<readonly Runner[]> {
    return Promise.resolve(this.members);
  }

  onCapacity(wake: () => void): () => void {
    this.#wakes.add(wake);
    return () => void this.#wakes.delete(wake);
  }

  /** As if a runner had told of room. */
  wake(): void {
    for (const wake of this.#wakes) wake();
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.disposed = true;
    return Promise.resolve();
  }
}

/** Asks each runner once, in the pool's order, and then gives up. */
export class FakePlacer implements Placer {
  async place(call: RunnerCall, pool: RunnerPool, signal: AbortSignal): Promise<Placement> {
    let attempts = 0;
    for (const runner of await pool.runners(call, signal)) {
      if (signal.aborted) throw CallError.from(signal.reason);
      attempts += 1;
      const offer = await runner.tryCall(call, signal);
      if (offer.placed) return { runner, attempts };
      if (offer.scope === "any_runner") throw offer.reason;
    }
    throw new CallError("server_busy");
  }
}
