import assert from "node:assert/strict";
import { rm, open } from "node:fs/promises";
import { join } from "node:path";
import { after, before, beforeEach, describe, it } from "node:test";

import { systemClock } from "../../../core/clock.ts";
import { buildExampleImages } from "../../../examples/functions/build.ts";
import { dockerOrSkip } from "../../../kiln/testing/docker.ts";
import { eventually } from "../../../kiln/testing/eventually.ts";
import { freezerState } from "../../../kiln/testing/freezer-state.ts";
import { privateDaemon, privateDaemonOrSkip, type PrivateDaemon } from "../../../kiln/testing/private-daemon.ts";
import {
  assertFailure,
  callProbe,
  probeFunctions,
  probeInstance,
  type ExpectedFailure,
} from "../../../kiln/testing/probe-calls.ts";
import { systemRunner } from "../../../kiln/testing/system-runner.ts";
import { startSystem, type System, type SystemOptions } from "../../../kiln/testing/system.ts";
import { FunctionLogs } from "../../../runner/logs/function-logs.ts";

const { engine, skip: noDocker } = await dockerOrSkip();
const skip = noDocker === false ? await privateDaemonOrSkip() : noDocker;

const PLACER_TIMEOUT_MS = 1_000;
const PINGS = { everyMs: 100, timeoutMs: 500 };

const away = (message: RegExp): ExpectedFailure => ({
  status: 503,
  code: "docker_unavailable",
  component: "runner",
  message,
});

