import assert from "node:assert/strict";

/** Creates what a body says, on an administrators' address `host:port`. */
export function created(
  admin: string,
  token = "",
): (kind: "apps" | "fns" | "triggers", body: object) => Promise<{ readonly id: string }> {
  return async (kind, body) => {
    const response = await fetch(`http://${admin}/v2/${kind}`, {
      method: "POST",
      body: JSON.stringify(body),
      ...(token === "" ? {} : { headers: { authorization: `Bearer ${token}` } }),
    });
    const text = await response.text();
    assert.equal(response.status, 200, text);
    return JSON.parse(text) as { readonly id: string };
  };
}

/** Calls a function through a gateway at `host:port`. */
export function invoke(gateway: string, fnId: string, signal?: AbortSignal): Promise<Response> {
  const init = signal === undefined ? {} : { signal };
  return fetch(`http://${gateway}/invoke/${fnId}`, { method: "POST", body: `{"name":"you"}`, ...init });
}
