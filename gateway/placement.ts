import type { Call } from "../core/call.ts";
import type { PlacerName } from "./runnerpool/placers/create-placer.ts";
import type { RunnerLabels } from "./runnerpool/runnerpool.ts";

/** The label that groups of runners go by. */
const GROUP = "group";

/** The same call, to be placed by this placer whatever `FN_PLACER` says. */
export function withPlacer(call: Call, placer: PlacerName): Call {
  return { ...call, placement: { ...call.placement, placer } };
}

/**
 * The same call, for runners of this group only: those labelled `group=NAME`.
 *
 * @example
 * ```ts
 * export const overriders = [
 *   overrideCall((call) => (call.annotations["gpu"] === true ? withRunnerGroup(call, "gpu") : call)),
 * ];
 * ```
 */
export function withRunnerGroup(call: Call, group: string): Call {
  return withRunnerLabels(call, { [GROUP]: group });
}

/** The same call, for runners only that carry all of these labels, beside those it was given before. */
export function withRunnerLabels(call: Call, labels: RunnerLabels): Call {
  return { ...call, placement: { ...call.placement, labels: { ...call.placement?.labels, ...labels } } };
}
