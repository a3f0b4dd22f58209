import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { errorBody } from "../../kiln/testing/error-body.ts";
import { answers } from "../../kiln/testing/fake-runner.ts";
import { gatewayFor } from "../../kiln/testing/gateway-for.ts";

describe("createGateway", () => {
  it("answers the ping that Fn's clients know, byte for byte", async () => {
    const { app } = gatewayFor(answers(""));

    const response = await app.request("/");

    assert.equal(response.status, 200);
    assert.equal(response.headers.get("content-type"), "application/json; charset=utf-8");
    assert.equal(await response.text(), '{"goto":"https://github.com/fnproject/fn","hello":"world!"}');
  });

  it("tells its version, and that it lives", async () => {
    const { app } = gatewayFor(answers(""));

    assert.deepEqual(await (await app.request("/version")).json(), { version: "1.2.3" });
    assert.deepEqual(await (await app.request("/livez")).json(), { live: true });
  });

  it("is ready when some runner can be reached, and says why when not", async () => {
    const state = { ready: true, detail: "2 of 3 runners" };
    const { app } = gatewayFor(answers(""), { ready: () => state });

    assert.deepEqual(await (await app.request("/readyz")).json(), { ready: true, detail: "2 of 3 runners" });
    Object.assign(state, { ready: false, detail: "0 of 3 runners" });
    const response = await app.request("/readyz");

    assert.equal(response.status, 503);
    const body = await errorBody(response);
    assert.equal(body.message, "Not ready: 0 of 3 runners");
    assert.equal(body.retryable, true);
  });

  it("finds a function by the decoded path", async () => {
    const { app, runner } = gatewayFor(answers(""));

    assert.equal((await app.request("/invoke/%68ello", { method: "POST" })).status, 200);

    assert.equal(runner.offered[0]?.call.fnId, "hello");
  });

  it("answers HEAD as GET, without a body", async () => {
    const { app } = gatewayFor(answers(""));

    const response = await app.request("/", { method: "HEAD" });

    assert.equal(response.status, 200);
    assert.equal(await response.text(), "");
  });

  for (const [method, path] of [
    ["GET", "/nope"],
    ["POST", "/nope/"],
    ["POST", "/invoke"],
    ["POST", "/invoke/"],
    ["POST", "/invoke/a/b"],
    ["GET", "/Version"],
  ] as const) {
    it(`answers 404 to ${method} ${path}`, async () => {
      const { app } = gatewayFor(answers(""));

      const response = await app.request(path, { method });

      assert.equal(response.status, 404);
      const body = await errorBody(response);
      assert.equal(body.message, `Path not found: ${method} ${path}`);
      assert.equal(body.code, "not_found");
    });
  }

  for (const [method, path, allow] of [
    ["GET", "/invoke/hello", "POST"],
    ["PUT", "/invoke/hello", "POST"],
    ["OPTIONS", "/invoke/hello", "POST"],
    ["GET", "/invoke/unknown", "POST"],
    ["POST", "/version", "GET, HEAD"],
    ["DELETE", "/", "GET, HEAD"],
  ] as const) {
    it(`answers 405 to ${method} ${path}, and what is allowed`, async () => {
      const { app, runner } = gatewayFor(answers(""));

      const response = await app.request(path, { method });

      assert.equal(response.status, 405);
      assert.equal(response.headers.get("allow"), allow);
      const body = await errorBody(response);
      assert.equal(body.message, `Method not allowed: ${method} ${path}`);
      assert.equal(body.code, "method_not_allowed");
      assert.equal(runner.offered.length, 0);
    });
  }

  for (const [method, path, status, location] of [
    ["POST", "/invoke/hello/", 307, "/invoke/hello"],
    ["POST", "/invoke/hello/?a=b", 307, "/invoke/hello?a=b"],
    ["GET", "/version/", 301, "/version"],
  ] as const) {
    it(`sends ${method} ${path} to the path without the slash`, async () => {
      const { app } = gatewayFor(answers(""));

      const response = await app.request(path, { method });

      assert.equal(response.status, status);
      assert.equal(response.headers.get("location"), location);
    });
  }
});
