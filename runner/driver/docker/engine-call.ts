import { CallError } from "../../../core/call-error.ts";
import type { Clock } from "../../../core/clock.ts";
import { engineError, type EngineStep } from "./docker-errors.ts";
import type { Docker } from "./engine.ts";

/** How long the Engine may take. */
export interface EngineTimeouts {
  /** For one request, pulls and removals apart. */
  readonly requestMs: number;
  /** For a removal, with all that is asked for it again. */
  readonly removeMs: number;
}

export const ENGINE_TIMEOUTS: EngineTimeouts = { requestMs: 60_000, removeMs: 30_000 };

/** An Engine, and how long it may take: whoever asks it for anything has the same limits. */
export interface EngineClient {
  readonly docker: Docker;
  readonly clock: Clock;
  readonly timeouts: EngineTimeouts;
}

/** One request to the Engine, bounded in time. @param setting - where that bound comes from @throws CallError whatever goes wrong */
export async function engineCall<T>(
  { clock, timeouts }: Pick<EngineClient, "clock" | "timeouts">,
  step: EngineStep,
  call: (abortSignal: AbortSignal) => Promise<T>,
  timeoutMs: number = timeouts.requestMs,
  setting = "FN_DOCKER_TIMEOUT_MSECS",
): Promise<T> {
  const timeout = new AbortController();
  const cancel = clock.after(timeoutMs, () => timeout.abort());
  try {
    return await call(timeout.signal);
  } catch (error) {
    if (!timeout.signal.aborted) throw engineError(error, step);
    const text = `Docker cannot be reached: it had ${timeoutMs} ms to ${step}, ${setting}`;
    throw new CallError("docker_unavailable", text, { cause: error });
  } finally {
    cancel();
  }
}
