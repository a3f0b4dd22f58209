import { createHash } from "node:crypto";

import type { Context } from "hono";

import { CallError } from "../../core/call-error.ts";
import type { GatewayEnv } from "../overrider.ts";
import type { Stored } from "../store/store.ts";

/**
 * Differs after every change that somebody made of the entity: not by what an answer adds for its reader, and not by a
 * run of a schedule, which would refuse a change made upon what its author has read a minute ago.
 */
export function etagOf(entity: Stored): string {
  const set = JSON.stringify({ ...entity, nextMs: undefined });
  return `"${createHash("sha256").update(set).digest("base64url").slice(0, 22)}"`;
}

/** @throws CallError `precondition_failed` where the client's If-Match names another version */
export function checkIfMatch(c: Context<GatewayEnv>, current: Stored): void {
  const wanted = c.req.header("if-match");
  if (wanted === undefined || tags(wanted).some((tag) => tag === "*" || tag === etagOf(current))) return;
  throw new CallError("precondition_failed");
}

/** Whether the client has this version already. */
export function isKnown(c: Context<GatewayEnv>, current: Stored): boolean {
  const etag = etagOf(current);
  return tags(c.req.header("if-none-match") ?? "").some((tag) => tag === "*" || tag.replace(/^W\//, "") === etag);
}

function tags(header: string): string[] {
  return header.split(",").map((tag) => tag.trim());
}
