import assert from "node:assert/strict";
import { once } from "node:events";
import * as http2 from "node:http2";
import { before, describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";

import type { MessageInitShape } from "@bufbuild/protobuf";
import { Code, ConnectError, createClient, type ServiceImpl } from "@connectrpc/connect";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import { createTransport } from "@connectrpc/connect/protocol-connect";

import type { PkiData } from "../../../core/pki.ts";
import { RunnerService, type EngageRequestSchema } from "../../../gen/kiln/runner/v1/runner_pb.ts";
import { createAuthority, issue } from "../../../kiln/pki.ts";
import { failsWith } from "../../../kiln/testing/fails-with.ts";
import { connectedPeer, type Http2Peer } from "../../../kiln/testing/http2-peer.ts";

describe("eventFedClient under Connect, with mutual TLS", () => {
  let runner: PkiData;
  let gateway: PkiData;
  let stranger: PkiData;

  before(async () => {
    const [ours, another] = await Promise.all([createAuthority(), createAuthority()]);
    runner = await issue(ours, { name: "runner.internal", role: "runner" });
    gateway = await issue(ours, { name: "gateway.internal", role: "gateway" });
    stranger = { ...(await issue(another, { name: "gateway.internal", role: "gateway" })), ca: ours.cert };
  });

  function serving(implementation: Partial<ServiceImpl<typeof RunnerService>>, client: PkiData): Promise<Http2Peer> {
    const adapter = connectNodeAdapter({ routes: (router) => router.service(RunnerService, implementation) });
    const server = http2.createSecureServer({ ...runner, requestCert: true, minVersion: "TLSv1.3" }, adapter);
    return connectedPeer(server, { ...client, servername: "runner.internal" });
  }

  function runnerClient({ client, url }: Http2Peer) {
    const limits = { compressMinBytes: 1024, readMaxBytes: 2 ** 22, writeMaxBytes: 2 ** 22 };
    const encoding = { useBinaryFormat: true, acceptCompression: [], sendCompression: null };
    return createClient(
      RunnerService,
      createTransport({ httpClient: client, baseUrl: url, interceptors: [], ...limits, ...encoding }),
    );
  }

  it("makes many unary calls at once, which answer after a while", async () => {
    await using peer = await serving(
      {
        async status() {
          // A handler that answers at once hides the fault of nodejs/node#65677.
          await sleep(1);
          return { runnerId: "r1" };
        },
      },
      gateway,
    );
    const client = runnerClient(peer);

    for (let round = 0; round < 5; round++) {
      const answers = await Promise.all(Array.from({ length: 40 }, () => client.status({})));
      assert.ok(answers.every(({ runnerId }) => runnerId === "r1"));
    }
  });

  it("carries the errors of a handler", async () => {
    await using peer = await serving(
      { status: () => Promise.reject(new ConnectError("not today", Code.Aborted)) },
      gateway,
    );

    await assert.rejects(runnerClient(peer).status({}), failsWith(Code.Aborted, /not today/));
  });

  it("speaks and listens on one stream in turns, and in big messages", async () => {
    await using peer = await serving(
      {
        async *engage(requests) {
          for await (const { frames } of requests) {
            for (const { call, frame } of frames) {
              if (frame.case === "data") yield { frames: [{ call, frame }] };
            }
          }
        },
      },
      gateway,
    );
    const replies: number[] = [];
    const heard = { wake: () => {} };
    async function* asking() {
      for (const length of [1, 10, 100_000, 1_000_000]) {
        const answered = new Promise<void>((resolve) => (heard.wake = resolve));
        yield dataMessage(length);
        await answered;
      }
    }

    for await (const { frames } of runnerClient(peer).engage(asking())) {
      for (const { frame } of frames) if (frame.case === "data") replies.push(frame.value.bytes.length);
      heard.wake();
    }

    assert.deepEqual(replies, [1, 10, 100_000, 1_000_000]);
  });

  it("lets the handler see that a stream was cancelled", async () => {
    const cancelled = Promise.withResolvers<void>();
    await using peer = await serving(
      {
        async *engage(_requests, context) {
          context.signal.addEventListener("abort", () => cancelled.resolve());
          yield dataMessage(1);
          await cancelled.promise;
        },
      },
      gateway,
    );
    const controller = new AbortController();

    const reading = (async () => {
      for await (const _ of runnerClient(peer).engage(silence(controller.signal), { signal: controller.signal }))
        controller.abort();
    })();

    await assert.rejects(reading, failsWith(Code.Canceled));
    await cancelled.promise;
  });

  it("fails as unavailable where the server refuses the certificate, which TLS 1.3 tells after the handshake", async () => {
    for (const client of [stranger, { ca: gateway.ca, key: "", cert: "" }]) {
      await using peer = await serving({ status: () => ({}) }, client);

      await assert.rejects(runnerClient(peer).status({}), failsWith(Code.Unavailable));
      await assert.rejects(runnerClient(peer).status({}), failsWith(Code.Unavailable));
    }
  });

  it("fails as unavailable where the server's certificate is not to be believed", async () => {
    await using peer = await serving({ status: () => ({}) }, { ...gateway, ca: (await createAuthority()).cert });

    await assert.rejects(runnerClient(peer).status({}), failsWith(Code.Unavailable, /certificate|issuer/i));
  });
});

function dataMessage(length: number) {
  return {
    frames: [{ call: 1, frame: { case: "data" as const, value: { bytes: new Uint8Array(length), end: false } } }],
  };
}

/** Says nothing until the signal aborts. */
async function* silence(signal: AbortSignal): AsyncGenerator<MessageInitShape<typeof EngageRequestSchema>> {
  if (!signal.aborted) await once(signal, "abort");
  yield* [];
}
