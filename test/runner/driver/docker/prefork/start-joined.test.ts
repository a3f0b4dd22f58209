import assert from "node:assert/strict";
import { readlink } from "node:fs/promises";
import { after, before, describe, it } from "node:test";

import { systemClock } from "../../../../../core/clock.ts";
import { createLog, silentLog } from "../../../../../core/log.ts";
import { buildExampleImages } from "../../../../../examples/functions/build.ts";
import { dockerOrSkip } from "../../../../../kiln/testing/docker.ts";
import { driverBench } from "../../../../../kiln/testing/driver/driver-bench.ts";
import { eventually } from "../../../../../kiln/testing/eventually.ts";
import { type PreforkBench, preforkBench } from "../../../../../kiln/testing/prefork.ts";
import { probeReport } from "../../../../../kiln/testing/probe-report.ts";
import { smallNetwork } from "../../../../../kiln/testing/small-network.ts";
import { taskFor } from "../../../../../kiln/testing/task-for.ts";
import {
  type ContainerCreateOptions,
  dockerDriver,
  type DockerDriverOptions,
} from "../../../../../runner/driver/docker/docker-driver.ts";
import { NO_PERMITS } from "../../../../../runner/driver/docker/guard-permits.ts";
import { createGuard, type Guard } from "../../../../../runner/driver/docker/guard.ts";
import type { DriverHook } from "../../../../../runner/driver/driver.ts";

const { engine, skip } = await dockerOrSkip();

const driverWith = ({ prefork, installation }: PreforkBench, options: Partial<DockerDriverOptions> = {}) => {
  const host = { docker: engine, clock: systemClock, log: silentLog };
  return driverBench(dockerDriver({ ...host, installation, guard: createGuard(), prefork, ...options }));
};

const withHost = (change: object): DriverHook<ContainerCreateOptions> => ({
  start: (next) => (start, signal) => {
    Object.assign(start.options.HostConfig ?? {}, change);
    return next(start, signal);
  },
});

const networkModeOf = async (id: string) => (await engine.getContainer(id).inspect()).HostConfig.NetworkMode ?? "";
const takes = (pool: PreforkBench, outcome: string) => pool.metric(`fn_prefork_takes{outcome="${outcome}"}`);

describe("a container that joins a holder", { skip, timeout: 180_000 }, () => {
  let pool: PreforkBench;
  let bench: Awaited<ReturnType<typeof driverWith>>;
  before(async () => {
    await buildExampleImages(engine);
    pool = preforkBench(engine, { size: 2 });
    bench = await driverWith(pool);
  });
  after(() => bench?.[Symbol.asyncDispose]());

  it("has the holder's network namespace, and shares no other and no process with it", async (t) => {
    await pool.ready(2);
    await using probe = await bench.start(taskFor("probe"));
    const { facts, data } = probeReport(await probe.call({ facts: ["namespaces"], listDir: "/proc" }));

    const joined = await networkModeOf(probe.container.id);
    const holder = (await pool.holders()).find(({ id }) => joined === `container:${id}`);
    assert.ok(holder !== undefined, joined);
    const processes = (data["/proc.list"] ?? "").split("\n").filter((name) => /^\d+$/.test(name));
    assert.ok(processes.length <= 2, `the function sees processes ${processes.join()}`);
    const { Processes } = (await engine.getContainer(holder.id).top()) as { Processes: string[][] };
    assert.equal(Processes.length, 1);
    assert.equal(Processes[0]?.at(-1), "/pause");
    const { State } = await engine.getContainer(holder.id).inspect();
    const namespaces = facts?.["namespaces"] as Record<string, string>;
    for (const kind of ["net", "pid", "ipc", "mnt", "uts", "cgroup"]) {
      const held = await readlink(`/proc/${State.Pid}/ns/${kind}`).catch(() => undefined);
      if (held === undefined) {
        assert.notEqual(process.env["CI"], "true", 'Cannot read the holder\'s namespaces, and CI is "true"');
        return t.skip("the holder's namespaces can be read by root alone");
      }
      if (kind === "net") assert.equal(namespaces[kind], held);
      else assert.notEqual(namespaces[kind], held, kind);
    }
  });

  it("gives the namespace back once it is gone, and nobody has it before the holder's restart", async () => {
    await pool.ready(2);
    const probe = await bench.start(taskFor("hello"));
    const holderId = (await networkModeOf(probe.container.id)).slice("container:".length);
    const startedAt = async () => (await engine.getContainer(holderId).inspect()).State.StartedAt;
    const before = await startedAt();
    const recycles = pool.metric("fn_prefork_recycles");

    await probe[Symbol.asyncDispose]();
    assert.equal(pool.metric("fn_prefork_recycles"), recycles + 1);
    assert.ok(pool.metric('fn_prefork_holders{state="free"}') < 2);
    await pool.ready(2);

    assert.notEqual(await startedAt(), before);
  });

  it("does not hold a namespace after a start that failed", async () => {
    await pool.ready(2);
    const failing = withHost({ Runtime: "no-such-runtime" });
    await assert.rejects(bench.start(taskFor("hello"), { hooks: [failing] }), { code: "guard_refused" });
    assert.equal(pool.metric('fn_prefork_holders{state="free"}'), 2);

    const task = taskFor("hello", { syslogUrl: "tcp://127.0.0.1:1" });
    await assert.rejects(bench.start(task), { code: "syslog_unavailable" });

    await pool.ready(2);
    assert.equal((await pool.holders()).length, 2);
  });

  it("takes the plain path at once where no holder is free, and is counted", async () => {
    await pool.ready(2);
    await using _one = await bench.start(taskFor("hello"));
    await using _other = await bench.start(taskFor("hello"));
    const empty = takes(pool, "empty");

    await using third = await bench.start(taskFor("hello"));

    assert.equal(await networkModeOf(third.container.id), "bridge");
    assert.equal(takes(pool, "empty"), empty + 1);
    assert.ok(takes(pool, "holder") >= 2);
  });

  it("is none without a network, and none that asks for something of the network's", async () => {
    await pool.ready(2);
    const options = takes(pool, "options");

    await using offline = await bench.start(taskFor("hello", { networkDisabled: true }));
    await using own = await bench.start(taskFor("hello"), { hooks: [withHost({ Dns: ["192.0.2.53"] })] });

    assert.equal(await networkModeOf(offline.container.id), "none");
    assert.equal(await networkModeOf(own.container.id), "bridge");
    assert.equal(takes(pool, "options"), options + 1);
    assert.equal(pool.metric('fn_prefork_holders{state="free"}'), 2);
  });

  it("is not joined to a holder that has just died", async () => {
    await pool.ready(2);
    const dead = (await pool.holders()).map(({ id }) => id);
    await Promise.all(dead.map((id) => engine.getContainer(id).kill()));

    await using hello = await bench.start(taskFor("hello"));

    assert.equal((await hello.call()).status, 200);
    for (const id of dead) assert.notEqual(await networkModeOf(hello.container.id), `container:${id}`);
    await pool.ready(pool.metric('fn_prefork_holders{state="used"}') === 0 ? 2 : 1);
  });

  it("ends with its holder, for it has lost its network", async () => {
    await pool.ready(2);
    await using hello = await bench.start(taskFor("hello"));
    const mode = await networkModeOf(hello.container.id);

    await engine.getContainer(mode.slice("container:".length)).kill();

    await hello.container.exited;
    await eventually(async () => assert.equal((await pool.holders()).length, 2));
  });

  for (const change of ["PidMode", "IpcMode", "NetworkMode", "UTSMode", "UsernsMode"]) {
    it(`cannot be given the holder's ${change} by a hook`, async () => {
      await pool.ready(2);
      const [holder] = await pool.holders();
      const hook = withHost({ [change]: `container:${holder?.id}` });

      await assert.rejects(bench.start(taskFor("hello"), { hooks: [hook] }), (error: Error & { code?: string }) => {
        assert.equal(error.code, "guard_refused");
        assert.match(error.message, new RegExp(`HostConfig\\.${change}`));
        return true;
      });
    });
  }
});

