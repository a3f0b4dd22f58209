import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { readFile } from "node:fs/promises";
import { after, before, describe, it } from "node:test";

import { pause, systemClock } from "../../core/clock.ts";
import { silentLog } from "../../core/log.ts";
import { createMetrics } from "../../core/metrics.ts";
import { buildExampleImages } from "../../examples/functions/build.ts";
import { callFor } from "../../kiln/testing/call-for.ts";
import { dockerOrSkip } from "../../kiln/testing/docker.ts";
import { eventually } from "../../kiln/testing/eventually.ts";
import { freezerState } from "../../kiln/testing/freezer-state.ts";
import { offerTo, type Outcome } from "../../kiln/testing/offer.ts";
import { processRunner } from "../../kiln/testing/process-runner.ts";
import { dockerDriver, type DockerDriverOptions } from "../../runner/driver/docker/docker-driver.ts";
import { createGuard } from "../../runner/driver/docker/guard.ts";
import type { DriverHook, HotContainer } from "../../runner/driver/driver.ts";
import type { ProcessOptions } from "../../runner/driver/process/process-driver.ts";
import { socketDirectories } from "../../runner/hot/socket-directory.ts";
import { createRunner, type Runner } from "../../runner/runner.ts";

const { engine, skip } = await dockerOrSkip();

/** A call of the probe, in a container of its own for each name. Both drivers know the image. */
const probe = (name: string) => callFor("probe", { image: "kiln-example-probe:latest", config: { NAME: name } });

const ask = (runner: Runner, name: string) => offerTo(runner, probe(name)).outcome;

function report({ body, finish }: Outcome) {
  assert.equal(finish?.ok, true, JSON.stringify(finish));
  return (JSON.parse(body.toString()) as { probe: { pid: number; instance: string; connections: number } }).probe;
}

/** Changes how containers thaw; the rest is the driver's. */
const thawing = (thaw: HotContainer["thaw"]): DriverHook<ProcessOptions> => ({
  start: (next) => async (start, signal) => ({ ...(await next(start, signal)), thaw }),
});

describe("a runner's idle functions", () => {
  it("stand still, and run again for a call, without a turn of its gateway", async () => {
    await using runner = await processRunner();
    const { pid, instance } = report(await ask(runner, "still"));
    const state = async () => /^State:\t(\w)/m.exec(await readFile(`/proc/${pid}/status`, "utf8"))?.[1];
    await eventually(async () => assert.equal(await state(), "T"));

    const next = await ask(runner, "still");

    assert.equal(report(next).instance, instance);
    assert.deepEqual(next.heard.slice(0, 2), ["accepted", "head"]);
    assert.equal(report(next).connections, 1, "the same connection");
    await eventually(async () => assert.equal(await state(), "T"));
  });

  it("run on where freezing is off", async () => {
    await using runner = await processRunner({ limits: { freezeIdleMs: -1 } });
    const { pid } = report(await ask(runner, "on"));
    await pause(systemClock, 200);

    assert.match(await readFile(`/proc/${pid}/status`, "utf8"), /^State:\t[SR]/m);
  });

  it("lose a container that does not thaw, and no call", async () => {
    await using runner = await processRunner({ hooks: [thawing(() => Promise.reject(new Error("too cold")))] });
    const first = await ask(runner, "stuck");
    await pause(systemClock, 200);

    const next = await ask(runner, "stuck");

    assert.notEqual(report(next).instance, report(first).instance);
    assert.deepEqual(next.heard.slice(0, 3), ["pending", "accepted", "head"]);
    assert.ok(next.finish?.ok === true && next.finish.timings.startMs > 0);
  });

  it("let go of a call that is cancelled, or late, while they thaw", async () => {
    const thaws: (() => void)[] = [];
    const slow = thawing(() => new Promise((resolve) => void thaws.push(resolve)));
    await using runner = await processRunner({ hooks: [slow] });
    await ask(runner, "slow");
    await pause(systemClock, 200);

    const cancelled = offerTo(runner, probe("slow"));
    cancelled.handler.cancel("client_cancel");
    const { finish, heard } = await cancelled.outcome;
    assert.ok(finish?.ok === false && finish.code === "client_cancel");
    assert.deepEqual(heard, []);
    thaws.shift()?.();
    // Its function was called just now, so it takes its time to freeze.
    await pause(systemClock, 1_200);
    const late = await offerTo(runner, probe("slow"), { remainingMs: 50 }).outcome;
    assert.ok(late.finish?.ok === false && late.finish.code === "call_timeout");
    assert.match(late.finish.message, /while it waited for a container/);
    thaws.shift()?.();

    // Its thaws were not real, so nothing can be asked of it, but it is there, and idle.
    await eventually(() => assert.deepEqual(Object.values(runner.hello().capacity.idle), [1]));
  });
});

