import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { CallError } from "../../core/call-error.ts";
import { ERROR_CODES, isErrorCode } from "../../core/error-codes.ts";

describe("the error catalogue", () => {
  it("blames callers with 4xx and 501, functions and platform never with another's status", () => {
    for (const [code, { blame, status }] of Object.entries(ERROR_CODES)) {
      if (blame === "caller") assert.ok(status < 500 || status === 501, code);
      if (blame === "platform") assert.ok(status >= 500, code);
    }
  });

  it("calls only platform trouble that may pass worth a retry", () => {
    const retryable = Object.entries(ERROR_CODES).filter(([, row]) => row.retryable);

    assert.ok(retryable.every(([, { status, blame }]) => status === 503 && blame === "platform"));
  });

  it("keeps the texts that Fn's clients know", () => {
    assert.equal(new CallError("server_busy").message, "Timed out - server too busy");
    assert.equal(new CallError("call_timeout").message, "Timed out");
    assert.equal(new CallError("function_response_too_big").message, "function response body too large");
    assert.equal(new CallError("function_response_header_too_big").message, "function response header too large");
    assert.equal(new CallError("function_response").message, "error receiving function response");
    assert.equal(new CallError("function_failed").message, "function failed");
    assert.equal(new CallError("function_invalid_response").message, "invalid function response");
    assert.equal(new CallError("function_write_request").message, "function closed pipe while receiving request");
  });

  it("knows its codes from other words", () => {
    assert.ok(isErrorCode("server_busy"));
    assert.ok(!isErrorCode("toString"));
  });
});

describe("CallError.from", () => {
  it("keeps a CallError and hides anything else behind a code", () => {
    const known = new CallError("server_busy");
    const cause = new Error("the true reason");

    assert.equal(CallError.from(known), known);
    assert.equal(CallError.from(cause).code, "internal");
    assert.equal(CallError.from(cause).cause, cause);
    assert.ok(!CallError.from(cause).message.includes("true reason"));
  });
});
