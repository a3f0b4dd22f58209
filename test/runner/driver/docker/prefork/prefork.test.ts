import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { before, describe, it } from "node:test";

import { pause, systemClock } from "../../../../../core/clock.ts";
import { readSettings } from "../../../../../core/config.ts";
import { silentLog } from "../../../../../core/log.ts";
import { createMetrics } from "../../../../../core/metrics.ts";
import { dockerOrSkip } from "../../../../../kiln/testing/docker.ts";
import { engineClient } from "../../../../../kiln/testing/engine-client.ts";
import { eventually } from "../../../../../kiln/testing/eventually.ts";
import { fakeRegistry } from "../../../../../kiln/testing/fake-registry.ts";
import { holdersOf, preforkBench } from "../../../../../kiln/testing/prefork.ts";
import { smallNetwork } from "../../../../../kiln/testing/small-network.ts";
import { removeLeftovers } from "../../../../../runner/driver/docker/leftovers.ts";
import { ensurePauseImage } from "../../../../../runner/driver/docker/prefork/pause-image.ts";
import { preforkOf } from "../../../../../runner/driver/docker/prefork/prefork-settings.ts";
import { RUNNER_SETTINGS } from "../../../../../runner/settings.ts";

const { engine, host, skip } = await dockerOrSkip();

const startedAt = async (id: string) => (await engine.getContainer(id).inspect()).State.StartedAt;
const labelled = ({ id, runnerId }: { id: string; runnerId: string }, bootId: string) => ({ id, runnerId, bootId });

