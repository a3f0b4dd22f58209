import assert from "node:assert/strict";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { after, before, describe, it } from "node:test";

import { systemClock } from "../../../../core/clock.ts";
import { silentLog } from "../../../../core/log.ts";
import { buildExampleImages } from "../../../../examples/functions/build.ts";
import { dockerOrSkip } from "../../../../kiln/testing/docker.ts";
import { driverBench, type DriverBench } from "../../../../kiln/testing/driver/driver-bench.ts";
import { optionSources } from "../../../../kiln/testing/option-sources.ts";
import { probeReport } from "../../../../kiln/testing/probe-report.ts";
import { taskFor } from "../../../../kiln/testing/task-for.ts";
import {
  dockerDriver,
  type ContainerCreateOptions,
  type DockerDriverOptions,
} from "../../../../runner/driver/docker/docker-driver.ts";
import { guardPermits } from "../../../../runner/driver/docker/guard-permits.ts";
import { createGuard } from "../../../../runner/driver/docker/guard.ts";
import type { ContainerPlace, DriverHook } from "../../../../runner/driver/driver.ts";
import type { FunctionLine } from "../../../../runner/logs/function-line.ts";
import { FunctionLogs } from "../../../../runner/logs/function-logs.ts";

const { engine, skip } = await dockerOrSkip();
const MIB = 1_048_576;

type Hook = DriverHook<ContainerCreateOptions>;

const makeDriver = (options: Partial<DockerDriverOptions> = {}) =>
  dockerDriver({
    docker: engine,
    installation: { id: `tests-${process.pid}`, runnerId: "driver", bootId: "b1" },
    guard: createGuard(),
    clock: systemClock,
    log: silentLog,
    ...options,
  });

/** A hook that changes HostConfig. */
const withHost = (change: object): Hook => ({
  start: (next) => (start, signal) => {
    Object.assign(start.options.HostConfig ?? {}, change);
    return next(start, signal);
  },
});

async function containersOf(place: ContainerPlace | undefined): Promise<number> {
  assert.ok(place !== undefined);
  return (await engine.listContainers({ all: true, filters: { name: [place.id] } })).length;
}

