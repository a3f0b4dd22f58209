import assert from "node:assert/strict";

import { Code, ConnectError } from "@connectrpc/connect";

/** For `assert.rejects`: a ConnectError with this code and message. */
export function failsWith(code: Code, message = /./): (error: unknown) => true {
  return (error) => {
    assert.ok(error instanceof ConnectError, String(error));
    assert.equal(Code[error.code], Code[code], error.message);
    assert.match(error.message, message);
    return true;
  };
}
