import type { RunnerAddress } from "../static-pool.ts";

/** Where a pool hears which runners there are. Disposing it ends that. */
export interface RunnerSource extends AsyncDisposable {
  /** As they are known now. */
  readonly runners: readonly RunnerAddress[];
  /** Calls `changed` once they are others; returns the unsubscriber. */
  onChange(changed: () => void): () => void;
}

/** Runners that stay the same. */
export function fixedSource(runners: readonly RunnerAddress[]): RunnerSource {
  return { runners, onChange: () => () => {}, [Symbol.asyncDispose]: () => Promise.resolve() };
}

/** Keeps what a source last found, and tells of what is new. */
export class FoundRunners {
  readonly #listeners = new Set<() => void>();
  #text = "[]";
  #runners: readonly RunnerAddress[] = [];

  get runners(): readonly RunnerAddress[] {
    return this.#runners;
  }

  onChange(changed: () => void): () => void {
    this.#listeners.add(changed);
    return () => this.#listeners.delete(changed);
  }

  /** True if they are others than before. */
  found(runners: readonly RunnerAddress[]): boolean {
    const text = JSON.stringify(runners);
    if (text === this.#text) return false;
    this.#text = text;
    this.#runners = runners;
    for (const changed of this.#listeners) changed();
    return true;
  }
}
