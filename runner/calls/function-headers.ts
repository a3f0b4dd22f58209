import type { Call, HeaderList } from "../../core/call.ts";
import { isHopByHop } from "../../core/hop-by-hop.ts";

// Ours to set, or wrong for the connection to the function.
const REPLACED = new Set(["host", "content-length", "expect", "fn-call-id", "fn-deadline"]);

/** The headers a function sees: the call's, and its id and deadline (RFC 3339, whole seconds). */
export function functionHeaders(call: Call, deadlineWallMs: number): HeaderList {
  const kept = call.headers.filter(([name, value]) => !REPLACED.has(name.toLowerCase()) && !isHopByHop(name, value));
  const deadline = `${new Date(deadlineWallMs).toISOString().slice(0, 19)}Z`;
  return [...kept, ["Fn-Call-Id", call.id], ["Fn-Deadline", deadline]];
}

/** The function's headers without those of its connection. */
export function responseHeaders(headers: HeaderList): HeaderList {
  return headers.filter(([name, value]) => !isHopByHop(name, value));
}
