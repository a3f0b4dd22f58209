import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { cgroupTree, type CgroupTreeOptions } from "../../kiln/testing/cgroup-tree.ts";
import { machineResources, type MachineOptions } from "../../runner/machine.ts";

const MIB = 1024 * 1024;
const V1_UNLIMITED = "9223372036854771712";

type Tree = Partial<CgroupTreeOptions> & { readonly availableMiB?: number };

/** What a runner would book on a machine that shows these files. */
async function booked(tree: Tree, options: Partial<MachineOptions> = {}) {
  const { availableMiB = 10_240, cgroup = [], mountinfo = [], files = {} } = tree;
  const meminfo = { "proc/meminfo": `MemTotal: 99 kB\nMemAvailable:   ${availableMiB * 1_024} kB\n` };
  await using shown = await cgroupTree({
    pid: 0,
    cgroup,
    mountinfo,
    files: { ...meminfo, "proc/self/cgroup": cgroup.map((line) => `${line}\n`).join(""), ...files },
  });
  return machineResources({ maxMemoryBytes: 0, maxCpuMillis: 0, cores: 8, proc: shown.proc, ...options });
}

const V1 = {
  cgroup: ["9:memory:/system/runner", "4:cpu,cpuacct:/system/runner", "0::/elsewhere"],
  mountinfo: [
    "31 23 0:30 / @/memory rw - cgroup cgroup rw,memory",
    "32 23 0:31 / @/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct",
  ],
};

const V2 = {
  cgroup: ["0::/system.slice/runner.service"],
  mountinfo: ["31 23 0:30 / @/cgroup rw - cgroup2 cgroup2 rw,nsdelegate"],
};

describe("machineResources", () => {
  it("takes what is available without a tenth, and all cores", async () => {
    assert.deepEqual(await booked({}), { memoryMiB: 9_216, cpuMillis: 8_000 });
  });

  it("keeps 256 MiB at least and 5 GiB at most, and a MiB for each holder of the pool beside that", async () => {
    assert.equal((await booked({ availableMiB: 1_024 })).memoryMiB, 768);
    assert.equal((await booked({ availableMiB: 200 * 1_024 })).memoryMiB, 195 * 1_024);
    const preforkPoolSize = 100;
    assert.equal((await booked({}, { preforkPoolSize })).memoryMiB, 9_116);
    assert.equal((await booked({ availableMiB: 1_024 }, { preforkPoolSize })).memoryMiB, 668);
    assert.equal((await booked({ availableMiB: 200 * 1_024 }, { preforkPoolSize })).memoryMiB, 195 * 1_024 - 100);
  });

  it("takes no more than the operator allows", async () => {
    const most = { maxMemoryBytes: 100 * MIB, maxCpuMillis: 1_500 };

    assert.deepEqual(await booked({}, most), { memoryMiB: 100, cpuMillis: 1_500 });
  });

  it("heeds the limits of its own cgroup, v1", async () => {
    const files = {
      "memory/memory.limit_in_bytes": V1_UNLIMITED,
      "memory/system/memory.limit_in_bytes": V1_UNLIMITED,
      "memory/system/runner/memory.limit_in_bytes": `${2_560 * MIB}\n`,
      "cpu,cpuacct/system/runner/cpu.cfs_quota_us": "250000\n",
      "cpu,cpuacct/system/runner/cpu.cfs_period_us": "100000\n",
    };

    assert.deepEqual(await booked({ ...V1, files }), { memoryMiB: 2_304, cpuMillis: 2_500 });
  });

  it("heeds the limits of its own cgroup, v2", async () => {
    const files = {
      "cgroup/system.slice/runner.service/memory.max": `${2_560 * MIB}\n`,
      "cgroup/system.slice/runner.service/cpu.max": "250000 100000\n",
    };

    assert.deepEqual(await booked({ ...V2, files }), { memoryMiB: 2_304, cpuMillis: 2_500 });
  });

  it("heeds those of the cgroups around it, which are its own as well", async () => {
    const v1 = {
      "memory/memory.limit_in_bytes": V1_UNLIMITED,
      "memory/system/memory.limit_in_bytes": `${2_560 * MIB}`,
      "memory/system/runner/memory.limit_in_bytes": V1_UNLIMITED,
      "cpu,cpuacct/system/cpu.cfs_quota_us": "100000",
      "cpu,cpuacct/system/cpu.cfs_period_us": "100000",
      "cpu,cpuacct/system/runner/cpu.cfs_quota_us": "-1",
      "cpu,cpuacct/system/runner/cpu.cfs_period_us": "100000",
    };
    const v2 = {
      "cgroup/system.slice/memory.max": `${2_560 * MIB}`,
      "cgroup/system.slice/cpu.max": "100000 100000",
      "cgroup/system.slice/runner.service/memory.max": "max",
      "cgroup/system.slice/runner.service/cpu.max": "max 100000",
    };

    const expected = { memoryMiB: 2_304, cpuMillis: 1_000 };
    assert.deepEqual(await booked({ ...V1, files: v1 }), expected);
    assert.deepEqual(await booked({ ...V2, files: v2 }), expected);
  });

  it("finds its limits in a container, where the path is the host's and the mount its own group", async () => {
    const own = ["31 23 0:30 /docker/abc @/memory ro - cgroup cgroup rw,memory"];
    const files = { "memory/memory.limit_in_bytes": `${2_560 * MIB}` };
    const seen = { cgroup: ["9:memory:/docker/abc"], mountinfo: own, files };
    const namespaced = { cgroup: ["9:memory:/"], mountinfo: own, files };

    assert.equal((await booked(seen)).memoryMiB, 2_304);
    assert.equal((await booked(namespaced)).memoryMiB, 2_304);
  });

  it("sets no limit where cgroups set none, or cannot be read", async () => {
    const unlimited = {
      "cgroup/system.slice/runner.service/memory.max": "max\n",
      "cgroup/system.slice/runner.service/cpu.max": "max 100000\n",
    };

    for (const tree of [V1, V2, { ...V2, files: unlimited }, { ...V2, mountinfo: [] }]) {
      assert.deepEqual(await booked(tree), { memoryMiB: 9_216, cpuMillis: 8_000 });
    }
  });

  it("refuses to start where nothing is left, saying what there is", async () => {
    await assert.rejects(booked({ availableMiB: 256 }), {
      message:
        "Cannot start: nothing is left of this machine's memory for functions: it has 256 MiB, and 256 MiB are kept for the system",
    });
  });

  it("assumes 2 GiB where nobody says", async () => {
    assert.equal((await booked({ files: { "proc/meminfo": "" } })).memoryMiB, 2_048 - 256);
  });
});