describe("containers on small networks", { skip, timeout: 180_000 }, () => {
  it("are more than one of the networks admits, and go on to the next without a holder too", async () => {
    await buildExampleImages(engine, ["hello"]);
    // One place on each of the first three.
    await using one = await smallNetwork(engine, "10.251.9.0/30");
    await using two = await smallNetwork(engine, "10.251.9.4/30");
    await using three = await smallNetwork(engine, "10.251.9.12/30");
    await using roomy = await smallNetwork(engine, "10.251.9.16/29");
    const pool = preforkBench(engine, { size: 3, networks: [one.name, two.name, three.name] });
    const lines: string[] = [];
    const log = createLog({ level: "info", write: (line) => void lines.push(line) });
    const allowing = createGuard(() => ({ ...NO_PERMITS, networks: [one.name] }));
    const checked: unknown[] = [];
    const guard: Guard = {
      check(asked, built) {
        checked.push(asked.HostConfig?.NetworkMode);
        return allowing.check(asked, built);
      },
    };
    const bench = await driverWith(pool, { log, guard, sandbox: { networks: [roomy.name, one.name] } });
    await pool.ready(3);

    await using functions = new AsyncDisposableStack();
    functions.use(bench);
    const started = await Promise.all([1, 2, 3].map(() => bench.start(taskFor("hello"))));
    for (const hello of started) functions.use(hello);

    for (const hello of started) assert.equal((await hello.call()).status, 200);
    const modes = await Promise.all(started.map(({ container }) => networkModeOf(container.id)));
    assert.equal(new Set(modes).size, 3);
    assert.ok(modes.every((mode) => mode.startsWith("container:")));

    // Its turn is on the first of them, which a holder fills.
    const plain = functions.use(await bench.start(taskFor("hello")));
    assert.equal((await plain.call()).status, 200);
    assert.equal(await networkModeOf(plain.container.id), roomy.name);
    assert.deepEqual(checked.slice(-2), [one.name, roomy.name], "the guard has seen the change");
    const told = lines.filter((line) => line.includes("Containers leave out a network: it is full"));
    assert.deepEqual(
      told.map((line) => line.includes(one.name)),
      [true],
    );

    // Its turn is on the roomy one, and a hook chooses the full one: that may be what keeps tenants apart.
    const chosen = bench.start(taskFor("hello"), { hooks: [withHost({ NetworkMode: one.name })] });
    await assert.rejects(
      chosen.then((hello) => void functions.use(hello)),
      { code: "server_busy" },
    );
  });
});
