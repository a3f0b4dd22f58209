import type { JsonValue } from "../../core/call.ts";
import { ProtocolError } from "../../core/session/protocol-error.ts";

/** An annotation's value, which travels as JSON text. @throws ProtocolError */
export function annotation(text: string): JsonValue {
  try {
    return JSON.parse(text) as JsonValue;
  } catch (cause) {
    throw new ProtocolError("Gateway sent an annotation that is not JSON", { cause });
  }
}
