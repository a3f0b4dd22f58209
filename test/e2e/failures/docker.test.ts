import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";

import { dockerOrSkip } from "../../../kiln/testing/docker.ts";
import { eventually } from "../../../kiln/testing/eventually.ts";
import {
  assertFailure,
  callProbe,
  probeFunctions,
  probeInstance,
  type ExpectedFailure,
} from "../../../kiln/testing/probe-calls.ts";
import { startSystem, type System } from "../../../kiln/testing/system.ts";

const { engine, skip } = await dockerOrSkip();

const MIB = 1024 * 1024;
const byFunction = (code: ExpectedFailure["code"], message: RegExp): ExpectedFailure => ({
  status: 502,
  code,
  component: "function",
  message,
});

/** What only a container shows; the rest of section 2.14 of the runner's reference is told by plain processes. */
describe("what one call comes to in a container (runner reference 2.14)", { skip, timeout: 120_000 }, () => {
  let system: System;
  before(async () => {
    const ids = ["oom", "abort", "killed", "tmpfs", "leaving"] as const;
    system = await startSystem({
      docker: engine,
      images: ["probe"],
      functions: probeFunctions(Object.fromEntries(ids.map((id) => [id, { tmpfs_size: 8 }]))),
      runnerLimits: { initTimeoutMs: 20_000 },
    });
  });
  after(() => system[Symbol.asyncDispose]());

  /** Of this function only: the label says which it is. */
  async function containersOf(fnId: string): Promise<readonly string[]> {
    const filters = JSON.stringify({ label: [`kiln.installation=testing-${process.pid}`] });
    const listed = await engine.listContainers({ filters });
    const inspected = await Promise.all(listed.map(({ Id }) => engine.getContainer(Id).inspect()));
    return inspected.filter(({ Config }) => Config.Env.includes(`PROBE_ID=${fnId}`)).map(({ Id }) => Id);
  }

  it("OOM: 502 function_out_of_memory naming the limit, and the container goes", async () => {
    const instance = await probeInstance(system, "oom");

    const response = await callProbe(system, "oom", { allocateMemory: 256 * MIB });

    await assertFailure(response, byFunction("function_out_of_memory", /raise fn.memory .*\(it is 64MB\)/));
    assert.notEqual(await probeInstance(system, "oom"), instance);
  });

  it("crash by a signal: 502 function_response naming the exit code, and the container goes", async () => {
    const instance = await probeInstance(system, "abort");

    const orders = { stderr: ["about to fall"], breakAt: "beforeHead", breakHow: "abort" };
    const response = await callProbe(system, "abort", orders);

    const expected = byFunction("function_response", /the container exited with code 13[49]$/);
    const { stderr } = await assertFailure(response, expected);
    assert.match(stderr ?? "", /about to fall/);
    assert.notEqual(await probeInstance(system, "abort"), instance);
  });

  it("killed container: 502 function_response naming the exit code, and not taken for a lack of memory", async () => {
    const instance = await probeInstance(system, "killed");
    const [container] = await containersOf("killed");
    assert.ok(container !== undefined);
    const calling = callProbe(system, "killed", { sleepTime: 20_000 });
    await eventually(() => assert.equal(system.runners[0]?.status().active, 1));

    await engine.getContainer(container).kill();

    await assertFailure(await calling, byFunction("function_response", /the container exited with code 137$/));
    assert.notEqual(await probeInstance(system, "killed"), instance);
  });

  it("full tmpfs: the function is told ENOSPC, and the container continues", async () => {
    const instance = await probeInstance(system, "tmpfs");

    const response = await callProbe(system, "tmpfs", { createFile: "/tmp/cheese", createFileSize: 16 * MIB });

    const { data } = (await response.json()) as { readonly data: Readonly<Record<string, string>> };
    assert.equal(response.status, 200);
    assert.equal(data["/tmp/cheese.create_code"], "ENOSPC");
    assert.equal(await probeInstance(system, "tmpfs"), instance);
  });

  it("SIGTERM ignored: a client that leaves has its container removed all the same, within a second", async () => {
    await callProbe(system, "leaving", { ignoreSigterm: true });
    const client = new AbortController();
    const calling = callProbe(system, "leaving", { sleepTime: 20_000 }, { signal: client.signal });
    await eventually(() => assert.equal(system.runners[0]?.status().active, 1));

    client.abort();

    const left = performance.now();
    await assert.rejects(calling, { name: "AbortError" });
    await eventually(() => assert.equal(system.runners[0]?.status().active, 0));
    assert.ok(performance.now() - left < 1_000, "the call has ended");
    await eventually(async () => assert.deepEqual(await containersOf("leaving"), []));
  });
});
