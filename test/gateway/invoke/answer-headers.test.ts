import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { newCallId, type HeaderList } from "../../../core/call.ts";
import { answerHeaders, type AnswerHeaders } from "../../../gateway/invoke/answer-headers.ts";

describe("answerHeaders", () => {
  const callId = newCallId();
  const rows: readonly [what: string, said: HeaderList, gets: AnswerHeaders][] = [
    [
      "passes the function's own",
      [
        ["Content-Type", "a/b"],
        ["X-A", "1"],
      ],
      { "content-type": "a/b", "x-a": "1" },
    ],
    [
      "keeps repeated values",
      [
        ["Set-Cookie", "a=1"],
        ["set-cookie", "b=2"],
        ["Set-Cookie", "c=3"],
      ],
      { "set-cookie": ["a=1", "b=2", "c=3"] },
    ],
    [
      "passes what only a trigger would translate",
      [
        ["Fn-Http-Status", "404"],
        ["Fn-Http-H-A", "b"],
      ],
      { "fn-http-status": "404", "fn-http-h-a": "b" },
    ],
    ["passes the FDK's version", [["Fn-Fdk-Version", "fdk-node/1"]], { "fn-fdk-version": "fdk-node/1" }],
    [
      "passes the function's date",
      [["Date", "Sun, 06 Nov 1994 08:49:37 GMT"]],
      { date: "Sun, 06 Nov 1994 08:49:37 GMT" },
    ],
    [
      "drops headers of one hop",
      [
        ["Connection", "close"],
        ["Keep-Alive", "5"],
        ["Transfer-Encoding", "chunked"],
        ["TE", "trailers"],
      ],
      {},
    ],
    [
      "drops what Connection names",
      [
        ["Connection", "X-Hop"],
        ["x-hop", "1"],
      ],
      {},
    ],
    ["drops the length, which the gateway counts", [["Content-Length", "7"]], {}],
    ["takes no call id from a function", [["fn-call-id", "FORGED"]], {}],
    ["takes no name that is not only a name", [["__proto__", "x"]], {}],
  ];
  for (const [what, said, gets] of rows) {
    it(what, () => assert.deepEqual(answerHeaders(said, callId), { "fn-call-id": callId, ...gets }));
  }
});
