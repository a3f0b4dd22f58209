import { CallError } from "../../../../core/call-error.ts";
import { engineFailure } from "../docker-errors.ts";
import type { NetworkTrouble } from "./pool-networks.ts";

/** Whether a container could not start for its network, as far as the Engine's words tell. */
export function networkTrouble(error: unknown): NetworkTrouble | undefined {
  const message = messageOf(error);
  // The first is the kernel's, of a bridge with 1023 ports; the other of a subnet without an address left.
  if (/exchange full|no available IPv4 addresses/i.test(message)) return "full";
  return /network \S+ not found/i.test(message) ? "gone" : undefined;
}

/** Whether a container could not start since the one whose namespace it was to join does not run. */
export function holderIsDead(error: unknown, holderId: string): boolean {
  const message = messageOf(error);
  return (
    /cannot join network (namespace )?of a non running container/i.test(message) ||
    message.includes(`container: ${holderId}`)
  );
}

function messageOf(error: unknown): string {
  return engineFailure(error instanceof CallError ? error.cause : error).message;
}