describe("a function's container", { skip, timeout: 120_000 }, () => {
  let bench: DriverBench<ContainerCreateOptions>;
  before(async () => {
    await buildExampleImages(engine);
    bench = await driverBench(makeDriver({ sandbox: { pids: 40, tmpfsInodes: 200 } }));
  });
  after(() => bench?.[Symbol.asyncDispose]());

  it("has the limits it was built with, and no swap where a hook lowers its memory, as Docker and the kernel see it", async () => {
    const task = taskFor("probe", { memoryMiB: 128, cpuMillis: 500, tmpfsMiB: 8, networkDisabled: true });
    await using probe = await bench.start(task, { hooks: [withHost({ Memory: 96 * MIB })] });

    const { HostConfig, Config } = await engine.getContainer(probe.container.id).inspect();
    assert.equal(HostConfig.Memory, 96 * MIB);
    assert.equal(HostConfig.MemorySwap, 96 * MIB);
    assert.equal(HostConfig.CpuQuota, 50_000);
    assert.equal(HostConfig.PidsLimit, 40);
    assert.equal(HostConfig.ReadonlyRootfs, true);
    assert.equal(HostConfig.NetworkMode, "none");
    assert.equal(HostConfig.LogConfig?.Type, "none");
    assert.equal(Config.User, "1000:1000");
    assert.equal(Config.Labels["kiln.boot"], "b1");

    const { facts } = probeReport(await probe.call({ facts: true }));
    const files = facts?.["cgroup"] === undefined ? {} : (facts["cgroup"] as { files: Record<string, string> }).files;
    assert.equal(files["memory.limit_in_bytes"] ?? files["memory.max"], String(96 * MIB));
    assert.ok([String(96 * MIB), "0"].includes(files["memory.memsw.limit_in_bytes"] ?? files["memory.swap.max"] ?? ""));
    assert.equal(files["cpu.cfs_quota_us"] ?? files["cpu.max"]?.split(" ")[0], "50000");
    assert.equal(files["pids.max"], "40");

    const limits = facts?.["limits"] as Record<string, string>;
    assert.equal(limits["Max open files"], "350");
    assert.equal(limits["Max locked memory"], "65536");
    assert.equal(limits["Max pending signals"], "5000");
    assert.equal(limits["Max msgqueue size"], "819200");

    const space = facts?.["space"] as Record<string, { bytes: number; inodes: number }>;
    assert.equal(space["/tmp"]?.bytes, 8 * MIB);
    assert.equal(space["/tmp"]?.inodes, 200);
    const mounts = facts?.["mounts"] as { target: string; options: string[] }[];
    const options = (target: string) => mounts.findLast((mount) => mount.target === target)?.options ?? [];
    assert.ok(options("/").includes("ro"));
    assert.ok(options("/tmp/iofs").includes("rw"));
    assert.deepEqual(options("/tmp").slice(0, 4), ["rw", "nosuid", "nodev", "noexec"]);
    assert.deepEqual(Object.keys(facts?.["network"] as object), ["lo"]);
    const groups = facts?.identity?.["groups"] as number[];
    assert.deepEqual(
      groups.filter((group) => group !== 1_000),
      [],
    );
    assert.equal(facts?.status?.["Seccomp"], "2");
  });

  it("has namespaces of its own", async () => {
    await using one = await bench.start(taskFor("probe"));
    await using other = await bench.start(taskFor("probe"));
    const namespaces = async (probe: typeof one) =>
      probeReport(await probe.call({ facts: ["namespaces"] })).facts?.["namespaces"] as Record<string, string>;

    const [first, second] = [await namespaces(one), await namespaces(other)];

    for (const kind of ["cgroup", "ipc", "mnt", "net", "pid", "uts"]) {
      assert.match(first[kind] ?? "", /:\[\d+\]$/, kind);
      assert.notEqual(first[kind], second[kind], kind);
    }
  });

  it("tells an exit code of 137 from a lack of memory", async () => {
    await using probe = await bench.start(taskFor("probe", { config: { ENABLE_INIT_EXIT: "137" } }));

    assert.deepEqual(await probe.container.exited, { exitCode: 137, outOfMemory: false });
  });

  it("is seen to end however fast it does", async () => {
    const fast: Hook = {
      start: (next) => (start, signal) => {
        Object.assign(start.options, { Entrypoint: ["node", "--version"], Cmd: [] });
        return next(start, signal);
      },
    };
    for (let n = 0; n < 3; n += 1) {
      await using hello = await bench.start(taskFor("hello"), { hooks: [fast] });

      assert.deepEqual(await hello.container.exited, { exitCode: 0, outOfMemory: false });
    }
  });

  it("whose image cannot be run says so on stderr", async () => {
    const wrong: Hook = {
      start: (next) => (start, signal) => {
        Object.assign(start.options, { Entrypoint: ["/no/such/program"], Cmd: [] });
        return next(start, signal);
      },
    };
    await using hello = await bench.start(taskFor("hello"), { hooks: [wrong] });

    assert.equal((await hello.container.exited).exitCode, 127);
    assert.match(hello.container.stderrTail(), /\/no\/such\/program.*No such file/);
  });

  it("gives its lines to those who want them", async () => {
    const lines: string[] = [];
    const sink = (line: FunctionLine) => void lines.push(`${line.stream} ${line.text}`);
    await using own = await driverBench(makeDriver({ output: new FunctionLogs({ clock: systemClock, sink }) }));
    await using probe = await own.start(taskFor("probe"));

    await assert.rejects(probe.call({ stdout: ["from stdout"], stderr: ["from stderr"], isExit: true }));
    await probe.container.exited;

    assert.ok(lines.includes("stdout from stdout"), lines.join("\n"));
    assert.ok(lines.includes("stderr from stderr"), lines.join("\n"));
    assert.match(probe.container.stderrTail(), /from stderr\n$/);
  });

  it("writes to its app's syslog", async (t) => {
    const sink = createSocket("udp4").bind(0, "127.0.0.1");
    t.after(() => sink.close());
    await once(sink, "listening");
    const received = once(sink, "message") as Promise<[Buffer]>;
    const syslogUrl = `udp://127.0.0.1:${sink.address().port}`;

    await using probe = await bench.start(taskFor("probe", { syslogUrl, config: { ENABLE_HEADER: "1" } }));

    const [message] = await received;
    assert.match(message.toString(), /app_id=[\w-]+,fn_id=[\w-]+/);
    await probe.call();
  });

  it("is not started without its app's syslog", async () => {
    const seen: ContainerPlace[] = [];
    const start = bench.start(taskFor("probe", { syslogUrl: "tcp://127.0.0.1:1" }), {
      place: (place) => seen.push(place),
    });

    await assert.rejects(start, { code: "syslog_unavailable", status: 500, message: /^Syslog Unavailable: / });
    assert.equal(await containersOf(seen[0]), 0);
  });

  it("takes its networks in turn", () => {
    const driver = makeDriver({ sandbox: { networks: ["a", "b"] } });
    const { task, place } = optionSources();

    const modes = [1, 2, 3].map(() => driver.options(task, place).HostConfig?.NetworkMode);

    assert.deepEqual(modes, ["a", "b", "a"]);
  });

  it("takes its image's volumes with it, where an operator allows such images", async (t) => {
    const image = `kiln-example-volume:${process.pid}`;
    const [repo, tag] = image.split(":");
    const donor = await engine.createContainer({ Image: "kiln-example-hello:latest" });
    t.after(() => donor.remove());
    await donor.commit({ repo, tag, changes: "VOLUME /data" });
    t.after(() => engine.getImage(image).remove());
    await using own = await driverBench(makeDriver({ images: { allowVolumes: true } }));
    const task = { ...taskFor("hello"), image };

    await assert.rejects(bench.start(task), { code: "image_has_volume" });
    const hello = await own.start(task);
    const { Mounts } = await engine.getContainer(hello.container.id).inspect();
    const volume = Mounts.find(({ Destination }) => Destination === "/data")?.Name ?? "";
    assert.equal((await engine.getVolume(volume).inspect()).Name, volume);
    await hello[Symbol.asyncDispose]();

    await assert.rejects(engine.getVolume(volume).inspect(), { statusCode: 404 });
  });

  it("goes with its driver", async () => {
    const own = await driverBench(makeDriver());
    const probe = await own.start(taskFor("hello"));

    await own.driver[Symbol.asyncDispose]();

    assert.equal(await containersOf(probe.place), 0);
    await probe[Symbol.asyncDispose]();
    await own[Symbol.asyncDispose]();
  });
});

