import type { Timings } from "../../core/session/frames.ts";

/** Where a call's time went, for who has to find out why it took too long: `2 ms waiting, 1000 ms running`. */
export function timeSpent({ waitMs, pullMs, startMs, initMs, runMs }: Timings): string {
  const phases: readonly (readonly [ms: number, doing: string])[] = [
    // The phases of a start are within the wait for it.
    [waitMs - pullMs - startMs - initMs, "waiting"],
    [pullMs, "pulling the image"],
    [startMs, "starting the container"],
    [initMs, "until it listened"],
    [runMs, "running"],
  ];
  return phases
    .map(([ms, doing]) => [Math.round(ms), doing] as const)
    .filter(([ms, doing]) => ms > 0 || doing === "waiting")
    .map(([ms, doing]) => `${Math.max(0, ms)} ms ${doing}`)
    .join(", ");
}
