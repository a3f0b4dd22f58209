import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import { describe, it } from "node:test";

import { apiClient } from "../../../gateway/api-client/api-client.ts";
import { apiBase } from "../../../gateway/api-client/api-url.ts";

async function answering(answer: RequestListener, path = "") {
  const server = createServer(answer).listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const client = apiClient({
    url: `http://127.0.0.1:${port}${path}`,
    token: "secret",
    timeoutMs: 300,
    connections: 2,
    maxAnswerBytes: 1_000,
  });
  return {
    client,
    async [Symbol.asyncDispose]() {
      await client[Symbol.asyncDispose]();
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
}

const says = (status: number, body: string) =>
  answering((_, response) => void response.writeHead(status, { etag: '"1"' }).end(body));

describe("apiClient", () => {
  it("asks with its token, below the address's own path", async () => {
    const seen: unknown[] = [];
    await using one = await answering(({ method, url, headers }, response) => {
      seen.push(method, url, headers.authorization, headers["if-none-match"]);
      response.setHeader("etag", '"2"').end("{}");
    }, "/behind/a/proxy/v2/");

    const answer = await one.client.request({ path: "fns/a", headers: { "if-none-match": '"1"' } });

    assert.deepEqual(answer, { status: 200, etag: '"2"', body: {} });
    assert.deepEqual(seen, ["GET", "/behind/a/proxy/v2/fns/a", "Bearer secret", '"1"']);
  });

  it("leaves an API's own refusals as they are", async () => {
    for (const status of [400, 404, 409, 412]) {
      await using one = await says(status, `{"message":"Fn not found"}`);
      const answer = await one.client.request({ path: "fns/a" });
      assert.equal(answer.status, status);
    }
  });

  const rows: readonly (readonly [status: number, body: string, reach: string, retryable: boolean, message: RegExp])[] =
    [
      [500, `{"message":"Internal server error"}`, "broken", true, /answered 500 \(Internal server error\)/],
      [503, "<html>", "away", true, /answered 503$/],
      [401, `{"message":"who?"}`, "away", false, /answered 401 \(who\?\): it wants another token/],
      [404, "<html>", "away", false, /no answer of a v2 API: check its address/],
      [404, `{"message":"Path not found: GET /v2/fns/a"}`, "away", false, /no answer of a v2 API/],
      [301, "", "away", false, /answered 301, which is no answer/],
      [200, "<html>", "broken", false, /answered 200 without JSON/],
      [200, JSON.stringify("x".repeat(1_000)), "away", true, /does not answer: Response content exceeded max size/],
    ];
  for (const [status, body, reach, retryable, message] of rows) {
    it(`says what is wrong with ${status} ${body.slice(0, 20)}`, async () => {
      await using one = await says(status, body);
      await assert.rejects(one.client.request({ path: "fns/a" }), { reach, retryable, message });
    });
  }

  it("waits for a whole answer as long as it may, and for no connection that is refused", async () => {
    await using one = await answering((_, response) => void response.write("{"));
    await assert.rejects(one.client.request({ path: "fns/a" }), { reach: "away", retryable: true });

    await using gone = await answering(() => {});
    const { url } = gone.client;
    await gone[Symbol.asyncDispose]();
    const client = apiClient({ url, token: "", timeoutMs: 5_000, connections: 1, maxAnswerBytes: 1_000 });
    await assert.rejects(client.request({ path: "fns/a" }), { reach: "away", message: /ECONNREFUSED/ });
    await client[Symbol.asyncDispose]();
  });
});

describe("apiBase", () => {
  it("takes an address with or without /v2", () => {
    assert.deepEqual(apiBase("http://fn-api:8080"), { origin: "http://fn-api:8080", path: "" });
    assert.deepEqual(apiBase("https://api/v2/"), { origin: "https://api", path: "" });
    assert.deepEqual(apiBase("https://api/fn/v2"), { origin: "https://api", path: "/fn" });
  });

  it("says what is wrong with others, and shows no password", () => {
    assert.throws(() => apiBase("fn-api:8080"), /"fn-api:8080" is no address of an API, expected one such as/);
    assert.throws(
      () => apiBase("http://me:secret@api"),
      (error: Error) => /at api has a user in it/.test(error.message) && !error.message.includes("secret"),
    );
  });
});
