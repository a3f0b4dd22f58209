import { Code, ConnectError } from "@connectrpc/connect";

import type { CallError } from "../../core/call-error.ts";
import type { ErrorCode } from "../../core/error-codes.ts";

const CONNECT_CODES: Readonly<Record<number, Code>> = {
  400: Code.InvalidArgument,
  404: Code.NotFound,
  413: Code.ResourceExhausted,
  429: Code.ResourceExhausted,
  444: Code.Canceled,
  501: Code.Unimplemented,
  503: Code.Unavailable,
  504: Code.DeadlineExceeded,
};

/** Of a session it is the gateway's own doing, a 500; who asks for one call is told that it asked wrongly. */
const INVALID_CALL: ErrorCode = "invalid_call";

/** A failed call as Connect's clients see it: the catalogue's code is in the text and in the metadata. */
export function toConnectError(error: CallError): ConnectError {
  const code = error.code === INVALID_CALL ? Code.InvalidArgument : (CONNECT_CODES[error.status] ?? Code.Unknown);
  return new ConnectError(`${error.code}: ${error.message}`, code, { "kiln-error-code": error.code });
}
