import { pause, systemClock } from "../../core/clock.ts";

/** Waits until it is so. @throws AssertionError of the last try, when it never was within 10 s */
export async function eventually(check: () => void | Promise<void>): Promise<void> {
  const patience = AbortSignal.timeout(10_000);
  for (;;) {
    try {
      return await check();
    } catch (error) {
      if (patience.aborted) throw error;
      await pause(systemClock, 5, patience);
    }
  }
}
