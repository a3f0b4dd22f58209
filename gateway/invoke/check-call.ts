import { CallError } from "../../core/call-error.ts";
import type { Call, PlacementWish } from "../../core/call.ts";
import { checkExtensionLimits } from "../../core/extension.ts";
import { LIMITS, tmpfsFault } from "../../core/function-spec.ts";

type Check = (value: unknown) => string | undefined;

const HEADER_NAME = /^[!#$%&'*+\-.^_`|~\w]+$/;
// What would end a header line; the rest of the bytes is the function's business.
const HEADER_VALUE = /^[^\0\r\n]*$/;

/** What is expected of each field that an overrider may set; undefined where it is met. */
const CHECKS = {
  type: oneOf("sync", "detached"),
  appId: nonEmpty,
  appName: text,
  fnId: nonEmpty,
  fnName: text,
  image: (value) =>
    typeof value === "string" && /^\S+$/.test(value) ? undefined : "the name of an image, without spaces",
  memoryMiB: integer(LIMITS.memoryMiB),
  cpuMillis: integer(LIMITS.cpuMillis),
  tmpfsMiB: integer(LIMITS.tmpfsMiB),
  timeoutMs: integer(LIMITS.timeoutMs),
  idleTimeoutMs: integer(LIMITS.idleTimeoutMs),
  concurrency: integer(LIMITS.concurrency),
  maxCalls: integer(LIMITS.maxCalls),
  minContainers: integer(LIMITS.minContainers),
  maxContainers: integer(LIMITS.maxContainers),
  config: stringMap,
  annotations: (value) => (isObject(value) ? undefined : "an object"),
  syslogUrl: text,
  networkDisabled: oneOf(true, false),
  onCancel: oneOf("kill", "finish"),
  idempotent: oneOf(true, false),
  method: (value) => (typeof value === "string" && HEADER_NAME.test(value) ? undefined : "an HTTP method"),
  url: (value) => (typeof value === "string" && URL.canParse(value) ? undefined : "an absolute URL"),
  headers: headerList,
  extensions: stringMap,
  callExtensions: stringMap,
  placement,
} satisfies Record<Exclude<keyof Call, "id" | "registryToken">, Check>;

/**
 * Checks what overriders made of a call, so that their mistake is told as theirs.
 * @throws CallError `override_invalid` naming field and value, `extension_limit` naming the key
 */
export function checkCall(call: Call, before: Call): void {
  if (call.id !== before.id) throw invalid("id", call.id, "the call's own, which cannot be changed");
  for (const [field, check] of Object.entries<Check>(CHECKS)) {
    const value: unknown = Reflect.get(call, field);
    const expected = check(value);
    if (expected !== undefined) throw invalid(field, value, expected);
  }
  const tooLarge = tmpfsFault(call);
  if (tooLarge !== undefined) throw invalid("tmpfsMiB", call.tmpfsMiB, tooLarge);
  // A secret: its value is not for a message.
  if (typeof call.registryToken !== "string") throw invalid("registryToken", {}, "a string");
  checkExtensionLimits(call.extensions, call.callExtensions);
}

function placement(value: unknown): string | undefined {
  if (value === undefined) return undefined;
  const { placer, labels = {} } = isObject(value) ? (value as PlacementWish) : { labels: null };
  const named = placer === undefined || typeof placer === "string";
  return named && stringMap(labels) === undefined ? undefined : "what withPlacer and withRunnerLabels make";
}

function invalid(field: string, value: unknown, expected: string): CallError {
  return new CallError(
    "override_invalid",
    `Operator's middleware set the call's ${field} to ${shown(value)}, expected ${expected}`,
  );
}

/** Only what is plain: the rest may hold secrets, and the message goes to the client. */
function shown(value: unknown): string {
  if (Array.isArray(value)) return "an array";
  if (typeof value === "object" && value !== null) return "an object";
  const text = typeof value === "string" ? JSON.stringify(value) : String(value);
  return text.length > 80 ? `${text.slice(0, 79)}…` : text;
}

function integer({ min, max }: { readonly min: number; readonly max: number }): Check {
  return (value) =>
    Number.isInteger(value) && Number(value) >= min && Number(value) <= max ? undefined : `an integer ${min} to ${max}`;
}

function oneOf(...allowed: readonly (string | boolean)[]): Check {
  return (value) => (allowed.some((one) => one === value) ? undefined : allowed.map(String).join(" or "));
}

function text(value: unknown): string | undefined {
  return typeof value === "string" ? undefined : "a string";
}

function nonEmpty(value: unknown): string | undefined {
  return typeof value === "string" && value !== "" ? undefined : "a string that is not empty";
}

function stringMap(value: unknown): string | undefined {
  if (!isObject(value)) return "an object of strings";
  const [key, other] = Object.entries(value).find(([, item]) => typeof item !== "string") ?? [];
  return key === undefined
    ? undefined
    : `strings in it, but "${key}" is ${other === null ? "null" : `of type ${typeof other}`}`;
}

function headerList(value: unknown): string | undefined {
  if (!Array.isArray(value)) return "pairs of a header's name and value";
  const at = value.findIndex((pair: unknown) => !isHeader(pair));
  return at < 0 ? undefined : `pairs of a header's name and value, but [${at}] is none`;
}

function isHeader(pair: unknown): boolean {
  if (!Array.isArray(pair) || pair.length !== 2) return false;
  const name: unknown = pair[0];
  const value: unknown = pair[1];
  return typeof name === "string" && typeof value === "string" && HEADER_NAME.test(name) && HEADER_VALUE.test(value);
}

function isObject(value: unknown): value is object {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