describe("a runner's idle containers", { skip, timeout: 120_000 }, () => {
  const id = `tests-${randomBytes(6).toString("hex")}`;

  async function dockerRunner(options: Partial<DockerDriverOptions> = {}, metrics = createMetrics()): Promise<Runner> {
    const bootId = randomBytes(8).toString("hex");
    const installation = { id, runnerId: "freeze", bootId };
    return createRunner({
      identity: { runnerId: "freeze", bootId, version: "0" },
      driver: dockerDriver({
        docker: engine,
        installation,
        guard: createGuard(),
        clock: systemClock,
        log: silentLog,
        ...options,
      }),
      resources: { memoryMiB: 1_024, cpuMillis: 2_000 },
      directories: await socketDirectories({ installation: id, bootId }),
      limits: {
        startTimeoutMs: 30_000,
        initTimeoutMs: 10_000,
        maxHeaderBytes: 65_536,
        startsAtOnce: 2,
        maxResponseBytes: 0,
        freezeIdleMs: 50,
        slotWaitMs: 5_000,
        mostWaiting: 1_000,
        drainMs: 1_000,
        removeMs: 30_000,
        freezeTimeoutMs: 5_000,
      },
      host: { clock: systemClock, log: silentLog, metrics },
    });
  }

  const untilFrozen = (containerId = "") =>
    eventually(async () => assert.equal(await freezerState(engine, containerId), "frozen"));

  before(async () => void (await buildExampleImages(engine, ["probe"])));
  after(async () => {
    const left = await engine.listContainers({ all: true, filters: { label: [`kiln.installation=${id}`] } });
    assert.deepEqual(left, []);
  });

  for (const freezeBy of ["cgroup", "pause"] as const) {
    it(`freeze by ${freezeBy}, thaw for a call on the connection they had, and go when the runner does`, async () => {
      const metrics = createMetrics();
      await using runner = await dockerRunner({ freezeBy }, metrics);
      const first = await ask(runner, "one");
      await untilFrozen(first.containerId);

      const soon = await ask(runner, "one");
      await untilFrozen(first.containerId);
      await pause(systemClock, 1_500);
      const later = await ask(runner, "one");
      await untilFrozen(first.containerId);

      assert.deepEqual([soon.containerId, later.containerId], [first.containerId, first.containerId]);
      assert.deepEqual(soon.heard.slice(0, 2), ["accepted", "head"]);
      assert.equal(report(soon).connections, 1, "across a freeze and a thaw");
      assert.equal(report(later).connections, 2, "one that was idle for a second is not used again");
      await eventually(() => assert.match(metrics.render(), /^fn_container_freezes\{outcome="ok"\} 3$/m));
      assert.match(metrics.render(), /^fn_container_thaws\{outcome="ok"\} 2$/m);
      assert.match(metrics.render(), /^fn_container_thaw_ms_count 2$/m);
    });
  }

  for (const end of ["stop", "kill"] as const) {
    it(`are not missed by the next call when somebody else's ${end} ends them`, async () => {
      await using runner = await dockerRunner();
      const { containerId = "" } = await ask(runner, end);
      await untilFrozen(containerId);
      await engine.getContainer(containerId)[end](end === "stop" ? { t: 1 } : {});
      await eventually(() => assert.deepEqual(runner.hello().capacity.idle, {}));

      const next = await ask(runner, end);

      assert.notEqual(next.containerId, containerId);
      assert.equal(report(next).connections, 1);
    });
  }

  it("answer, or fail clearly, when a call comes while somebody stops them", async () => {
    await using runner = await dockerRunner();
    const { containerId = "" } = await ask(runner, "stopping");
    await untilFrozen(containerId);
    const stopped = engine.getContainer(containerId).stop({ t: 1 });
    await pause(systemClock, 100);

    const { finish, refused } = await ask(runner, "stopping");
    await stopped;

    assert.ok(
      refused?.reason.code === "server_busy" ||
        finish?.ok === true ||
        (finish?.ok === false && finish.code === "function_response"),
      JSON.stringify(finish),
    );
  });
});
