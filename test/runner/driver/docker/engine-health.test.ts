import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { silentLog } from "../../../../core/log.ts";
import { VirtualClock } from "../../../../kiln/testing/virtual-clock.ts";
import { watchEngine } from "../../../../runner/driver/docker/engine-health.ts";

type Behaviour = "answers" | "hangs" | "refuses";

function bench() {
  const clock = new VirtualClock();
  const docker = { now: "answers" as Behaviour, pings: 0 };
  const ping = async (signal: AbortSignal): Promise<void> => {
    docker.pings += 1;
    if (docker.now === "refuses") throw new Error("connect ECONNREFUSED /var/run/docker.sock");
    if (docker.now === "answers") return;
    await new Promise((_, reject) => signal.addEventListener("abort", () => reject(new Error("aborted"))));
  };
  const health = watchEngine(ping, { everyMs: 2_000, timeoutMs: 5_000, clock, log: silentLog });
  const told: (string | undefined)[] = [];
  health.observe(() => told.push(health.trouble?.message));
  return { clock, docker, health, told };
}

describe("watchEngine", () => {
  it("finds nothing wrong while Docker answers", async () => {
    const { clock, docker, health, told } = bench();

    await clock.run(20_000);

    assert.equal(docker.pings, 11);
    assert.equal(health.trouble, undefined);
    assert.equal(health.away.aborted, false);
    assert.deepEqual(told, []);
    await health.back();
    await health[Symbol.asyncDispose]();
    assert.equal(clock.pending, 0);
  });

  it("tells of a Docker that refuses at the next ping, once, and of its return", async () => {
    const { clock, docker, health, told } = bench();
    await clock.run(1_000);
    const { away } = health;
    docker.now = "refuses";

    await clock.run(9_000);

    assert.match(told[0] ?? "", /^Docker cannot be reached: connect ECONNREFUSED/);
    assert.equal(told.length, 1);
    assert.equal(health.trouble?.code, "docker_unavailable");
    assert.equal(away.reason, health.trouble);
    let isBack = false;
    const back = health.back().then(() => (isBack = true));
    await clock.settle();
    assert.equal(isBack, false);

    docker.now = "answers";
    await clock.run(2_000);

    await back;
    assert.deepEqual(told.slice(1), [undefined]);
    assert.equal(health.away.aborted, false, "a new outage is another one");
    assert.equal(away.aborted, true);
    await health[Symbol.asyncDispose]();
  });

  it("takes a Docker that does not answer in time for gone, and names the setting", async () => {
    const { clock, docker, health, told } = bench();
    await clock.settle();
    docker.now = "hangs";

    await clock.run(6_999);
    assert.deepEqual(told, []);
    await clock.run(1);

    assert.match(told[0] ?? "", /does not answer within 5000 ms, FN_DOCKER_PING_TIMEOUT_MSECS$/);
    await health[Symbol.asyncDispose]();
    assert.equal(clock.pending, 0);
  });

  it("lets nobody wait for a return once it is disposed of", async () => {
    const { clock, docker, health } = bench();
    docker.now = "refuses";
    await clock.run(4_000);
    const back = health.back();

    await health[Symbol.asyncDispose]();

    await back;
    assert.equal(clock.pending, 0);
  });
});
