import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { silentLog } from "../../../../core/log.ts";
import { dockerOrSkip } from "../../../../kiln/testing/docker.ts";
import { engineClient } from "../../../../kiln/testing/engine-client.ts";
import { eventually } from "../../../../kiln/testing/eventually.ts";
import { dockerDriver } from "../../../../runner/driver/docker/docker-driver.ts";
import { watchEngine } from "../../../../runner/driver/docker/engine-health.ts";
import type { Docker } from "../../../../runner/driver/docker/engine.ts";
import { createGuard } from "../../../../runner/driver/docker/guard.ts";
import { throughOutages } from "../../../../runner/driver/docker/through-outages.ts";

const { engine, skip } = await dockerOrSkip();

/** A driver whose Docker can be away, and whose lists of containers can fail beside that. */
function bench() {
  const state = { away: false, failingLists: 0, lists: 0 };
  const docker = Object.create(engine) as Docker;
  docker.listContainers = async (options?: object) => {
    state.lists += 1;
    state.failingLists -= 1;
    if (state.failingLists >= 0) throw new Error("(HTTP code 500) server error - layer does not exist");
    return await engine.listContainers(options);
  };
  const dependencies = {
    ...engineClient(docker),
    installation: { id: `tests-${process.pid}`, runnerId: "outages", bootId: "b1" },
    log: silentLog,
  };
  const ping = () => (state.away ? Promise.reject(new Error("connect ECONNREFUSED")) : Promise.resolve());
  const health = watchEngine(ping, { ...dependencies, everyMs: 10, timeoutMs: 500 });
  const plain = dockerDriver({ ...dependencies, guard: createGuard() });
  return { state, driver: throughOutages(plain, { ...dependencies, health }) };
}

describe("throughOutages", { skip, timeout: 30_000 }, () => {
  it("comes back from an outage though Docker did not say at first what runs", async () => {
    const { state, driver } = bench();
    await using _driver = driver;
    state.away = true;
    await eventually(() => assert.equal(driver.availability?.trouble?.code, "docker_unavailable"));

    state.failingLists = 2;
    state.away = false;

    await eventually(() => assert.equal(driver.availability?.trouble, undefined));
    assert.ok(state.failingLists <= 0, "the failures were met");
  });

  it("ends while it still asks what runs", async () => {
    const { state, driver } = bench();
    state.away = true;
    await eventually(() => assert.notEqual(driver.availability?.trouble, undefined));
    state.failingLists = Infinity;
    state.away = false;
    await eventually(() => assert.ok(state.lists > 0));

    await driver[Symbol.asyncDispose]();
  });
});
