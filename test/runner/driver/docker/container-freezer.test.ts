import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { before, describe, it, type TestContext } from "node:test";

import { CallError } from "../../../../core/call-error.ts";
import { systemClock } from "../../../../core/clock.ts";
import { silentLog, type Log } from "../../../../core/log.ts";
import { buildExampleImages } from "../../../../examples/functions/build.ts";
import { dockerOrSkip } from "../../../../kiln/testing/docker.ts";
import { driverBench } from "../../../../kiln/testing/driver/driver-bench.ts";
import { engineClient } from "../../../../kiln/testing/engine-client.ts";
import { engineProxy } from "../../../../kiln/testing/engine-proxy.ts";
import { freezerState } from "../../../../kiln/testing/freezer-state.ts";
import { taskFor } from "../../../../kiln/testing/task-for.ts";
import { openCgroupFreezer } from "../../../../runner/driver/docker/cgroup-freezer.ts";
import { type ContainerEngine, containerEngine } from "../../../../runner/driver/docker/container-engine.ts";
import { containerFreezers, type FreezeBy } from "../../../../runner/driver/docker/container-freezer.ts";
import { dockerDriver } from "../../../../runner/driver/docker/docker-driver.ts";
import { connectEngine, type Docker } from "../../../../runner/driver/docker/engine.ts";
import { createGuard } from "../../../../runner/driver/docker/guard.ts";
import { removeLeftovers } from "../../../../runner/driver/docker/leftovers.ts";

const { engine, host, skip } = await dockerOrSkip();
const installation = { id: `tests-${randomBytes(6).toString("hex")}`, runnerId: "freezer", bootId: "now" };
const signal = () => AbortSignal.timeout(10_000);

const benchOf = (docker: Docker, freezeBy?: FreezeBy) =>
  driverBench(
    dockerDriver({
      docker,
      installation,
      guard: createGuard(),
      clock: systemClock,
      log: silentLog,
      ...(freezeBy === undefined ? {} : { freezeBy }),
    }),
  );

const isPaused = async (id: string) => (await engine.getContainer(id).inspect()).State.Paused;

/** A client of the Engine that notes in which state a container is when its removal is asked for. */
function watchfulEngine(): { docker: Docker; removedWhile: string[] } {
  const docker = connectEngine({ host });
  const removedWhile: string[] = [];
  const getContainer = docker.getContainer.bind(docker);
  docker.getContainer = (id) => {
    const container = getContainer(id);
    const remove = container.remove.bind(container);
    container.remove = async (options?: object) => {
      removedWhile.push(await freezerState(engine, id));
      return remove(options);
    };
    return container;
  };
  return { docker, removedWhile };
}

/** A container outside of any driver. */
async function container(t: TestContext, labels: Record<string, string> = {}): Promise<string> {
  const made = await engine.createContainer({
    Image: "kiln-example-hello:latest",
    Labels: labels,
    Entrypoint: ["node", "-e", "setInterval(() => {}, 1000)"],
    HostConfig: { NetworkMode: "none", LogConfig: { Type: "none", Config: {} } },
  });
  t.after(() => made.remove({ force: true, v: true }).catch(() => {}));
  await made.start();
  return made.id;
}