describe("the guard of the docker driver", { skip, timeout: 120_000 }, () => {
  let bench: DriverBench<ContainerCreateOptions>;
  before(async () => {
    await buildExampleImages(engine);
    bench = await driverBench(makeDriver());
  });
  after(() => bench?.[Symbol.asyncDispose]());

  const bad: readonly (readonly [field: string, change: object])[] = [
    ["HostConfig.Privileged", { Privileged: true }],
    ["HostConfig.NetworkMode", { NetworkMode: "host" }],
    ["HostConfig.PidMode", { PidMode: "container:other" }],
    ["HostConfig.IpcMode", { IpcMode: "container:other" }],
    ["HostConfig.CapAdd", { CapAdd: ["SYS_ADMIN"] }],
    [
      "HostConfig.Devices",
      { Devices: [{ PathOnHost: "/dev/kmsg", PathInContainer: "/dev/kmsg", CgroupPermissions: "rwm" }] },
    ],
    ["HostConfig.Binds", { Binds: ["/var/run/docker.sock:/var/run/docker.sock"] }],
  ];
  for (const [field, change] of bad) {
    it(`lets no hook set ${field}`, async () => {
      const seen: ContainerPlace[] = [];
      const start = bench.start(taskFor("hello"), { hooks: [withHost(change)], place: (place) => seen.push(place) });

      await assert.rejects(start, (error: Error & { code?: string }) => {
        assert.equal(error.code, "guard_refused");
        assert.ok(error.message.includes(field), error.message);
        return true;
      });
      assert.equal(await containersOf(seen[0]), 0);
    });
  }

  it("lets an operator allow what Docker then does", async () => {
    const allowed = { binds: [{ source: "/usr/share" }], capabilities: ["NET_BIND_SERVICE"] };
    const guard = createGuard(() => guardPermits.parse(allowed));
    await using own = await driverBench(makeDriver({ guard }));
    const hook = withHost({ Binds: ["/usr/share:/data:ro"], CapAdd: ["NET_BIND_SERVICE"] });

    await using probe = await own.start(taskFor("probe"), { hooks: [hook] });

    const { facts } = probeReport(await probe.call({ facts: ["status", "mounts"] }));
    const mounts = facts?.["mounts"] as { target: string; options: string[] }[];
    assert.equal(mounts.find(({ target }) => target === "/data")?.options[0], "ro");
    assert.equal(facts?.status?.["CapBnd"], "0000000000000400");
  });

  it("checks what is then created: a hook that changes the options after the check changes nothing", async () => {
    const late: Hook = {
      start: (next) => async (start, signal) => {
        const { options } = start;
        const host = options.HostConfig ?? {};
        const worsen = () => {
          Object.assign(host, { Privileged: true, CapAdd: ["ALL"], ReadonlyRootfs: false });
          (host.SecurityOpt as string[]).splice(0);
          Object.assign(options, { User: "root" });
        };
        const started = next(start, signal);
        worsen();
        const again = setInterval(worsen, 1);
        return await started.finally(() => clearInterval(again));
      },
    };

    await using probe = await bench.start(taskFor("probe"), { hooks: [late] });

    const { HostConfig, Config } = await engine.getContainer(probe.container.id).inspect();
    assert.equal(HostConfig.Privileged, false);
    assert.deepEqual(HostConfig.CapAdd ?? [], []);
    assert.deepEqual(HostConfig.SecurityOpt, ["no-new-privileges"]);
    assert.equal(Config.User, "1000:1000");
    const { facts } = probeReport(await probe.call({ facts: ["identity", "status"] }));
    assert.equal(facts?.identity?.uid, 1_000);
    assert.equal(facts.status?.["CapBnd"], "0000000000000000");
  });

  it("creates from what it checked: options that say one thing to it and another to Docker change nothing", async () => {
    const twoFaced: Hook = {
      start: (next) => (start, signal) => {
        const host = { ...start.options.HostConfig, Privileged: false };
        start.options.HostConfig = new Proxy(host, {
          get: (target, key, self: unknown): unknown => key === "Privileged" || Reflect.get(target, key, self),
        });
        return next(start, signal);
      },
    };

    await using hello = await bench.start(taskFor("hello"), { hooks: [twoFaced] });

    const { HostConfig } = await engine.getContainer(hello.container.id).inspect();
    assert.equal(HostConfig.Privileged, false);
  });

  it("cannot be moved by another task or place", async () => {
    const bigger: Hook = {
      start: (next) => (start, signal) => {
        Object.assign(start.options.HostConfig ?? {}, { Memory: 512 * MIB, MemorySwap: 512 * MIB });
        return next({ ...start, task: { ...start.task, memoryMiB: 512 } }, signal);
      },
    };
    const elsewhere: Hook = {
      start: (next) => (start, signal) => next({ ...start, place: { ...start.place } }, signal),
    };

    await assert.rejects(bench.start(taskFor("hello"), { hooks: [bigger] }), {
      code: "guard_refused",
      message: /Memory/,
    });
    await assert.rejects(bench.start(taskFor("hello"), { hooks: [elsewhere] }), {
      code: "hook_failed",
      message: /place/,
    });
  });
});
