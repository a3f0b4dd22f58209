import assert from "node:assert/strict";
import { after, describe, it } from "node:test";

import { systemClock } from "../../../core/clock.ts";
import { silentLog } from "../../../core/log.ts";
import { mtlsRunnerFactory } from "../../../gateway/runnerpool/mtls-runner.ts";
import type { Runner } from "../../../gateway/runnerpool/runnerpool.ts";
import { createAuthority, issue } from "../../../kiln/pki.ts";
import { callFor } from "../../../kiln/testing/call-for.ts";
import { collectedCall } from "../../../kiln/testing/collected-call.ts";
import { eventually } from "../../../kiln/testing/eventually.ts";
import { processRunner, served } from "../../../kiln/testing/process-runner.ts";
import { tcpProxy } from "../../../kiln/testing/tcp-proxy.ts";

const authority = await createAuthority();
const names = ["gateway-a", "gateway-b"] as const;
const never = new AbortController().signal;

// Deno ends a test whose event loop is empty.
const alive = setInterval(() => {}, 1_000);
after(() => clearInterval(alive));

async function gatewayOf(name: string, address: string): Promise<Runner> {
  const factory = mtlsRunnerFactory({
    gatewayId: name,
    version: "0",
    allowNoIsolation: true,
    dialTimeoutMs: 2_000,
    drainMs: 100,
    clock: systemClock,
    log: silentLog,
  });
  return factory(address, "kiln-runner", await issue(authority, { name, role: "gateway" }));
}

async function place(runner: Runner, control: object, body = "") {
  const call = callFor("probe", { headers: [["Probe-Control", JSON.stringify(control)]] });
  const { runnerCall, answer } = collectedCall(call, body);
  const offer = await runner.tryCall(runnerCall, never);
  assert.ok(offer.placed, offer.placed ? "" : offer.reason.message);
  return { answer };
}

describe("two gateways and one runner", () => {
  it("share its containers and its capacity, and neither hears the other's calls", async () => {
    const pki = await issue(authority, { name: "kiln-runner", role: "runner" });
    await using one = await served(await processRunner(), pki, { gatewayIdentities: names });
    await using a = await gatewayOf("gateway-a", one.address);
    await using b = await gatewayOf("gateway-b", one.address);

    const cold = await (await place(a, { echo: true }, "first")).answer;
    const warm = await (await place(b, { echo: true }, "second")).answer;
    assert.ok(cold.heard.includes("placed cold"));
    assert.ok(warm.heard.includes("placed warm"), "one gateway's container is the other's too");
    assert.equal(cold.containerId, warm.containerId);

    // The call numbers of both begin at 1.
    const placed = await Promise.all(
      [a, b, a, b].map((gateway, i) => place(gateway, { echo: true, sleepTime: 50 }, `call ${i}`)),
    );
    const answers = await Promise.all(placed.map(({ answer }) => answer));
    assert.deepEqual(
      answers.map(({ body }) => body.toString()),
      ["call 0", "call 1", "call 2", "call 3"],
    );
    await eventually(async () => {
      const [seenByA, seenByB] = [await a.status(never), await b.status(never)];
      assert.deepEqual(seenByA, seenByB);
      assert.equal(seenByA.handled, 6);
    });
  });

  it("lose only the calls of the one that is lost", async () => {
    const pki = await issue(authority, { name: "kiln-runner", role: "runner" });
    await using one = await served(await processRunner(), pki, { gatewayIdentities: names });
    await using proxy = await tcpProxy(one.address);
    await using a = await gatewayOf("gateway-a", proxy.address);
    await using b = await gatewayOf("gateway-b", one.address);
    const lost = await place(a, { sleepTime: 20_000 });
    const kept = await place(b, { sleepTime: 600 });
    assert.equal(one.runner.status().active, 2);

    await proxy[Symbol.asyncDispose]();

    assert.equal((await lost.answer).heard.at(-1), "finish runner_lost");
    await eventually(() => assert.equal(one.runner.status().active, 1));
    assert.equal((await kept.answer).heard.at(-1), "finish ok");
  });
});
