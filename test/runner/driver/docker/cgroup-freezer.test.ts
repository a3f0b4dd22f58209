import assert from "node:assert/strict";
import { chmod, readFile, rm, writeFile } from "node:fs/promises";
import { describe, it } from "node:test";

import { systemClock } from "../../../../core/clock.ts";
import { type CgroupTree, cgroupTree } from "../../../../kiln/testing/cgroup-tree.ts";
import { eventually } from "../../../../kiln/testing/eventually.ts";
import { openCgroupFreezer } from "../../../../runner/driver/docker/cgroup-freezer.ts";

const ID = "0a8d33953d0126f28b7dc0f7577f29322b509efa070b244bac177169147b667d";
const PID = 4242;

/** A container's cgroup as plain files: nobody acts on them but the test. */
const kinds = {
  v1: {
    tree: () =>
      cgroupTree({
        pid: PID,
        cgroup: [`6:freezer:/docker/${ID}`],
        mountinfo: ["37 31 0:34 / @/cg rw - cgroup cgroup rw,freezer"],
        files: { [`cg/docker/${ID}/freezer.state`]: "THAWED\n" },
      }),
    control: `cg/docker/${ID}/freezer.state`,
    frozen: "FROZEN",
    thawed: "THAWED",
    settle: async () => {},
  },
  v2: {
    tree: () =>
      cgroupTree({
        pid: PID,
        cgroup: [`0::/system.slice/docker-${ID}.scope`],
        mountinfo: ["29 22 0:26 / @/cg rw - cgroup2 cgroup2 rw"],
        files: {
          [`cg/system.slice/docker-${ID}.scope/cgroup.freeze`]: "0\n",
          [`cg/system.slice/docker-${ID}.scope/cgroup.events`]: "populated 1\nfrozen 0\n",
        },
      }),
    control: `cg/system.slice/docker-${ID}.scope/cgroup.freeze`,
    frozen: "1",
    thawed: "0",
    /** What the kernel says once every process stands still. */
    settle: (tree: CgroupTree) =>
      writeFile(tree.path(`cg/system.slice/docker-${ID}.scope/cgroup.events`), "populated 1\nfrozen 1\n"),
  },
};

const signal = () => AbortSignal.timeout(5_000);

for (const [version, kind] of Object.entries(kinds)) {
  describe(`a freezer of cgroup ${version}`, () => {
    const open = (tree: CgroupTree) => openCgroupFreezer({ containerId: ID, pid: PID, proc: tree.proc }, systemClock);
    const written = async (tree: CgroupTree) => (await readFile(tree.path(kind.control), "utf8")).trim();

    it("writes the kernel's words, each over the one before", async () => {
      await using tree = await kind.tree();
      await using freezer = await open(tree);
      await kind.settle(tree);

      for (let i = 0; i < 2; i += 1) {
        await freezer.freeze(signal());
        assert.equal(await written(tree), kind.frozen);
        await freezer.thaw();
        assert.equal(await written(tree), kind.thawed);
      }
    });

    it("does not begin once its signal is aborted", async () => {
      await using tree = await kind.tree();
      await using freezer = await open(tree);

      await assert.rejects(freezer.freeze(AbortSignal.abort()));

      assert.equal(await written(tree), kind.thawed);
    });

    it("cannot be had where its file is missing or may not be written", async () => {
      await using tree = await kind.tree();
      await chmod(tree.path(kind.control), 0o444);
      if (process.getuid?.() !== 0) await assert.rejects(open(tree), { code: "EACCES" });
      await rm(tree.path(kind.control));

      await assert.rejects(open(tree), { code: "ENOENT" });
    });
  });
}

describe("a freeze of cgroup v2", () => {
  const { tree: make, control, settle } = kinds.v2;
  const open = (tree: CgroupTree) => openCgroupFreezer({ containerId: ID, pid: PID, proc: tree.proc }, systemClock);

  it("is over when the kernel says that all stands still", async () => {
    await using tree = await make();
    await using freezer = await open(tree);
    let over = false;

    const freezing = freezer.freeze(signal()).then(() => (over = true));
    await eventually(async () => assert.equal((await readFile(tree.path(control), "utf8")).trim(), "1"));
    assert.equal(over, false);
    await settle(tree);
    await freezing;

    assert.equal(over, true);
  });

  it("is taken back where something does not stand still in time, or the freeze is aborted", async () => {
    await using tree = await make();
    await using freezer = await open(tree);
    const stop = new AbortController();

    await assert.rejects(freezer.freeze(signal()), /did not stand still within 100 ms/);
    assert.equal((await readFile(tree.path(control), "utf8")).trim(), "0");
    const aborted = freezer.freeze(stop.signal);
    stop.abort();
    await assert.rejects(aborted);

    assert.equal((await readFile(tree.path(control), "utf8")).trim(), "0");
  });
});