describe("the prefork pool on Docker", { skip, timeout: 180_000 }, () => {
  before(async () => void (await ensurePauseImage(engineClient(engine))));

  it("holds namespaces in containers of a program of its own, labelled as the runner's and as holders", async () => {
    await using bench = preforkBench(engine, { size: 2 });
    await bench.ready(2);

    const holders = await bench.holders();
    assert.deepEqual(
      holders.map(({ state, network }) => [state, network]),
      [
        ["running", "bridge"],
        ["running", "bridge"],
      ],
    );
    const { Config, HostConfig } = await engine.getContainer(holders[0]?.id ?? "").inspect();
    assert.match(Config.Image, /^kiln-prefork-pause:[0-9a-f]{12}$/);
    assert.equal(Config.Labels["kiln.boot"], bench.installation.bootId);
    assert.deepEqual([HostConfig.ReadonlyRootfs, HostConfig.CapDrop], [true, ["ALL"]]);
    assert.ok((await engine.getImage(Config.Image).inspect()).Size < 1_000);
  });

  it("recycles thirty times while its limiter is empty, without creating anything", async () => {
    const size = 6;
    await using bench = preforkBench(engine, { size, rate: { perSecond: 0, burst: size } });
    await bench.ready(size);
    const ids = new Set((await bench.holders()).map(({ id }) => id));

    // The limiter has given all that it ever will.
    for (let round = 0; round < 5; round++) {
      const leases = await Promise.all(Array.from({ length: size }, () => bench.take()));
      const before = await Promise.all(leases.map(({ holderId }) => startedAt(holderId)));
      for (const lease of leases) lease.giveBack();
      assert.equal(bench.prefork.take(), undefined, "none is given to another before its restart");
      await bench.ready(size);
      const after = await Promise.all(leases.map(({ holderId }) => startedAt(holderId)));
      for (const [index, time] of after.entries()) assert.notEqual(time, before[index]);
    }

    assert.equal(bench.metric("fn_prefork_recycles"), 30);
    assert.deepEqual(new Set((await bench.holders()).map(({ id }) => id)), ids);
  });

  it("asks its limiter before it makes a holder anew", async () => {
    await using bench = preforkBench(engine, { rate: { perSecond: 0, burst: 1 } });
    await bench.ready(1);

    await engine.getContainer((await bench.take()).holderId).kill();

    await eventually(() => assert.equal(bench.metric('fn_prefork_holders{state="waiting"}'), 1));
    assert.equal(bench.prefork.take(), undefined);
  });

  it("makes a holder that died anew, and tells whoever was in it", async () => {
    await using bench = preforkBench(engine, { size: 2 });
    await bench.ready(2);
    const used = await bench.take();

    for (const { id } of await bench.holders()) await engine.getContainer(id).kill();

    await eventually(() => assert.equal(used.lost.aborted, true));
    await bench.ready(2);
    const fresh = await bench.holders();
    assert.equal(fresh.length, 2);
    assert.equal(
      fresh.some(({ id }) => id === used.holderId),
      false,
    );
  });

  it("has removed all holders when it is closed", async () => {
    const bench = preforkBench(engine, { size: 3 });
    await bench.take();

    await bench[Symbol.asyncDispose]();

    assert.deepEqual(await bench.holders(), []);
  });

  it("leaves to the next start what a killed runner had, and only that", async () => {
    await using other = preforkBench(engine);
    const killed = preforkBench(engine, { rate: { perSecond: 0, burst: 1 } });
    await Promise.all([killed.ready(1), other.ready(1)]);

    const installation = labelled(killed.installation, "next");
    await removeLeftovers({ ...engineClient(engine), installation, log: silentLog });

    assert.deepEqual(await killed.holders(), []);
    assert.equal((await other.holders()).length, 1);
    await killed[Symbol.asyncDispose]();
  });

  it("fills small networks to their last place, and says how many holders are without one", async () => {
    // Eight addresses, less the network's own, the broadcast one and the gateway; and four.
    await using five = await smallNetwork(engine, "10.251.7.0/29");
    await using one = await smallNetwork(engine, "10.251.7.8/30");
    await using bench = preforkBench(engine, { size: 7, networks: [five.name, one.name] });
    await bench.ready(6);

    const holders = await bench.holders();
    const on = (name: string) => holders.filter(({ network }) => network === name).length;
    assert.deepEqual([on(five.name), on(one.name)], [5, 1]);
    assert.match(bench.lines.join(""), /larger than its networks have places.*missing=1/);
  });

  it("leaves out a network that is gone or full, and says so once", async () => {
    await using full = await smallNetwork(engine, "10.251.8.0/29", ["10.251.8.4", "10.251.8.5", "10.251.8.6"]);
    await using roomy = await smallNetwork(engine, "10.251.8.8/29");
    await using bench = preforkBench(engine, { size: 7, networks: [full.name, "kiln-test-nowhere", roomy.name] });
    await bench.ready(7);

    const holders = await bench.holders();
    const on = (name: string) => holders.filter(({ network }) => network === name).length;
    assert.deepEqual([on(full.name), on(roomy.name), on("kiln-test-nowhere")], [2, 5, 0]);
    const troubles = (network: string, trouble: string) =>
      bench.metric(`fn_prefork_network_troubles{network="${network}",trouble="${trouble}"}`);
    assert.equal(troubles(full.name, "full"), 1);
    assert.equal(troubles("kiln-test-nowhere", "gone"), 1);
    for (const words of ["it is gone", "it is full"]) {
      assert.equal(bench.lines.filter((line) => line.includes(words)).length, 1, words);
    }
  });

  it("takes the networks of the shell's loop as they are", async (t) => {
    const loop = "for i in fn-net1 fn-net2 fn-net3 fn-net4; do docker network create $i; done";
    const shell = spawnSync("sh", ["-c", loop], { env: { ...process.env, DOCKER_HOST: host }, encoding: "utf8" });
    if (shell.error !== undefined || shell.status !== 0) {
      assert.notEqual(process.env["CI"], "true", `Cannot run the loop, and CI is "true": ${shell.stderr}`);
      return t.skip(`cannot run it here: ${shell.stderr}`);
    }
    const names = ["fn-net1", "fn-net2", "fn-net3", "fn-net4"];
    t.after(() => Promise.all(names.map((name) => engine.getNetwork(name).remove())));
    const settings = readSettings(RUNNER_SETTINGS, {
      FN_EXPERIMENTAL_PREFORK_POOL_SIZE: "8",
      FN_EXPERIMENTAL_PREFORK_NETWORKS: "fn-net1 fn-net2 fn-net3 fn-net4",
    });
    const installation = { id: `prefork-${randomBytes(6).toString("hex")}`, runnerId: "r1", bootId: "b1" };
    await using prefork = preforkOf(settings, {
      ...engineClient(engine),
      installation,
      log: silentLog,
      metrics: createMetrics(),
    });
    prefork?.open();

    await eventually(async () => {
      const on = (await holdersOf(engine, installation)).map(({ network }) => network).sort();
      assert.deepEqual(
        on,
        names.flatMap((name) => [name, name]),
      );
    });
  });

  it("pulls the operator's image if it is not there", async (t) => {
    await using registry = await fakeRegistry();
    const image = `${registry.host}/cheese:1`;
    t.after(() => engine.getImage(image).remove({ force: true }));
    const settings = readSettings(RUNNER_SETTINGS, {
      FN_EXPERIMENTAL_PREFORK_POOL_SIZE: "1",
      FN_EXPERIMENTAL_PREFORK_IMAGE: image,
      FN_EXPERIMENTAL_PREFORK_CMD: "/no/such program",
    });
    const installation = { id: `prefork-${randomBytes(6).toString("hex")}`, runnerId: "r1", bootId: "b1" };
    const dependencies = { ...engineClient(engine), installation, log: silentLog, metrics: createMetrics() };
    await using prefork = preforkOf(settings, dependencies);
    prefork?.open();

    // There is nothing in it to run: the pool goes on trying, and has pulled it all the same.
    await eventually(async () => {
      const label = [`kiln.installation=${installation.id}`];
      const [holder] = await engine.listContainers({ all: true, filters: { label } });
      assert.deepEqual([holder?.Image, holder?.Command], [image, "/no/such program"]);
    });

    assert.ok(registry.manifestRequests > 0);
    assert.equal(prefork?.take(), undefined);
  });

  it("ends at once while it still pulls that image", async () => {
    await using registry = await fakeRegistry();
    const goOn = registry.hold();
    const settings = readSettings(RUNNER_SETTINGS, {
      FN_EXPERIMENTAL_PREFORK_POOL_SIZE: "1",
      FN_EXPERIMENTAL_PREFORK_IMAGE: `${registry.host}/cheese:1`,
    });
    const installation = { id: `prefork-${randomBytes(6).toString("hex")}`, runnerId: "r1", bootId: "b1" };
    const dependencies = { ...engineClient(engine), installation, log: silentLog, metrics: createMetrics() };
    const prefork = preforkOf(settings, dependencies);
    prefork?.open();
    await eventually(() => assert.ok(registry.manifestRequests > 0));
    try {
      const ended = Promise.resolve(prefork?.[Symbol.asyncDispose]()).then(() => "ended");

      assert.equal(await Promise.race([ended, pause(systemClock, 5_000)]), "ended");
    } finally {
      goOn();
    }
  });

  it("is none at size 0, and asks for an image where there is a command", () => {
    const dependencies = {
      ...engineClient(engine),
      installation: { id: "i", runnerId: "r", bootId: "b" },
      log: silentLog,
      metrics: createMetrics(),
    };
    const of = (env: Record<string, string>) => preforkOf(readSettings(RUNNER_SETTINGS, env), dependencies);

    assert.equal(of({}), undefined);
    assert.throws(
      () => of({ FN_EXPERIMENTAL_PREFORK_POOL_SIZE: "1", FN_EXPERIMENTAL_PREFORK_CMD: "sleep 1" }),
      /set FN_EXPERIMENTAL_PREFORK_IMAGE as well/,
    );
  });
});
