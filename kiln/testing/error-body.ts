import assert from "node:assert/strict";

/** An error as the gateway tells it. */
export interface ErrorBody {
  readonly message: string;
  readonly code: string;
  readonly component: string;
  readonly retryable: boolean;
  readonly callId: string;
  readonly stderr?: string;
}

/** The error in a response that is everything an error has to be: JSON and a newline, with the id of its call. */
export async function errorBody(response: Response): Promise<ErrorBody> {
  assert.equal(response.headers.get("content-type"), "application/json; charset=utf-8");
  const text = await response.text();
  assert.match(text, /^\{[^\n]*\}\n$/);
  const body = JSON.parse(text) as ErrorBody;
  assert.match(body.callId, /^[0-9A-HJKMNP-TV-Z]{26}$/);
  assert.equal(response.headers.get("fn-call-id"), body.callId);
  for (const field of ["message", "code", "component", "retryable"]) assert.ok(field in body, `no ${field} in ${text}`);
  return body;
}
