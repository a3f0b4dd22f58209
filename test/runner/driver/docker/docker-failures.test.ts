import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { after, before, describe, it } from "node:test";

import { systemClock } from "../../../../core/clock.ts";
import { silentLog } from "../../../../core/log.ts";
import { buildExampleImages } from "../../../../examples/functions/build.ts";
import { dockerOrSkip } from "../../../../kiln/testing/docker.ts";
import { driverBench } from "../../../../kiln/testing/driver/driver-bench.ts";
import { engineClient } from "../../../../kiln/testing/engine-client.ts";
import { engineProxy } from "../../../../kiln/testing/engine-proxy.ts";
import { eventually } from "../../../../kiln/testing/eventually.ts";
import { optionSources } from "../../../../kiln/testing/option-sources.ts";
import { taskFor } from "../../../../kiln/testing/task-for.ts";
import { checkSandbox } from "../../../../runner/driver/docker/check-sandbox.ts";
import { containerEngine } from "../../../../runner/driver/docker/container-engine.ts";
import { dockerDriver, type ContainerCreateOptions } from "../../../../runner/driver/docker/docker-driver.ts";
import { ENGINE_TIMEOUTS, type EngineClient } from "../../../../runner/driver/docker/engine-call.ts";
import { connectEngine, type Docker } from "../../../../runner/driver/docker/engine.ts";
import { createGuard } from "../../../../runner/driver/docker/guard.ts";
import { inspectImage } from "../../../../runner/driver/docker/images/inspect-image.ts";
import { removeLeftovers, runningContainers } from "../../../../runner/driver/docker/leftovers.ts";
import { networkPlaces } from "../../../../runner/driver/docker/prefork/network-places.ts";
import { ensurePauseImage } from "../../../../runner/driver/docker/prefork/pause-image.ts";
import type { ContainerPlace, DriverHook } from "../../../../runner/driver/driver.ts";

const { engine, host, skip } = await dockerOrSkip();

const driverOn = (docker: Docker, timeouts = ENGINE_TIMEOUTS) =>
  dockerDriver({
    docker,
    timeouts,
    installation: { id: `tests-${process.pid}`, runnerId: "failures", bootId: "b1" },
    guard: createGuard(),
    clock: systemClock,
    log: silentLog,
  });

const isThere = ({ id }: ContainerPlace) =>
  engine
    .getContainer(id)
    .inspect()
    .then(
      () => true,
      () => false,
    );

