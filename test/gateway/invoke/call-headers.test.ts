import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { asksForUpgrade, callHeaders } from "../../../gateway/invoke/call-headers.ts";

describe("callHeaders", () => {
  const rows: readonly [what: string, sent: readonly string[], gets: readonly (readonly [string, string])[]][] = [
    [
      "passes what is the function's",
      ["Content-Type", "text/plain", "X-A", "1"],
      [
        ["Content-Type", "text/plain"],
        ["X-A", "1"],
      ],
    ],
    [
      "keeps each value of a repeated header, in order",
      ["X-A", "1", "x-a", "2"],
      [
        ["X-A", "1"],
        ["x-a", "2"],
      ],
    ],
    [
      "keeps credentials",
      ["Authorization", "Bearer x", "Cookie", "a=b"],
      [
        ["Authorization", "Bearer x"],
        ["Cookie", "a=b"],
      ],
    ],
    ["drops Host and Content-Length", ["Host", "gateway:8080", "Content-Length", "3"], []],
    ["drops Expect, which the gateway has answered", ["Expect", "100-continue"], []],
    [
      "drops headers of one hop",
      ["Connection", "close", "Keep-Alive", "5", "Proxy-Connection", "a", "Trailer", "T"],
      [],
    ],
    [
      "drops more of them",
      ["Transfer-Encoding", "chunked", "Upgrade", "h2c", "Proxy-Authorization", "x", "TE", "gzip"],
      [],
    ],
    ["keeps TE: trailers", ["TE", "trailers"], [["TE", "trailers"]]],
    ["drops what Connection names", ["Connection", "close, X-Hop", "x-hop", "1", "X-End", "2"], [["X-End", "2"]]],
    [
      "drops what only Kiln may say",
      ["Fn-Call-Id", "1", "fn-http-method", "GET", "FN-DEADLINE", "x", "Fn-Http-H-A", "b"],
      [],
    ],
    [
      "keeps Fn-Invoke-Type and Fn-Intent",
      ["Fn-Invoke-Type", "sync", "fn-intent", "x"],
      [
        ["Fn-Invoke-Type", "sync"],
        ["fn-intent", "x"],
      ],
    ],
    ["drops the pseudo headers of HTTP/2", [":method", "POST", ":path", "/"], []],
  ];
  for (const [what, sent, gets] of rows) {
    it(what, () => assert.deepEqual(callHeaders(sent), gets));
  }
});

describe("asksForUpgrade", () => {
  const rows: readonly [what: string, sent: readonly string[], asks: boolean][] = [
    ["a WebSocket", ["Connection", "Upgrade", "Upgrade", "websocket"], true],
    ["among other tokens", ["Connection", "keep-alive, upgrade", "Upgrade", "websocket"], true],
    ["HTTP/2 in the clear, which may be ignored", ["Connection", "Upgrade, HTTP2-Settings", "Upgrade", "h2c"], false],
    ["Upgrade that Connection does not name", ["Upgrade", "websocket"], false],
    ["an ordinary request", ["Connection", "keep-alive"], false],
  ];
  for (const [what, sent, asks] of rows) {
    it(`${asks ? "is" : "is not"} ${what}`, () => assert.equal(asksForUpgrade(sent), asks));
  }
});
