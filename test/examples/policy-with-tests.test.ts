import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { createFleet, VirtualClock, type FleetOptions, type SimulatedRequest } from "kiln/testing";

import { callHooks, startHooks } from "../../examples/policy-with-tests/hooks.ts";
import { makeOverriders } from "../../examples/policy-with-tests/overriders.ts";
import { warmFirst } from "../../examples/policy-with-tests/warm-first.ts";

const GOLD = { headers: { "x-api-key": "key-of-acme" } };
const FREE = { headers: { "x-api-key": "key-of-hobby" } };

/** A fleet under the whole policy. */
function fleetOf(options: FleetOptions) {
  const clock = new VirtualClock();
  const placer = warmFirst({ clock, timeoutMs: 5_000, detachedTimeoutMs: 5_000, retryDelayMs: 10 });
  return createFleet({ clock, placer, overriders: makeOverriders(), startHooks, callHooks, ...options });
}

const quick = () => "done";
const slow = async (request: SimulatedRequest) => {
  await request.sleep(1_000);
  return "done";
};

describe("the policy with tests", () => {
  it("lets in only who has a key, and starts nothing for others", async () => {
    await using fleet = await fleetOf({ functions: { quick } });

    assert.equal((await fleet.call("quick")).status, 403);
    assert.deepEqual(fleet.runners[0]?.containers, []);
    assert.equal((await fleet.call("quick", FREE)).status, 200);
  });

  it("gives plans containers of their own, with their options", async () => {
    await using fleet = await fleetOf({ functions: { quick } });

    await fleet.call("quick", GOLD);
    await fleet.call("quick", FREE);

    const hosts = fleet.runners[0]?.containers.map(({ options }) => options.HostConfig);
    assert.deepEqual(
      hosts?.map((host) => host?.CpuShares),
      [1024, 128],
    );
    assert.deepEqual(
      hosts?.map((host) => (host?.Memory ?? 0) / 2 ** 20),
      [256, 128],
    );
    assert.equal(hosts?.[1]?.PidsLimit, 20);
  });

  it("holds free tenants to one call at once, and lets the next in when that one has ended", async () => {
    await using fleet = await fleetOf({ functions: { slow } });

    const first = fleet.send("slow", FREE);
    await fleet.clock.run(100);
    const second = await fleet.call("slow", FREE);
    await fleet.clock.until(first);
    const third = await fleet.call("slow", FREE);

    assert.deepEqual([second.status, third.status], [429, 200]);
  });

  it("keeps a tenant's calls on the runner that is warm for them", async () => {
    await using fleet = await fleetOf({ runners: 3, functions: { quick } });

    for (let i = 0; i < 5; i++) await fleet.call("quick", GOLD);

    assert.deepEqual(
      fleet.runners.map(({ containers }) => containers.map(({ calls }) => calls.length)),
      [[5], [], []],
    );
  });

  it("moves on when that runner is gone", async () => {
    await using fleet = await fleetOf({ runners: 2, functions: { quick } });
    await fleet.call("quick", GOLD);

    fleet.runners[0]?.crash();
    const { status } = await fleet.call("quick", GOLD);

    assert.equal(status, 200);
    assert.equal(fleet.runners[1]?.containers.length, 1);
  });
});
