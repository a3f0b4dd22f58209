import { z } from "zod";

import { CallError } from "./call-error.ts";
import type { ExtensionMap } from "./call.ts";

export { z };

/** A key of the extension maps with the type of its value. Made once, by `defineExtension`. */
export interface Extension<T> {
  readonly name: string;
  /** Matters to the call alone, not to its container. */
  readonly perCall: boolean;
  /** Reads what a client or the wire sent. @throws CallError `extension_invalid` naming the key */
  parse(text: string): T;
  /** Writes the value as it travels. @throws CallError `extension_misused` if the schema refuses it */
  format(value: T): string;
}

/** What has extensions: a call has both maps, a container's task only the first. */
export interface ExtensionCarrier {
  readonly extensions: ExtensionMap;
  readonly callExtensions?: ExtensionMap;
}

/** More than any policy needs, and little enough to travel with every call. */
export const EXTENSION_LIMITS = { keys: 64, nameBytes: 128, valueBytes: 4_096 } as const;

/**
 * Fn's key for a registry's token. It is no extension here: extensions are in the slot key, and every hook sees them.
 * `withRegistryToken` sets it where only the pulling of the image finds it.
 */
const REGISTRY_TOKEN = "FN_REGISTRY_TOKEN";

const NAME = /^[\x21-\x7e]+$/;

/**
 * Declares an extension. Its value changes the container unless `perCall` is set, so calls with
 * different values never share one.
 *
 * @example
 * ```ts
 * export const cpuShares = defineExtension("cpu-shares", z.coerce.number().int().min(2).max(262_144));
 * ```
 * A value that is not a string, number or boolean needs a codec to a string (`z.codec`).
 */
export function defineExtension<T>(
  name: string,
  schema: z.ZodType<T>,
  options: { readonly perCall?: boolean } = {},
): Extension<T> {
  if (!NAME.test(name) || name.length > EXTENSION_LIMITS.nameBytes) {
    throw new TypeError(
      `Cannot define extension "${name}": a name is 1 to 128 printable ASCII characters without spaces`,
    );
  }
  if (name === REGISTRY_TOKEN) {
    throw new TypeError(
      `Cannot define extension "${name}": it is a secret, set it with withRegistryToken(call, token)`,
    );
  }
  return {
    name,
    perCall: options.perCall ?? false,
    parse(text) {
      const read = schema.safeParse(text);
      if (read.success) return read.data;
      throw new CallError("extension_invalid", `Extension "${name}" has an invalid value: ${summary(read.error)}`);
    },
    format(value) {
      const written = z.safeEncode(schema, value);
      if (written.success) return asText(name, written.data);
      throw new CallError("extension_misused", `Cannot set extension "${name}": ${summary(written.error)}`);
    },
  };
}

/** The same call with this extension set. */
export function withExtension<C extends Required<ExtensionCarrier>, T>(call: C, key: Extension<T>, value: T): C {
  const text = key.format(value);
  return key.perCall
    ? { ...call, callExtensions: { ...call.callExtensions, [key.name]: text } }
    : { ...call, extensions: { ...call.extensions, [key.name]: text } };
}

/** The extension's value, or undefined where no overrider set it. */
export function extension<T>(carrier: ExtensionCarrier, key: Extension<T>): T | undefined {
  if (key.perCall && carrier.callExtensions === undefined) {
    throw new TypeError(`Extension "${key.name}" is per call: a start hook cannot see it, a call hook can`);
  }
  const map = key.perCall ? carrier.callExtensions : carrier.extensions;
  // A name such as "constructor" is in every object, but not its own.
  const text = map !== undefined && Object.hasOwn(map, key.name) ? map[key.name] : undefined;
  return text === undefined ? undefined : key.parse(text);
}

/** The same call with the bearer token with which its image is pulled. It reaches no map, no key, no hook and no log. */
export function withRegistryToken<C extends { readonly registryToken: string }>(call: C, token: string): C {
  return { ...call, registryToken: token };
}

/**
 * Refuses maps over the limits, and a registry's token in them.
 * @throws CallError `extension_limit` or `extension_misused` naming the key
 */
export function checkExtensionLimits(...maps: readonly ExtensionMap[]): void {
  const { keys, nameBytes, valueBytes } = EXTENSION_LIMITS;
  let total = 0;
  for (const map of maps) {
    for (const [name, value] of Object.entries(map)) {
      total += 1;
      if (name === REGISTRY_TOKEN) {
        const why = `"${name}" is a secret and no extension: set it with withRegistryToken(call, token)`;
        throw new CallError("extension_misused", `Cannot run the call: ${why}`);
      }
      if (Buffer.byteLength(name) > nameBytes) {
        throw new CallError("extension_limit", `Extension "${name.slice(0, 40)}…" has a name over ${nameBytes} bytes`);
      }
      if (Buffer.byteLength(value) > valueBytes) {
        throw new CallError("extension_limit", `Extension "${name}" has a value over ${valueBytes} bytes`);
      }
    }
  }
  if (total > keys) throw new CallError("extension_limit", `Call has ${total} extensions, the most is ${keys}`);
}

function asText(name: string, value: unknown): string {
  if (typeof value === "string") return value;
  if (typeof value === "number" || typeof value === "boolean" || typeof value === "bigint") return String(value);
  throw new TypeError(`Extension "${name}" needs a codec to a string, its schema encodes to ${typeof value}`);
}

function summary(error: z.ZodError): string {
  return error.issues.map((issue) => issue.message).join("; ");
}
