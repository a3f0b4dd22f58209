import type { HeaderList } from "../../core/call.ts";
import { isHopByHop } from "../../core/hop-by-hop.ts";

/** Names and values in turn, as `node:http` gives them. */
export type RawHeaders = readonly string[];

/** What this gateway answers itself, or what is the connection's own business. */
const DROPPED = new Set(["host", "expect", "http2-settings"]);
/** All that a client may say in Fn's name. */
const FN_ALLOWED = new Set(["fn-invoke-type", "fn-intent"]);

/** The request headers that a function gets: as they came, but for what is of one hop and what only Kiln may say. */
export function callHeaders(raw: RawHeaders): HeaderList {
  const headers: [string, string][] = [];
  eachEndToEnd(raw, (name, value, lower) => {
    if (lower === "content-length" || (lower.startsWith("fn-") && !FN_ALLOWED.has(lower))) return;
    headers.push([name, value]);
  });
  return headers;
}

/** Gives all headers that are for the function, in their order. */
export function eachEndToEnd(raw: RawHeaders, each: (name: string, value: string, lower: string) => void): void {
  const named = connectionTokens(raw);
  for (let i = 0; i + 1 < raw.length; i += 2) {
    const name = raw[i] ?? "";
    const value = raw[i + 1] ?? "";
    const lower = name.toLowerCase();
    if (DROPPED.has(lower) || lower.startsWith(":") || isHopByHop(lower, value) || named.has(lower)) continue;
    each(name, value, lower);
  }
}

/**
 * Whether the client asks to leave HTTP. An offer of HTTP/2 in the clear, which curl makes unasked, is none:
 * a server may go on in HTTP/1.1.
 */
export function asksForUpgrade(raw: RawHeaders): boolean {
  const upgrade = headerValue(raw, "upgrade");
  return upgrade !== undefined && upgrade.toLowerCase() !== "h2c" && connectionTokens(raw).has("upgrade");
}

/** The first value of a header. */
export function headerValue(raw: RawHeaders, lowerName: string): string | undefined {
  for (let i = 0; i + 1 < raw.length; i += 2) {
    const name = raw[i] ?? "";
    if (name.length === lowerName.length && name.toLowerCase() === lowerName) return raw[i + 1];
  }
  return undefined;
}

const NONE: ReadonlySet<string> = new Set();

/** The headers that `Connection` says are of this hop. */
function connectionTokens(raw: RawHeaders): ReadonlySet<string> {
  let tokens: Set<string> | undefined;
  for (let i = 0; i + 1 < raw.length; i += 2) {
    const name = raw[i] ?? "";
    if (name.length !== 10 || name.toLowerCase() !== "connection") continue;
    for (const token of (raw[i + 1] ?? "").split(",")) (tokens ??= new Set()).add(token.trim().toLowerCase());
  }
  return tokens ?? NONE;
}
