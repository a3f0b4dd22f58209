import assert from "node:assert/strict";

import type { ErrorCode } from "../../core/error-codes.ts";
import type { Component } from "../../core/error-codes.ts";
import { errorBody, type ErrorBody } from "./error-body.ts";
import type { System } from "./system.ts";

/** Orders to the probe: examples/functions/probe/README.md has them all. */
export type Orders = Readonly<Record<string, unknown>>;

/** A function as a functions file declares it, but for what is the same for all probes. */
export type ProbeFields = Readonly<Record<string, unknown>>;

export interface ProbeCall {
  readonly body?: string | Uint8Array<ArrayBuffer>;
  readonly headers?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal;
  readonly method?: string;
}

/** A functions file of probes, each with containers of its own; JSON is YAML too. */
export function probeFunctions(functions: Readonly<Record<string, ProbeFields>>): string {
  const fns = Object.entries(functions).map(([id, { config = {}, ...fields }]) => ({
    id,
    name: id,
    image: "kiln-example-probe:latest",
    memory: 64,
    // Otherwise functions alike but for their names would still be told apart by them: this is to be seen in `env`.
    config: { PROBE_ID: id, ...(config as object) },
    ...fields,
  }));
  return JSON.stringify({ apps: [{ name: "tests", fns }] });
}

/** Calls a probe with its orders in a header, so that the body is opaque to it. */
export function callProbe(
  { url }: Pick<System, "url">,
  fnId: string,
  orders: Orders = {},
  call: ProbeCall = {},
): Promise<Response> {
  const { method = "POST", headers, ...rest } = call;
  return fetch(`${url}/invoke/${fnId}`, {
    method,
    headers: { "probe-control": JSON.stringify(orders), ...headers },
    ...rest,
  });
}

/** Which process serves a probe now; one is started where there is none. */
export async function probeInstance(system: Pick<System, "url">, fnId: string): Promise<string> {
  const response = await callProbe(system, fnId, { isEmptyBody: true });
  assert.equal(response.status, 200, await response.text());
  return response.headers.get("probe-instance") ?? "";
}

export interface ExpectedFailure {
  readonly status: number;
  readonly code: ErrorCode;
  /** Whose fault it is. */
  readonly component: Component;
  readonly message?: RegExp;
}

/** Checks a JSON error for all that it must say; its id is checked against the header. */
export async function assertFailure(response: Response, expected: ExpectedFailure): Promise<ErrorBody> {
  const body = await errorBody(response);
  const { status, code, component } = expected;
  assert.deepEqual(
    { status: response.status, code: body.code, component: body.component },
    { status, code, component },
    body.message,
  );
  if (expected.message !== undefined) assert.match(body.message, expected.message);
  return body;
}

/** Checks that the connection was reset after the answer had begun: nothing of it may look complete. */
export async function assertReset(response: Response): Promise<void> {
  assert.equal(response.status, 200);
  await assert.rejects(response.arrayBuffer(), { name: "TypeError", message: "terminated" });
}