/** A driver whose connections to the daemon can be made to fail. */
async function brittle() {
  await using made = new AsyncDisposableStack();
  const proxy = made.use(await engineProxy(host));
  const bench = made.use(await driverBench(driverOn(connectEngine({ host: proxy.host }))));
  const places: ContainerPlace[] = [];
  const owned = made.move();
  return {
    proxy,
    places,
    start: (config: Record<string, string> = {}) =>
      bench.start(taskFor("probe", { config }), { place: (place) => places.push(place) }),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

describe("a docker driver without its daemon", () => {
  for (const dead of ["unix:///nowhere/docker.sock", "tcp://127.0.0.1:1"]) {
    it(`says so, at ${dead}`, async () => {
      const driver = driverOn(connectEngine({ host: dead }));
      const { task, place } = optionSources();
      const signal = new AbortController().signal;
      const told = {
        code: "docker_unavailable",
        status: 503,
        message: /^Docker cannot be reached to .*(ENOENT|ECONNREFUSED)/,
      };

      await assert.rejects(driver.prepare(task, { registryToken: "" }, signal), told);
      await assert.rejects(driver.start({ task, place, options: driver.options(task, place) }, signal), told);

      await driver[Symbol.asyncDispose]();
    });
  }
});

describe("a Docker that hangs", () => {
  let docker: Docker;
  const hanging = createServer();
  before(async () => {
    await once(hanging.listen(0, "127.0.0.1"), "listening");
    docker = connectEngine({ host: `tcp://127.0.0.1:${(hanging.address() as AddressInfo).port}` });
  });
  after(() => hanging.close().closeAllConnections());

  const own = { installation: { id: "i", runnerId: "r", bootId: "b" }, log: silentLog };
  const signal = new AbortController().signal;
  const asks: Record<string, (client: EngineClient) => Promise<unknown>> = {
    "an image": (client) => inspectImage(client, "image", signal),
    "what it runs": (client) => runningContainers({ ...client, ...own }),
    "what was left behind": (client) => removeLeftovers({ ...client, ...own }),
    "a holder's image": (client) => ensurePauseImage(client),
    "a container": (client) => containerEngine(client).create({}),
    "its runtimes": (client) => checkSandbox(client, { rootMiB: 0, runtime: "runsc" }),
  };
  for (const [what, ask] of Object.entries(asks)) {
    it(`is asked for ${what} for as long as the setting says`, async () => {
      const client = { ...engineClient(docker), timeouts: { ...ENGINE_TIMEOUTS, requestMs: 20 } };

      await assert.rejects(ask(client), { message: /it had 20 ms to .*, FN_DOCKER_TIMEOUT_MSECS$/ });
    });
  }

  it("tells no places on a network", async () => {
    const client = { ...engineClient(docker), timeouts: { ...ENGINE_TIMEOUTS, requestMs: 20 } };

    assert.equal(await networkPlaces(client, "bridge", () => false), "unknown");
  });

  it("is told of with the setting that bounds the removal", async () => {
    const removal = containerEngine({ ...engineClient(docker), timeouts: { ...ENGINE_TIMEOUTS, removeMs: 20 } }).remove(
      "kiln-0",
    );

    await assert.rejects(removal, { message: /it had 20 ms to remove the container, FN_DOCKER_REMOVE_TIMEOUT_MSECS$/ });
  });
});

describe("a docker driver", { skip, timeout: 120_000 }, () => {
  before(async () => void (await buildExampleImages(engine)));

  it("leaves no container whose creation was never confirmed", async () => {
    await using bench = await brittle();
    bench.proxy.loseAnswers(/^POST \/containers\/create/);

    await assert.rejects(bench.start(), { code: "docker_unavailable" });

    assert.deepEqual(await Promise.all(bench.places.map(isThere)), [false]);
    assert.ok(bench.proxy.requests.some((line) => line.startsWith("DELETE")));
  });

  it("leaves no container whose start was never confirmed", async () => {
    await using bench = await brittle();
    bench.proxy.loseAnswers(/\/start\?? /);

    // One that listened would do without.
    await assert.rejects(bench.start({ PROBE_CONTROL: "no JSON" }), { code: "docker_unavailable" });

    assert.deepEqual(await Promise.all(bench.places.map(isThere)), [false]);
  });

  it("gives a function its calls as soon as it listens, and its end is heard of, whenever its start is confirmed", async () => {
    await using bench = await brittle();
    const confirm = bench.proxy.holdAnswers(/\/start\?? /);
    await using probe = await bench.start();
    await probe.call();

    await assert.rejects(probe.call({ stderr: ["last words"], isExit: true, exitCode: 3 }));
    const looks = () => bench.proxy.requests.filter((line) => /\/(attach\?|json )/.test(line));
    const before = looks().length;
    await eventually(() => assert.ok(looks().length > before, "whether it runs is looked at before its end is told"));
    confirm();

    assert.deepEqual(await probe.container.exited, { exitCode: 3, outOfMemory: false });
    assert.equal(probe.container.stderrTail(), "last words\n", "nothing is missing of what one wrote that has ended");
  });

  it("asks again for a removal that was never confirmed", async () => {
    await using bench = await brittle();
    const probe = await bench.start();
    bench.proxy.loseAnswers(/^DELETE/);

    const removal = probe[Symbol.asyncDispose]();
    while (await isThere(probe.place)) await new Promise(setImmediate);
    bench.proxy.loseAnswers(/^$/);
    await removal;

    assert.equal(await isThere(probe.place), false);
  });

  it("removes at its end what could not be removed before", async () => {
    await using proxy = await engineProxy(host);
    const timeouts = { ...ENGINE_TIMEOUTS, removeMs: 2_000 };
    await using bench = await driverBench(driverOn(connectEngine({ host: proxy.host }), timeouts));
    const probe = await bench.start(taskFor("probe"));
    proxy.refuse(/^DELETE/);
    await assert.rejects(async () => await probe[Symbol.asyncDispose](), { code: "docker_unavailable" });

    proxy.refuse(undefined);
    await bench.driver[Symbol.asyncDispose]();

    assert.equal(await isThere(probe.place), false);
  });

  it("reads on, and hears of an end, although its connections broke before", async () => {
    await using bench = await brittle();
    await using probe = await bench.start();
    await probe.call();

    bench.proxy.cut(/\/(wait|attach)\?/);
    await eventually(async () => {
      await probe.call({ stderr: ["still here"] });
      assert.match(probe.container.stderrTail(), /still here/);
    });
    await assert.rejects(probe.call({ stderr: ["last words"], isExit: true, exitCode: 3 }));

    assert.deepEqual(await probe.container.exited, { exitCode: 3, outOfMemory: false });
    assert.match(probe.container.stderrTail(), /last words/);
  });

  it("writes neither environment nor anything else of the options into a URL", async () => {
    await using bench = await brittle();
    await using _probe = await bench.start({ PASSWORD: "emmental" });

    const [create] = bench.proxy.requests.filter((line) => line.includes("/containers/create"));
    assert.match(create ?? "", /^POST \/containers\/create\?name=kiln-[0-9a-f]+ HTTP\/1\.1$/);
  });

  it("takes a container that somebody else removes for ended", async () => {
    await using bench = await brittle();
    await using probe = await bench.start();

    await engine.getContainer(probe.container.id).remove({ force: true });

    assert.equal((await probe.container.exited).exitCode, 137);
  });

  it("waits for a removal that somebody else has begun", async () => {
    await using bench = await brittle();
    const probe = await bench.start();

    const theirs = engine
      .getContainer(probe.container.id)
      .remove({ force: true })
      .catch(() => {});
    await probe[Symbol.asyncDispose]();

    assert.equal(await isThere(probe.place), false);
    await theirs;
  });

  it("removes a paused container", async () => {
    await using bench = await brittle();
    const probe = await bench.start();
    await engine.getContainer(probe.container.id).pause();

    await probe[Symbol.asyncDispose]();

    assert.equal(await isThere(probe.place), false);
  });

  it("takes an image that vanished before the start for a busy runner", async () => {
    await using bench = await driverBench(driverOn(engine));
    const image = `kiln-example-vanishing:${process.pid}`;
    await engine
      .getImage("kiln-example-hello:latest")
      .tag({ repo: "kiln-example-vanishing", tag: String(process.pid) });
    const vanish: DriverHook<ContainerCreateOptions> = {
      start: (next) => async (start, signal) => {
        await engine.getImage(image).remove();
        return await next(start, signal);
      },
    };

    const started = bench.start({ ...taskFor("hello"), image }, { hooks: [vanish] });

    await assert.rejects(started, { code: "server_busy", status: 503, message: /kiln-example-vanishing/ });
  });

  it("passes on Docker's words where the options contradict each other", async () => {
    await using bench = await driverBench(driverOn(engine));
    const both: DriverHook<ContainerCreateOptions> = {
      start: (next) => (start, signal) => {
        Object.assign(start.options.HostConfig ?? {}, { NanoCpus: 500_000_000, CpuPeriod: 100_000, CpuQuota: 50_000 });
        return next(start, signal);
      },
    };

    const started = bench.start(taskFor("hello"), { hooks: [both] });

    await assert.rejects(started, {
      code: "runner_internal",
      message: /^Docker refused the container's options: Conflicting options/,
    });
  });
});
