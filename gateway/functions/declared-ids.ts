import { createHash } from "node:crypto";

import { encodeId } from "../../core/call.ts";

/** The id of an app that declares none: the same on every gateway that reads the same name. */
export function appIdOf(appName: string): string {
  return idOf("app", appName);
}

/** The id of a function that declares none. */
export function fnIdOf(appName: string, fnName: string): string {
  return idOf("fn", appName, fnName);
}

function idOf(...parts: readonly string[]): string {
  // Names hold no NUL, so that no two lists of parts read the same.
  const digest = createHash("sha256").update(parts.join("\0")).digest("hex");
  return encodeId(BigInt(`0x${digest.slice(0, 32)}`));
}
