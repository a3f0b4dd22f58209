import { randomBytes } from "node:crypto";

import type { ContainerCounts, ContainerLimits, OnCancel } from "./function-spec.ts";

declare const brand: unique symbol;

/** 26 characters of Crockford base32: 48 bits of time, 48 of process, 32 of count; sorts by time. */
export type CallId = string & { readonly [brand]: "CallId" };

export type CallType = "sync" | "detached";

/** Header fields in their order; a name may come more than once. */
export type HeaderList = readonly (readonly [name: string, value: string])[];

export type JsonValue = string | number | boolean | null | readonly JsonValue[] | { readonly [key: string]: JsonValue };

/** Opaque keys and values that travel with a call. Read and set them with a typed `Extension`. */
export type ExtensionMap = Readonly<Record<string, string>>;

/**
 * One request to run one function: what overriders see and replace. Immutable: an overrider
 * returns a copy, `{ ...call, memoryMiB: 256 }`.
 */
export interface Call extends ContainerLimits, ContainerCounts {
  readonly id: CallId;
  readonly type: CallType;
  readonly appId: string;
  readonly appName: string;
  readonly fnId: string;
  readonly fnName: string;
  readonly image: string;
  /** App config overlaid by function config: the container's environment. */
  readonly config: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, JsonValue>>;
  readonly syslogUrl: string;
  /** True starts the container without any network. */
  readonly networkDisabled: boolean;
  readonly onCancel: OnCancel;
  /** True allows a second run after the first was lost. */
  readonly idempotent: boolean;
  readonly method: string;
  /** Absolute, as the client asked for it. */
  readonly url: string;
  readonly headers: HeaderList;
  /** Change the container, so they are part of its identity. */
  readonly extensions: ExtensionMap;
  /** Matter to this call only. */
  readonly callExtensions: ExtensionMap;
  /** Bearer token for pulling the image (`FN_REGISTRY_TOKEN`). A secret: in no map, no key, no log. */
  readonly registryToken: string;
  /** How its gateway is to place it, and nothing that runners hear of. Set by `withPlacer` and `withRunnerGroup`. */
  readonly placement?: PlacementWish | undefined;
}

export interface PlacementWish {
  /** A placer by its name. */
  readonly placer?: string;
  /** What a runner must carry. */
  readonly labels?: Readonly<Record<string, string>>;
}

const ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

const processPart = randomBytes(6).readUIntBE(0, 6);
// 128 bits in 26 digits of 5: the time's 48 end on a digit, the process's last 3 share one with the count's first 2.
const processDigits = digits(Math.floor(processPart / 8), 9);
const processRest = (processPart % 8) * 4;
let count = 0;
let time = { ms: -1, digits: "" };

export function newCallId(nowMs: number = Date.now()): CallId {
  count = (count + 1) >>> 0;
  if (time.ms !== nowMs) time = { ms: nowMs, digits: digits(nowMs, 10) };
  const shared = ALPHABET[processRest + (count >>> 30)] ?? "";
  return (time.digits + processDigits + shared + digits(count & 0x3fff_ffff, 6)) as CallId;
}

function digits(value: number, length: number): string {
  let rest = value;
  let text = "";
  for (let i = 0; i < length; i++) {
    text = (ALPHABET[rest % 32] ?? "") + text;
    rest = Math.floor(rest / 32);
  }
  return text;
}

/** A call id that came from elsewhere, or undefined if it cannot be one. */
export function parseCallId(text: string): CallId | undefined {
  return /^[0-9A-HJKMNP-TV-Z]{26}$/.test(text) ? (text as CallId) : undefined;
}

export function encodeId(value: bigint): string {
  let rest = value;
  let text = "";
  for (let i = 0; i < 26; i++) {
    text = (ALPHABET[Number(rest & 31n)] ?? "") + text;
    rest >>= 5n;
  }
  return text;
}