describe("a docker container's freezer", { skip, timeout: 120_000 }, () => {
  before(async () => void (await buildExampleImages(engine)));

  it("freezes and thaws by the kernel's file, without a word to the Engine", async () => {
    await using proxy = await engineProxy(host);
    await using bench = await benchOf(connectEngine({ host: proxy.host }));
    await using hello = await bench.start(taskFor("hello"));
    const { id } = hello.container;

    await hello.container.freeze(signal());
    assert.equal(await freezerState(engine, id), "frozen");
    assert.equal(await isPaused(id), false, "so much for what the Engine knows");
    await hello.container.thaw(signal());

    assert.equal(await freezerState(engine, id), "running");
    assert.deepEqual(
      proxy.requests.filter((request) => /pause/.test(request)),
      [],
    );
  });

  it("freezes and thaws by Docker's pause where that is wanted", async () => {
    await using bench = await benchOf(engine, "pause");
    await using hello = await bench.start(taskFor("hello"));
    const { id } = hello.container;

    await hello.container.freeze(signal());
    assert.equal(await freezerState(engine, id), "frozen");
    assert.equal(await isPaused(id), true);
    await hello.container.thaw(signal());

    assert.equal(await isPaused(id), false);
    assert.equal((await hello.call({ name: "Kiln" })).status, 200);
  });

  for (const by of ["cgroup", "pause"] as const) {
    it(`thaws what ${by} froze before it is removed`, async () => {
      const { docker, removedWhile } = watchfulEngine();
      await using bench = await benchOf(docker, by);
      await using hello = await bench.start(taskFor("hello"));
      await hello.container.freeze(signal());

      await hello.container[Symbol.asyncDispose]();

      assert.deepEqual(removedWhile, ["running"]);
    });
  }

  it("thaws what a killed runner left frozen before that is removed", async (t) => {
    const id = await container(t, {
      "kiln.installation": installation.id,
      "kiln.runner": installation.runnerId,
      "kiln.boot": "before",
    });
    const own = { engine: containerEngine(engineClient(engine)), clock: systemClock, log: silentLog };
    const pid = await own.engine.pid(id);
    await using killed = await openCgroupFreezer({ containerId: id, pid }, systemClock);
    await killed.freeze(signal());
    assert.equal(await freezerState(engine, id), "frozen");
    const { docker, removedWhile } = watchfulEngine();

    assert.equal(await removeLeftovers({ ...own, ...engineClient(docker), installation }), 1);

    assert.deepEqual(removedWhile, ["running"]);
  });

  it("falls back on Docker's pause where the process is not the container's, and says so once", async (t) => {
    const warnings: string[] = [];
    const log: Log = { ...silentLog, warn: (message) => void warnings.push(message) };
    // As a runner in a container would find it: the number is another process there.
    const lost: ContainerEngine = { ...containerEngine(engineClient(engine)), pid: () => Promise.resolve(process.pid) };
    const freezers = containerFreezers({ engine: lost, clock: systemClock, log }, "cgroup");
    const ids = await Promise.all([container(t), container(t)]);
    for (const id of ids) {
      await using freezer = freezers(id);

      await freezer.freeze(signal());
      assert.equal(await isPaused(id), true);
      await freezer.thaw(signal());

      assert.equal(await isPaused(id), false);
    }
    assert.equal(warnings.length, 1);
  });

  it("does not believe in a thaw by a daemon that forgot its pause", async (t) => {
    const id = await container(t);
    const own = { engine: containerEngine(engineClient(engine)), clock: systemClock, log: silentLog };
    await using freezer = containerFreezers(own, "pause")(id);
    await freezer.freeze(signal());
    await engine.getContainer(id).unpause();

    await assert.rejects(freezer.thaw(signal()), /is not paused/);
  });

  it("can be thawed after a pause that failed", async (t) => {
    const id = await container(t);
    const away: ContainerEngine = {
      ...containerEngine(engineClient(engine)),
      pause: () => Promise.reject(new CallError("docker_unavailable")),
    };
    await using freezer = containerFreezers({ engine: away, clock: systemClock, log: silentLog }, "pause")(id);
    await assert.rejects(freezer.freeze(signal()), { code: "docker_unavailable" });

    await freezer.thaw(signal());

    assert.equal(await isPaused(id), false);
  });

  it("keeps nobody waiting for a Docker that hangs while it is asked where to freeze", async (t) => {
    const id = await container(t);
    const hung: ContainerEngine = { ...containerEngine(engineClient(engine)), pid: () => new Promise(() => {}) };
    await using freezer = containerFreezers({ engine: hung, clock: systemClock, log: silentLog }, "cgroup")(id);
    const reason = new CallError("runner_internal", "too late");

    await assert.rejects(freezer.freeze(AbortSignal.abort(reason)), reason);
    const limit = new AbortController();
    const freezing = freezer.freeze(limit.signal);
    limit.abort(reason);

    await assert.rejects(freezing, reason);
    await freezer.thaw(signal());
    assert.equal(await freezerState(engine, id), "running");
  });

  it("does not thaw what has ended", async (t) => {
    const id = await container(t);
    const own = { engine: containerEngine(engineClient(engine)), clock: systemClock, log: silentLog };
    await using freezer = containerFreezers(own, "cgroup")(id);
    await freezer.freeze(signal());
    await engine.getContainer(id).remove({ force: true });

    await assert.rejects(freezer.thaw(signal()), { code: "ENODEV" });
  });

  it("freezes nothing any more once it is disposed of", async (t) => {
    const id = await container(t);
    const own = { engine: containerEngine(engineClient(engine)), clock: systemClock, log: silentLog };
    const freezer = containerFreezers(own, "cgroup")(id);
    await freezer.freeze(signal());
    const late = freezer[Symbol.asyncDispose]();

    await assert.rejects(freezer.freeze(signal()), /is being removed/);
    await late;

    assert.equal(await freezerState(engine, id), "running");
  });
});
