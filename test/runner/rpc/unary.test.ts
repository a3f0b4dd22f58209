import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";

import { Code, ConnectError, createClient, type Client } from "@connectrpc/connect";
import { createConnectTransport, createGrpcTransport } from "@connectrpc/connect-node";

import { newCallId } from "../../../core/call.ts";
import { CallType, Isolation, RunnerService } from "../../../gen/kiln/runner/v1/runner_pb.ts";
import { createAuthority, issue } from "../../../kiln/pki.ts";
import { processRunner, served, type ServedRunner } from "../../../kiln/testing/process-runner.ts";

const authority = await createAuthority();
const gatewayPki = await issue(authority, { name: "kiln-gateway", role: "gateway" });

const transports = { Connect: createConnectTransport, gRPC: createGrpcTransport };

for (const [protocol, createTransport] of Object.entries(transports)) {
  describe(`RunnerService, unary, for an independent ${protocol} client`, () => {
    let one: ServedRunner;
    let client: Client<typeof RunnerService>;
    before(async () => {
      one = await served(await processRunner(), await issue(authority, { name: "kiln-runner", role: "runner" }));
      client = createClient(
        RunnerService,
        createTransport({ httpVersion: "2", baseUrl: `https://${one.address}`, nodeOptions: { ...gatewayPki } }),
      );
    });
    after(() => one[Symbol.asyncDispose]());

    const call = (image: string, changes: Readonly<Record<string, unknown>> = {}) => ({
      id: newCallId(),
      type: CallType.SYNC,
      appId: "app",
      fnId: image,
      image,
      memoryMib: 128,
      timeoutMs: 30_000,
      idleTimeoutMs: 30_000,
      ...changes,
    });

    it("runs a call, cold and warm", async () => {
      for (const _ of ["cold", "warm"]) {
        const answer = await client.invoke({ call: call("hello"), body: Buffer.from('{"name":"you"}') });

        assert.equal(answer.status, 200);
        assert.deepEqual(JSON.parse(Buffer.from(answer.body).toString()), { message: "Hello, you" });
        assert.ok((answer.timings?.runUs ?? 0n) > 0n);
      }
    });

    it("says by code and text why a call failed", async () => {
      const headers = [{ name: "Probe-Control", value: '{"httpStatus":502}' }];

      const failed = await client.invoke({ call: call("probe", { headers }) }).catch((error: unknown) => error);

      assert.ok(failed instanceof ConnectError);
      assert.equal(failed.metadata.get("kiln-error-code"), "function_failed");
      assert.match(failed.message, /function failed/);
    });

    it("refuses a body that needs a session", async () => {
      const body = new Uint8Array(4 * 1024 * 1024 + 1);

      const refused = await client.invoke({ call: call("hello"), body }).catch((error: unknown) => error);

      assert.ok(refused instanceof ConnectError && refused.code === Code.ResourceExhausted);
    });

    it("refuses a call that makes no sense, naming the field", async () => {
      const refused = await client.invoke({ call: call("hello", { memoryMib: 0 }) }).catch((error: unknown) => error);

      assert.ok(refused instanceof ConnectError);
      assert.match(refused.message, /invalid_call: .*memoryMiB/);
    });

    it("ends a call whose client gave up", async () => {
      const headers = [{ name: "Probe-Control", value: '{"sleepTime":20000}' }];

      const late = await client
        .invoke({ call: call("probe", { headers }) }, { timeoutMs: 500 })
        .catch((error: unknown) => error);

      assert.ok(late instanceof ConnectError && late.code === Code.DeadlineExceeded);
      const until = Date.now() + 1_000;
      while (one.runner.status().active > 0 && Date.now() < until)
        await new Promise((resolve) => setTimeout(resolve, 5));
      assert.equal(one.runner.status().active, 0);
    });

    it("tells its status", async () => {
      const status = await client.status({});

      assert.equal(status.runnerId, "runner");
      assert.equal(status.isolation, Isolation.NONE);
      assert.equal(status.draining, false);
    });
  });
}
