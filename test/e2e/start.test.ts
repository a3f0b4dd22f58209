import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:net";
import { describe, it } from "node:test";

import { dockerOrSkip } from "../../kiln/testing/docker.ts";
import { eventually } from "../../kiln/testing/eventually.ts";
import { started, type Started } from "../../kiln/testing/started.ts";

const { engine, skip } = await dockerOrSkip();

async function hello(url: string): Promise<unknown> {
  const response = await fetch(`${url}/invoke/hello`, { method: "POST", body: '{"name":"you"}' });
  return response.json();
}

const NO_TRACES = { sockets: [], processes: [] };

function containersOf({ runnerId }: Started) {
  return engine.listContainers({ all: true, filters: JSON.stringify({ label: [`kiln.runner=${runnerId}`] }) });
}

describe("npm start", () => {
  it("runs the example as a process where there is no Docker, says so in a sentence, and leaves nothing", async () => {
    await using kiln = await started([], { DOCKER_HOST: "unix:///nonexistent/docker.sock" });
    const sentence = kiln.output().split("\n")[0] ?? "";
    assert.match(sentence, /plain processes without isolation, since there is no Docker at \/nonexistent/);
    assert.deepEqual(await hello(kiln.url), { message: "Hello, you" });
    // A process that is just being spawned still has its parent's environment.
    await eventually(async () => assert.equal((await kiln.traces()).processes.length, 3, "start, gateway and runner"));
    assert.equal((await kiln.traces()).sockets.length, 1);

    kiln.process.kill("SIGINT");

    assert.equal(await kiln.exited, 0, kiln.output());
    assert.deepEqual(await kiln.traces(), NO_TRACES);
  });

  it("runs the example in a container where there is Docker, and removes it", { skip }, async () => {
    await using kiln = await started();
    assert.deepEqual(await hello(kiln.url), { message: "Hello, you" });
    assert.equal((await containersOf(kiln)).length, 1);

    kiln.process.kill("SIGINT");

    assert.equal(await kiln.exited, 0, kiln.output());
    assert.deepEqual(await containersOf(kiln), []);
    assert.deepEqual(await kiln.traces(), NO_TRACES);
  });

  it("cleans up after itself when its parent is killed hard", { skip }, async () => {
    await using kiln = await started();
    assert.deepEqual(await hello(kiln.url), { message: "Hello, you" });

    kiln.process.kill("SIGKILL");

    const until = Date.now() + 15_000;
    while ((await kiln.traces()).processes.length > 0 && Date.now() < until) {
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    assert.deepEqual(await containersOf(kiln), []);
    assert.deepEqual(await kiln.traces(), NO_TRACES);
  });

  it(
    "removes at its next start what a run that was killed hard left, and does not start beside one that lives",
    { skip },
    async () => {
      await using killed = await started();
      assert.deepEqual(await hello(killed.url), { message: "Hello, you" });
      const same = { FN_RUNNER_ID: killed.runnerId };
      const another = new RegExp(`another runner "${killed.runnerId}" .* Give each its own name, FN_RUNNER_ID`);
      await assert.rejects(started([], same), another);
      assert.equal((await containersOf(killed)).length, 1, "a second start took nothing from the first");
      assert.deepEqual(await hello(killed.url), { message: "Hello, you" });

      for (const pid of (await killed.traces()).processes) process.kill(pid, "SIGKILL");
      await killed.exited;
      assert.equal((await containersOf(killed)).length, 1);
      await using next = await started([], same);

      assert.deepEqual(await containersOf(next), []);
      assert.match(next.output(), /Removed what an earlier run left behind containers=1/);
    },
  );

  for (const setting of ["FN_PORT", "FN_GRPC_PORT"]) {
    it(`tells clearly of a port in use (${setting}), and ends`, async () => {
      const taken = createServer().listen(0, "127.0.0.1");
      await once(taken, "listening");
      const address = taken.address();
      assert.ok(typeof address === "object" && address !== null);

      const failing = started([], { FN_DRIVER: "process", [setting]: String(address.port) });

      await assert.rejects(failing, new RegExp(`ended with 1:.*127.0.0.1:${address.port}.*${setting}`, "s"));
      taken.close();
    });
  }
});
