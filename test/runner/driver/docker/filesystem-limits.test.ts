import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";

import { systemClock } from "../../../../core/clock.ts";
import { silentLog } from "../../../../core/log.ts";
import { buildExampleImages } from "../../../../examples/functions/build.ts";
import { dockerOrSkip } from "../../../../kiln/testing/docker.ts";
import { type DriverBench, driverBench } from "../../../../kiln/testing/driver/driver-bench.ts";
import { engineClient } from "../../../../kiln/testing/engine-client.ts";
import { type ProbeReport, probeReport } from "../../../../kiln/testing/probe-report.ts";
import { taskFor } from "../../../../kiln/testing/task-for.ts";
import { type ContainerCreateOptions, dockerDriver } from "../../../../runner/driver/docker/docker-driver.ts";
import { createGuard } from "../../../../runner/driver/docker/guard.ts";
import { seesPath } from "../../../../runner/driver/docker/sees-path.ts";

const { engine, skip } = await dockerOrSkip();
const MIB = 1_048_576;
const installation = { id: `filesystems-${process.pid}`, runnerId: "r1", bootId: "b1" };
const driver = (sandbox = {}) =>
  dockerDriver({ docker: engine, installation, guard: createGuard(), clock: systemClock, log: silentLog, sandbox });

/** The room in /tmp, as the function sees it. */
function tmpOf({ facts }: ProbeReport): { readonly bytes: number; readonly free: number } {
  const space = facts?.["space"] as Record<string, { bytes: number; free: number }> | undefined;
  const found = space?.["/tmp"];
  assert.ok(found !== undefined);
  return found;
}

describe("a function's files", { skip, timeout: 120_000 }, () => {
  let bench: DriverBench<ContainerCreateOptions>;
  before(async () => {
    await buildExampleImages(engine, ["probe"]);
    bench = await driverBench(driver());
  });
  after(() => bench?.[Symbol.asyncDispose]());

  it("may be sparse, and are told that the disk is full where they are not", async () => {
    await using probe = await bench.start(taskFor("probe", { tmpfsMiB: 16, memoryMiB: 128 }));
    await using other = await bench.start(taskFor("probe", { tmpfsMiB: 16, memoryMiB: 128 }));
    const file = "/tmp/large";

    const sparse = probeReport(
      await probe.call({ createFile: file, createFileSize: 1_024 * MIB, createFileSparse: true, facts: ["space"] }),
    );
    const real = probeReport(await probe.call({ createFile: file, createFileSize: 1_024 * MIB }));

    assert.deepEqual([sparse.data[`${file}.create_files`], sparse.data[`${file}.create_code`]], ["1", undefined]);
    assert.ok(tmpOf(sparse).free > 15 * MIB, `${tmpOf(sparse).free} bytes are free beside it`);
    assert.equal(real.data[`${file}.create_code`], "ENOSPC");
    const answered = probeReport(await probe.call({ removeFile: file }));
    assert.equal(answered.probe.instance, real.probe.instance);
    const room = probeReport(await other.call({ createFile: file, createFileSize: 12 * MIB }));
    assert.equal(room.data[`${file}.create_bytes`], String(12 * MIB));
  });

  it("are never without a bound, and have the runner's where the function says none", async () => {
    await using small = await bench.start(taskFor("probe", { memoryMiB: 96 }));

    const report = probeReport(await small.call({ facts: ["space"] }));

    assert.equal(tmpOf(report).bytes, 48 * MIB);
  });

  it("are as many as the runner says", async () => {
    await using own = await driverBench(driver({ tmpfsInodes: 40 }));
    await using probe = await own.start(taskFor("probe"));

    const { data } = probeReport(await probe.call({ createFile: "/tmp/many", createFileCount: 100 }));

    assert.equal(data["/tmp/many.create_code"], "ENOSPC");
    assert.ok(Number(data["/tmp/many.create_files"]) < 40);
  });

  it("may be anywhere where an operator lets them", async () => {
    await using own = await driverBench(driver({ readonlyRoot: false, user: "0:0" }));
    await using probe = await own.start(taskFor("probe"));

    const { data } = probeReport(await probe.call({ createFile: "/function/new", createFileSize: 1 }));

    assert.equal(data["/function/new.create_bytes"], "1");
  });
});

const root = skip === false && process.getuid?.() !== 0 ? "only root may mount" : skip;

describe("a function that fills its socket directory", { skip: root, timeout: 120_000 }, () => {
  it("harms nobody, not even itself", async () => {
    await buildExampleImages(engine, ["probe"]);
    const own = driver();
    const tmpfs = {
      wanted: true,
      options: "size=1m,nr_inodes=16,mode=0777",
      sees: (path: string) => seesPath(engineClient(engine), path),
    };
    await using bench = await driverBench(own, tmpfs);
    await using probe = await bench.start(taskFor("probe"));

    const bytes = probeReport(await probe.call({ createFile: "/tmp/iofs/big", createFileSize: 64 * MIB }));
    const files = probeReport(await probe.call({ createFile: "/tmp/iofs/many", createFileCount: 100 }));

    assert.equal(bytes.data["/tmp/iofs/big.create_code"], "ENOSPC");
    assert.equal(files.data["/tmp/iofs/many.create_code"], "ENOSPC");
    await using other = await bench.start(taskFor("probe"));
    assert.equal((await other.call()).status, 200);
    assert.equal((await probe.call()).status, 200);
  });
});

describe("seesPath", { skip, timeout: 30_000 }, () => {
  it("asks the daemon, and has it make nothing", async (t) => {
    const there = await mkdtemp(join(tmpdir(), "kiln-sees-"));
    t.after(() => rm(there, { recursive: true }));
    const containers = async () =>
      (await engine.listContainers({ all: true, filters: { ancestor: ["kiln-no-such-image:none"] } })).length;

    assert.equal(await seesPath(engineClient(engine), there), true);
    assert.equal(await seesPath(engineClient(engine), join(there, "missing")), false);
    assert.equal(await containers().catch(() => 0), 0);
  });
});
