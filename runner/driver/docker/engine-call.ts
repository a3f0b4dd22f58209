import { CallError } from "../../../core/call-error.ts";
import type { Clock } from "../../../core/clock.ts";
import { engineError, type EngineStep } from "./docker-errors.ts";

const TIMEOUT_MS = 60_000;

/** One request to the Engine, bounded in time. @throws CallError whatever goes wrong */
export async function engineCall<T>(
  clock: Clock,
  step: EngineStep,
  call: (abortSignal: AbortSignal) => Promise<T>,
): Promise<T> {
  const timeout = new AbortController();
  const cancel = clock.after(TIMEOUT_MS, () => timeout.abort());
  try {
    return await call(timeout.signal);
  } catch (error) {
    if (!timeout.signal.aborted) throw engineError(error, step);
    const text = `Docker cannot be reached: it had ${TIMEOUT_MS} ms to ${step}`;
    throw new CallError("docker_unavailable", text, { cause: error });
  } finally {
    cancel();
  }
}
