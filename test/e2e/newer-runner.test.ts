import assert from "node:assert/strict";
import { once } from "node:events";
import { createSecureServer } from "node:http2";
import type { AddressInfo } from "node:net";
import { describe, it } from "node:test";

import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { WireType } from "@bufbuild/protobuf/wire";
import { connectNodeAdapter } from "@connectrpc/connect-node";

import {
  type EngageResponseSchema,
  RunnerFrameSchema,
  RunnerHelloSchema,
  RunnerService,
} from "../../gen/kiln/runner/v1/runner_pb.ts";
import { createAuthority, issue } from "../../kiln/pki.ts";
import { errorBody } from "../../kiln/testing/error-body.ts";
import { gatewayProcess } from "../../kiln/testing/main-process.ts";
import { callProbe, probeFunctions } from "../../kiln/testing/probe-calls.ts";

type Answer = MessageInitShape<typeof EngageResponseSchema>;

const CAPACITY = { freeMemoryMib: 1_024, freeCpuMillis: 2_000, totalMemoryMib: 1_024, totalCpuMillis: 2_000 };
const HELLO = create(RunnerHelloSchema, {
  runnerId: "newer",
  bootId: "b",
  version: "9.0.0",
  isolation: 2,
  capacity: CAPACITY,
});

/** What this version has never heard of. */
function newerFrame(): Answer {
  const frame = create(RunnerFrameSchema, { call: 1 });
  frame.$unknown = [{ no: 60, wireType: WireType.LengthDelimited, data: Uint8Array.of(0) }];
  return { frames: [frame] };
}

describe("a runner of a protocol that the gateway does not know yet", { timeout: 30_000 }, () => {
  it("is not waited for: its calls end with a sentence that says so", async () => {
    const authority = await createAuthority();
    const { cert, key, ca } = await issue(authority, { name: "kiln-runner", role: "runner" });
    const routes = connectNodeAdapter({
      routes: (router) =>
        router.service(RunnerService, {
          async *engage(requests): AsyncGenerator<Answer> {
            yield { frames: [{ frame: { case: "hello", value: HELLO } }] };
            for await (const { frames } of requests) {
              if (frames.some(({ frame }) => frame.case === "offer")) yield newerFrame();
            }
          },
        }),
    });
    const server = createSecureServer({ cert, key, ca, requestCert: true }, routes);
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const address = `127.0.0.1:${(server.address() as AddressInfo).port}`;
    await using gateway = await gatewayProcess(authority, [address], probeFunctions({ probe: {} }));

    const response = await callProbe({ url: `http://${gateway.address}` }, "probe");

    const { code, message } = await errorBody(response);
    server.close();
    assert.equal(response.status, 502);
    // The frame may have been of the call's run, so no other runner is asked.
    assert.equal(code, "runner_lost");
    assert.match(message, /Runner sent a frame this gateway does not know: it speaks a newer protocol/);
  });
});
