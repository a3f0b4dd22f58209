import { CallError } from "../../core/call-error.ts";
import { parseCallId, type Call } from "../../core/call.ts";
import { checkExtensionLimits } from "../../core/extension.ts";
import { LIMITS, tmpfsFault } from "../../core/function-spec.ts";

// What Docker takes as an image name: registry, path, tag and digest, without shell or URL characters.
const IMAGE = /^[a-zA-Z0-9][a-zA-Z0-9._:@/-]{0,511}$/;
const ENV_NAME = /^[^=\0]+$/;
const HEADER_NAME = /^[!#$%&'*+.^_`|~\w-]+$/;
// As Node writes headers, one byte a character.
const HEADER_VALUE = /^[\t\x20-\x7e\x80-\xff]*$/;

/** @throws CallError `invalid_call` for what no gateway of ours sends */
export function validateAffinityKey(key: string): void {
  if (!/^[0-9a-f]{64}$/.test(key)) throw bad("affinity key", key, "64 hex digits");
}

/**
 * Checks every field of a call that came over the wire: a runner trusts its gateway's identity,
 * not its arithmetic. @throws CallError `invalid_call` naming the field, the value and what was expected
 */
export function validateCall(call: Call): void {
  if (parseCallId(call.id) === undefined) throw bad("id", call.id, "26 characters of Crockford base32");
  for (const [field, { min, max }] of Object.entries(LIMITS)) {
    const value = call[field as keyof typeof LIMITS];
    if (!Number.isInteger(value) || value < min || value > max) {
      throw bad(field, value, `an integer from ${min} to ${max}`);
    }
  }
  if (!IMAGE.test(call.image)) throw bad("image", call.image, "an image name");
  const tooLarge = tmpfsFault(call);
  if (tooLarge !== undefined) throw bad("tmpfsMiB", call.tmpfsMiB, tooLarge);
  for (const field of ["appId", "fnId"] as const) {
    if (call[field] === "" || call[field].length > 255) throw bad(field, call[field], "1 to 255 characters");
  }
  for (const [name, value] of Object.entries(call.config)) {
    if (!ENV_NAME.test(name)) throw bad("config", name, "names without '=' and NUL");
    if (value.includes("\0")) throw bad(`config.${name}`, value, "a value without NUL");
  }
  for (const [name, value] of call.headers) {
    if (!HEADER_NAME.test(name)) throw bad("headers", name, "names of letters, digits and !#$%&'*+.^_`|~-");
    if (!HEADER_VALUE.test(value)) throw bad(`headers.${name}`, value, "characters of one byte each, no line ends");
  }
  checkExtensionLimits(call.extensions, call.callExtensions);
}

function bad(field: string, value: unknown, expected: string): CallError {
  const shown = JSON.stringify(value)?.slice(0, 80);
  return new CallError("invalid_call", `Cannot run the call: ${field} is ${shown}, expected ${expected}`);
}
