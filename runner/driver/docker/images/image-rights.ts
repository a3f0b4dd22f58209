import { createHash } from "node:crypto";

import type { Clock } from "../../../../core/clock.ts";
import type { RegistryCredentials } from "./registry-auths.ts";

const MOST_RIGHTS = 10_000;

/**
 * Which credentials were seen to be good for pulling which image, for a while. Kept under a hash: a list of secrets
 * is nothing to have in memory.
 */
export class ImageRights {
  readonly #clock: Clock;
  readonly #forMs: number;
  /** When each began, the oldest first. */
  readonly #granted = new Map<string, number>();

  constructor(clock: Clock, forMs: number) {
    this.#clock = clock;
    this.#forMs = forMs;
  }

  has(credentials: RegistryCredentials | undefined, imageId: string): boolean {
    const since = this.#granted.get(rightOf(credentials, imageId));
    return since !== undefined && this.#clock.now() - since < this.#forMs;
  }

  grant(credentials: RegistryCredentials | undefined, imageId: string): void {
    const right = rightOf(credentials, imageId);
    this.#granted.delete(right);
    this.#granted.set(right, this.#clock.now());
    for (const [oldest, since] of this.#granted) {
      if (this.#granted.size <= MOST_RIGHTS && this.#clock.now() - since < this.#forMs) break;
      this.#granted.delete(oldest);
    }
  }
}

function rightOf(credentials: RegistryCredentials | undefined, imageId: string): string {
  return `${credentialsKey(credentials)} ${imageId}`;
}

/** Tells credentials apart without being them. */
export function credentialsKey(credentials: RegistryCredentials | undefined): string {
  return credentials === undefined
    ? "nobody"
    : createHash("sha256").update(JSON.stringify(credentials)).digest("base64url");
}