describe("a runner whose Docker has trouble", { skip, timeout: 180_000 }, () => {
  let daemon: PrivateDaemon;
  before(async () => {
    daemon = await privateDaemon();
    await buildExampleImages(daemon.engine, ["probe"]);
  });
  beforeEach(() => daemon.start());
  after(() => daemon[Symbol.asyncDispose]());

  const systemOn = (options: Partial<SystemOptions> = {}) =>
    startSystem({
      docker: daemon.engine,
      images: ["probe"],
      functions: probeFunctions({ warm: {}, cold: {}, other: {} }),
      pings: PINGS,
      runnerLimits: { initTimeoutMs: 20_000 },
      gatewayLimits: { placerTimeoutMs: PLACER_TIMEOUT_MS },
      ...options,
    });
  const capacityOf = (system: System) => system.runners[0]?.hello().capacity;
  const isAway = (system: System) => eventually(() => assert.equal(capacityOf(system)?.freeMemoryMiB, 0));
  const isBack = (system: System) => eventually(() => assert.notEqual(capacityOf(system)?.freeMemoryMiB, 0));
  const containers = async () => (await daemon.engine.listContainers({ all: true })).length;

  for (const signal of ["SIGTERM", "SIGKILL"] as const) {
    it(`refuses while it restarts after ${signal}, and goes on with it without a restart of its own`, async () => {
      await using system = await systemOn();
      const instance = await probeInstance(system, "warm");

      await daemon.stop(signal);
      await isAway(system);
      await assertFailure(await callProbe(system, "cold"), away(/^Docker cannot be reached: .*(connect|read|hang up)/));
      await daemon.start();
      await isBack(system);

      assert.notEqual(await probeInstance(system, "warm"), instance, "what ended with its Docker is not used again");
      await probeInstance(system, "cold");
      await eventually(async () => assert.equal(await containers(), 2, "nothing else is left"));
      const { freeMemoryMiB = 0, totalMemoryMiB = 0 } = capacityOf(system) ?? {};
      assert.equal(totalMemoryMiB - freeMemoryMiB, 128, "nothing else is booked");
    });
  }

  it("goes on with containers that outlived it, and reads what they write", async () => {
    await daemon.keepContainers(true);
    const lines: string[] = [];
    const logs = new FunctionLogs({ clock: systemClock, sink: ({ text }) => void lines.push(text) });
    await using system = await systemOn({ logs });
    const instance = await probeInstance(system, "warm");

    await daemon.stop("SIGTERM");
    await isAway(system);
    assert.equal(await probeInstance(system, "warm"), instance);
    await daemon.start();
    await isBack(system);

    await eventually(async () => {
      await (await callProbe(system, "warm", { stderr: ["still here"] })).arrayBuffer();
      assert.ok(lines.includes("still here"));
    });
    assert.match(lines.join("\n"), /^-----output between \S+ and \S+ may be missing, Docker was away-----$/m);
    assert.equal(await probeInstance(system, "warm"), instance);
    await probeInstance(system, "cold");
    await daemon.keepContainers(false);
  });

  it("gives out no holder that died with it, has as many as before soon after, and leaves none when it drains", async () => {
    const system = await systemOn({ preforkPool: 2 });
    const holders = async () => {
      const filters = { label: ["kiln.prefork=holder"], status: ["running"] };
      return (await daemon.engine.listContainers({ filters })).map(({ Id }) => Id);
    };
    await eventually(async () => assert.equal((await holders()).length, 2));
    const before = await holders();

    await daemon.stop("SIGTERM");
    await isAway(system);
    await daemon.start();
    await isBack(system);
    await probeInstance(system, "cold");

    await eventually(async () => assert.equal((await holders()).length, 2));
    assert.ok(
      (await holders()).every((id) => !before.includes(id)),
      "they are new ones",
    );
    await system[Symbol.asyncDispose]();
    assert.equal(await containers(), 0);
  });

  it("leaves the calls to other runners meanwhile", async () => {
    await using system = await systemOn({
      runners: 2,
      gatewayLimits: {},
      makeRunner: (runnerId) =>
        systemRunner(runnerId, { docker: runnerId === "runner-1" ? daemon.engine : engine, pings: PINGS }),
    });
    await daemon.stop("SIGTERM");
    await isAway(system);

    await Promise.all(Array.from({ length: 6 }, () => probeInstance(system, "cold")));

    await daemon.start();
    await isBack(system);
  });

  it("refuses while it hangs, runs what is warm, and keeps nothing of what it was asked for in between", async () => {
    await using system = await systemOn();
    const instance = await probeInstance(system, "warm");
    const [container] = await daemon.engine.listContainers();
    // The first time it is frozen Docker is asked where.
    await eventually(async () => assert.equal(await freezerState(daemon.engine, container?.Id ?? ""), "frozen"));

    daemon.hang();
    const began = performance.now();
    // Asked for before anybody knows.
    const inFlight = callProbe(system, "cold");
    await isAway(system);
    await assertFailure(await callProbe(system, "other"), away(/does not answer within 500 ms/));
    await assertFailure(await inFlight, away(/does not answer within 500 ms/));
    const took = performance.now() - began;
    assert.equal(await probeInstance(system, "warm"), instance, "its functions hang no more than they did");
    daemon.resume();
    await isBack(system);

    assert.ok(took < 5_000, `refused after ${took} ms`);
    assert.equal(await probeInstance(system, "warm"), instance);
    await probeInstance(system, "cold");
    await eventually(async () => assert.equal(await containers(), 2, "nothing else is left"));
  });

  it("refuses with the reason while its disk is full, and goes on when it is not", async () => {
    await using system = await systemOn();
    const ballast = join(daemon.disk, "ballast");
    await fill(ballast);

    await assertFailure(await callProbe(system, "cold"), away(/^Docker cannot work, its disk is full: /));
    await rm(ballast);

    await probeInstance(system, "cold");
    await eventually(async () => assert.equal(await containers(), 1));
  });

  it("stops in bounded time though its Docker is away", async () => {
    const system = await systemOn();
    await probeInstance(system, "warm");
    daemon.hang();
    await isAway(system);
    const began = performance.now();

    await system[Symbol.asyncDispose]();

    const took = performance.now() - began;
    daemon.resume();
    assert.ok(took < 15_000, `stopped after ${took} ms`);
  });
});

/** Writes until nothing more goes in. */
async function fill(path: string): Promise<void> {
  const file = await open(path, "w");
  const piece = Buffer.alloc(1024 * 1024);
  try {
    for (;;) await file.write(piece);
  } catch (error) {
    assert.ok(error instanceof Error && "code" in error && error.code === "ENOSPC");
  } finally {
    await file.close();
  }
}
