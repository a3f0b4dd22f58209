import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { createFleet } from "../../../kiln/fleet/fleet.ts";
import { VirtualClock } from "../../../kiln/testing/virtual-clock.ts";

describe("createFleet", () => {
  it("runs a call from a client's request to a function and back", async () => {
    await using fleet = await createFleet({
      functions: { hello: async (request) => `Hello, ${await request.text()}` },
    });

    const { status, headers, text } = await fleet.call("hello", { body: "you" });

    assert.equal(status, 200);
    assert.equal(text(), "Hello, you");
    assert.match(headers.get("fn-call-id") ?? "", /^[0-9A-Z]{26}$/);
    assert.equal(fleet.runners[0]?.containers.length, 1);
  });

  it("takes virtual time for what takes time, and none of ours", async () => {
    const clock = new VirtualClock();
    const slow = {
      start: () => ({ startMs: 400, initMs: 600 }),
      handler: async (request: { sleep(ms: number): Promise<void> }) => {
        await request.sleep(20_000);
        return "at last";
      },
    };
    await using fleet = await createFleet({ clock, functions: { slow } });
    const [before, beganMs] = [clock.now(), performance.now()];

    const { text } = await fleet.call("slow");

    assert.equal(text(), "at last");
    assert.ok(clock.now() - before >= 21_000);
    assert.ok(performance.now() - beganMs < 2_000);
  });

  it("offers a call to another runner when the first is lost before its start, and runs it once", async () => {
    let runs = 0;
    const fn = { start: () => ({ initMs: 100 }), handler: () => `run ${++runs}` };
    await using fleet = await createFleet({ runners: 2, functions: { fn } });

    const answer = fleet.send("fn");
    await fleet.clock.run(50);
    fleet.runners.find(({ containers }) => containers.length > 0)?.crash();

    assert.equal((await fleet.clock.until(answer)).text(), "run 1");
  });

  it("does not run a call again whose runner is lost while it runs", async () => {
    let runs = 0;
    await using fleet = await createFleet({
      runners: 2,
      functions: {
        async fn(request) {
          runs += 1;
          await request.sleep(100);
          return "";
        },
      },
    });

    const answer = fleet.send("fn");
    await fleet.clock.run(50);
    fleet.runners.find(({ containers }) => containers.length > 0)?.crash();

    const { status, headers } = await fleet.clock.until(answer);
    assert.equal(status, 502);
    assert.equal(headers.get("content-type"), "application/json; charset=utf-8");
    assert.equal(runs, 1);
  });

  it("counts the latency of its lines", async () => {
    await using fleet = await createFleet({ functions: { fn: () => "" }, network: { latencyMs: () => 30 } });
    const began = fleet.clock.now();

    await fleet.call("fn");

    // Offer, pending and accepted, start, answer.
    assert.equal(fleet.clock.now() - began, 120);
  });

  it("refuses at the shipped guard what a hook must not ask for", async () => {
    await using fleet = await createFleet({
      functions: { fn: () => "" },
      startHooks: [
        (next) => (start, signal) => {
          start.options.HostConfig = { ...start.options.HostConfig, Privileged: true };
          return next(start, signal);
        },
      ],
    });

    const { status, json } = await fleet.call("fn");

    assert.equal(status, 500);
    assert.match(JSON.stringify(json()), /guard refused HostConfig.Privileged/);
  });

  it("connects again to a runner that comes back", async () => {
    await using fleet = await createFleet({ functions: { fn: () => "here" } });
    const [runner] = fleet.runners;
    runner?.crash();
    await fleet.clock.run(100);

    const answer = fleet.send("fn");
    await fleet.clock.run(500);
    runner?.start();

    assert.equal((await fleet.clock.until(answer)).text(), "here");
  });

  it("ends a wait that nothing can end", async () => {
    const clock = new VirtualClock();

    await assert.rejects(clock.until(new Promise(() => {})), /no timer is set/);
  });
});
