import { z } from "zod";

import type { JsonValue } from "../../core/call.ts";

/** Fn's bounds, which the fields of a functions file and of the API share. */
export const ANNOTATION_LIMITS = { keys: 100, keyBytes: 128, valueBytes: 512 } as const;

const SYSLOG_SCHEMES = ["udp", "tcp", "unix", "unixgram", "tcp+tls"];

/** Of apps, functions and triggers. Those that Fn mints are 26 letters and digits. */
export const ENTITY_ID = /^[0-9A-Za-z][0-9A-Za-z_.-]{0,127}$/;

export const entityId = z.string().regex(ENTITY_ID, "expected 1 to 128 letters, digits, _, . or -");

export const entityName = z
  .string()
  .regex(/^[\p{L}\p{N}_-]+$/u, "expected letters, digits, _ or -")
  .check(atMostBytes(255));

export const fnName = z
  .string()
  .regex(/^[0-9A-Za-z\-_.~$&+=:@]+$/, "expected ASCII letters, digits or -_.~$&+=:@")
  .check(atMostBytes(255));

export const image = z
  .string()
  .regex(/^\S+$/, "expected the name of an image, without spaces")
  .check(atMostBytes(1_024));

export const configKey = z.string().regex(/^[^=\0]+$/, "expected a name without =");

export const annotationKey = z
  .string()
  .regex(/^[\x21-\x7e]{1,128}$/, "expected 1 to 128 printable ASCII characters without spaces");

export const annotationExpected = `expected JSON of at most ${ANNOTATION_LIMITS.valueBytes} bytes, not empty`;

export const syslogUrl = z.string().refine(isSyslogUrl, `expected a URL with one of ${SYSLOG_SCHEMES.join(", ")}`);

export function isAnnotation(value: unknown): value is JsonValue {
  if (value === null || value === "" || value === undefined) return false;
  return Buffer.byteLength(JSON.stringify(value)) <= ANNOTATION_LIMITS.valueBytes;
}

export function atMostBytes(bytes: number) {
  return z.refine<string>((text) => Buffer.byteLength(text) <= bytes, `expected at most ${bytes} bytes`);
}

function isSyslogUrl(text: string): boolean {
  return text === "" || (URL.canParse(text) && SYSLOG_SCHEMES.includes(new URL(text).protocol.slice(0, -1)));
}
