import { CallError } from "../../../core/call-error.ts";
import type { Clock } from "../../../core/clock.ts";
import { unlessAborted } from "./unless-aborted.ts";

/** Pulls one image; must end soon after the signal aborts, with its reason. */
type PullImage = (image: string, registryToken: string, signal: AbortSignal) => Promise<void>;

interface Pull {
  readonly done: Promise<void>;
  readonly stop: AbortController;
  waiting: number;
}

/**
 * Pulls of the same image with the same credentials at the same time are one pull. It has its own time, and ends
 * early only when nobody waits for it any more: whoever came first may leave.
 */
export class SharedPulls {
  readonly #pullImage: PullImage;
  readonly #timeoutMs: number;
  readonly #clock: Clock;
  readonly #running = new Map<string, Pull>();

  constructor(pullImage: PullImage, timeoutMs: number, clock: Clock) {
    this.#pullImage = pullImage;
    this.#timeoutMs = timeoutMs;
    this.#clock = clock;
  }

  async wait(image: string, registryToken: string, signal: AbortSignal): Promise<void> {
    const key = JSON.stringify([image, registryToken]);
    const pull = this.#running.get(key) ?? this.#begin(key, image, registryToken);
    pull.waiting += 1;
    try {
      await unlessAborted(pull.done, signal);
    } finally {
      pull.waiting -= 1;
      if (pull.waiting === 0) {
        this.#forget(key, pull);
        pull.stop.abort();
      }
    }
  }

  end(): void {
    for (const { stop } of this.#running.values()) stop.abort(new CallError("shutting_down"));
  }

  #begin(key: string, image: string, registryToken: string): Pull {
    const stop = new AbortController();
    const cancel = this.#clock.after(this.#timeoutMs, () => {
      const text = `Image pull timed out: '${image}' was not there after ${this.#timeoutMs} ms, FN_HOT_PULL_TIMEOUT_MSECS`;
      stop.abort(new CallError("image_pull_timeout", text));
    });
    const done = this.#pullImage(image, registryToken, stop.signal).finally(cancel);
    const pull = { done, stop, waiting: 0 };
    this.#running.set(key, pull);
    return pull;
  }

  #forget(key: string, pull: Pull): void {
    if (this.#running.get(key) === pull) this.#running.delete(key);
  }
}
