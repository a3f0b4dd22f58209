import { engineFailure, NETWORK_FULL } from "../docker-errors.ts";

/** Why a network takes no container for now. */
export type NetworkTrouble = "full" | "gone";

/** Whether a container could not start for its network, as far as the Engine's words tell. */
export function networkTrouble(error: unknown): NetworkTrouble | undefined {
  const { message } = engineFailure(error);
  if (NETWORK_FULL.test(message)) return "full";
  return /network \S+ not found/i.test(message) ? "gone" : undefined;
}
