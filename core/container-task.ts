import { createHash } from "node:crypto";

import type { Call, ExtensionMap, JsonValue } from "./call.ts";
import type { ContainerLimits } from "./function-spec.ts";

/** Where a function finds its socket, inside its container. */
export const LISTENER = "unix:/tmp/iofs/lsnr.sock";

/** A container to be started: all that drivers and start hooks see, and all of it is in the slot key. */
export interface ContainerTask extends ContainerLimits {
  readonly appId: string;
  readonly appName: string;
  readonly fnId: string;
  readonly fnName: string;
  readonly image: string;
  /** The container's environment: the call's config and the keys of the function contract. */
  readonly env: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, JsonValue>>;
  readonly syslogUrl: string;
  readonly networkDisabled: boolean;
  readonly extensions: ExtensionMap;
}

/** The hex SHA-256 of a task: calls with equal keys may share a hot container. */
export type SlotKey = string & { readonly __slotKey: true };

/** The container a call needs. The contract's own keys win over config of the same name. */
export function containerTask(call: Call): ContainerTask {
  return {
    appId: call.appId,
    appName: call.appName,
    fnId: call.fnId,
    fnName: call.fnName,
    image: call.image,
    memoryMiB: call.memoryMiB,
    cpuMillis: call.cpuMillis,
    tmpfsMiB: call.tmpfsMiB,
    timeoutMs: call.timeoutMs,
    idleTimeoutMs: call.idleTimeoutMs,
    concurrency: call.concurrency,
    maxCalls: call.maxCalls,
    env: {
      ...call.config,
      FN_MEMORY: String(call.memoryMiB),
      // Fn says `sync` even to detached calls; its FDKs know nothing else.
      FN_TYPE: "sync",
      FN_FN_ID: call.fnId,
      FN_APP_ID: call.appId,
      FN_LISTENER: LISTENER,
      FN_FORMAT: "http-stream",
    },
    annotations: call.annotations,
    syslogUrl: call.syslogUrl,
    networkDisabled: call.networkDisabled,
    extensions: call.extensions,
  };
}

/** Hashes every field of the task, each with its length first, so that no two tasks read the same. */
export function slotKey(task: ContainerTask): SlotKey {
  const hash = createHash("sha256");
  // Not as UTF-8, which makes one character of all that are no characters.
  hash.update(canonical(task), "utf16le");
  return hash.digest("hex") as SlotKey;
}

/** Length-prefixed and with sorted keys: `3:abc` for a string, `{2 …}` for an object of two. */
function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.length} ${value.map(canonical).join("")}]`;
  if (typeof value === "object" && value !== null) {
    const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
    return `{${entries.length} ${entries.map(([key, item]) => canonical(key) + canonical(item)).join("")}}`;
  }
  const text = `${typeof value} ${String(value)}`;
  return `${text.length}:${text}`;
}
