import { CallError } from "../../core/call-error.ts";
import type {
  CapacityNews,
  Placement,
  Placer,
  Runner,
  RunnerCall,
  RunnerPool,
} from "../../gateway/runnerpool/runnerpool.ts";

/** A pool of the runners it is given. */
export class FakePool implements RunnerPool {
  members: readonly Runner[];
  disposed = false;
  readonly #hearers = new Set<(news: CapacityNews) => void>();

  constructor(...members: readonly Runner[]) {
    this.members = members;
  }

  runners(): Promise<readonly Runner[]> {
    return Promise.resolve(this.members);
  }

  onCapacity(hear: (news: CapacityNews) => void): () => void {
    const leave = this.members.map((runner) => runner.onCapacity(hear));
    this.#hearers.add(hear);
    return () => {
      for (const unsubscribe of leave) unsubscribe();
      this.#hearers.delete(hear);
    };
  }

  /** Says that its members are others now. */
  changed(): void {
    for (const hear of this.#hearers) hear({ kind: "members" });
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
