import assert from "node:assert/strict";
import type { IncomingMessage, Server, ServerResponse } from "node:http";
import { buffer } from "node:stream/consumers";
import { describe, it } from "node:test";

import { callFor } from "../../kiln/testing/call-for.ts";
import { inlineDriver } from "../../kiln/testing/inline-driver.ts";
import { inlineRunner } from "../../kiln/testing/inline-runner.ts";
import { offerTo } from "../../kiln/testing/offer.ts";
import { callProbe, probeFunctions } from "../../kiln/testing/probe-calls.ts";
import { startSystem } from "../../kiln/testing/system.ts";
import type { ContainerExit, Driver } from "../../runner/driver/driver.ts";

/** Containers that can die without a word of it: for as long as the news is under way, the runner thinks them alive. */
class DyingContainers {
  /** Of every call, what served it. */
  readonly served: Server[] = [];

  readonly serve = (request: IncomingMessage, response: ServerResponse): void => {
    const { server } = request.socket as unknown as { readonly server: Server };
    this.served.push(server);
    // The next call has to dial.
    void buffer(request).then((body) => response.setHeader("connection", "close").end(body));
  };

  readonly driver: Driver<object>;

  constructor() {
    const driver = inlineDriver(this.serve);
    this.driver = {
      ...driver,
      async start(start, signal) {
        const container = await driver.start(start, signal);
        return { ...container, exited: new Promise<ContainerExit>(() => {}) };
      },
    };
  }

  async die(): Promise<void> {
    const server = this.served.at(-1);
    await new Promise((resolve) => server?.close(resolve));
  }
}

describe("a warm container that died a moment before its call", { timeout: 30_000 }, () => {
  it("is nobody's loss: the call goes on in another, whole and once", async () => {
    const containers = new DyingContainers();
    await using system = await startSystem({
      functions: probeFunctions({ echo: {} }),
      makeRunner: (runnerId) => inlineRunner(runnerId, containers.serve, containers.driver),
    });
    for (const bytes of [0, 100, 1_000_000]) {
      assert.equal((await callProbe(system, "echo")).status, 200);
      await containers.die();
      const calls = containers.served.length;
      const body = Buffer.alloc(bytes, "warm");

      const answer = await callProbe(system, "echo", {}, { body });

      assert.equal(answer.status, 200);
      assert.ok(Buffer.from(await answer.arrayBuffer()).equals(body));
      assert.equal(containers.served.length, calls + 1, "it ran once");
    }
  });

  it("is told as a refusal, before anything was accepted, and removed", async () => {
    const containers = new DyingContainers();
    await using runner = await inlineRunner("runner", containers.serve, containers.driver);
    await offerTo(runner, callFor("echo")).outcome;
    await containers.die();

    const { refused, heard } = await offerTo(runner, callFor("echo")).outcome;

    assert.equal(refused?.reason.code, "server_busy");
    assert.equal(refused.scope, "this_runner");
    assert.deepEqual(heard, []);
    const next = await offerTo(runner, callFor("echo")).outcome;
    assert.ok(next.finish?.ok === true, "the next call has a container of its own");
  });
});
