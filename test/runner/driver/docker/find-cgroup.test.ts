import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { cgroupTree, type CgroupTreeOptions } from "../../../../kiln/testing/cgroup-tree.ts";
import { findCgroup } from "../../../../runner/driver/docker/find-cgroup.ts";

const ID = "0a8d33953d0126f28b7dc0f7577f29322b509efa070b244bac177169147b667d";
const OTHER = ID.replace("0a", "0b");
const PID = 4242;

const V1_MOUNTS = [
  "31 23 0:28 / @/sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755",
  "35 31 0:32 / @/sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory",
  "37 31 0:34 / @/sys/fs/cgroup/freezer rw,relatime shared:9 - cgroup cgroup rw,freezer",
  "41 31 0:38 / @/sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw",
];
const V2_MOUNTS = ["29 22 0:26 / @/sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate"];

async function find(tree: Partial<CgroupTreeOptions>, containerId = ID): Promise<string> {
  await using made = await cgroupTree({ pid: PID, cgroup: [], mountinfo: V2_MOUNTS, ...tree });
  const { version, path } = await findCgroup({ containerId, pid: PID, proc: made.proc });
  return `${version} ${path.replace(made.root, "@")}`;
}

describe("findCgroup", () => {
  const found: Record<string, [Partial<CgroupTreeOptions>, string]> = {
    v1: [
      { cgroup: [`8:memory:/docker/${ID}`, `6:freezer:/docker/${ID}`], mountinfo: V1_MOUNTS },
      `v1 @/sys/fs/cgroup/freezer/docker/${ID}`,
    ],
    "v1 with v2 beside it, where containers are in both": [
      { cgroup: [`6:freezer:/docker/${ID}`, `0::/docker/${ID}`], mountinfo: V1_MOUNTS },
      `v1 @/sys/fs/cgroup/freezer/docker/${ID}`,
    ],
    "v1 with two controllers on one mount": [
      {
        cgroup: [`3:cpuset,freezer:/docker/${ID}`],
        mountinfo: ["37 31 0:34 / @/cg/both rw - cgroup cgroup rw,cpuset,freezer"],
      },
      `v1 @/cg/both/docker/${ID}`,
    ],
    v2: [{ cgroup: [`0::/docker/${ID}`] }, `v2 @/sys/fs/cgroup/docker/${ID}`],
    "v2 under systemd": [
      { cgroup: [`0::/system.slice/docker-${ID}.scope`] },
      `v2 @/sys/fs/cgroup/system.slice/docker-${ID}.scope`,
    ],
    "a mount of a part of the hierarchy": [
      { cgroup: [`0::/machine/docker/${ID}`], mountinfo: ["29 22 0:26 /machine @/cg rw - cgroup2 cgroup2 rw"] },
      `v2 @/cg/docker/${ID}`,
    ],
    "a mount whose path has a blank": [
      { cgroup: [`0::/docker/${ID}`], mountinfo: [String.raw`29 22 0:26 / @/c\040g rw - cgroup2 cgroup2 rw`] },
      `v2 @/c g/docker/${ID}`,
    ],
    "the mount that hides an earlier one": [
      {
        cgroup: [`0::/docker/${ID}`],
        mountinfo: ["1 0 0:26 / @/old rw - cgroup2 c rw", "2 0 0:26 / @/new rw - cgroup2 c rw"],
      },
      `v2 @/new/docker/${ID}`,
    ],
  };
  for (const [what, [tree, path]] of Object.entries(found)) {
    it(`finds ${what}`, async () => assert.equal(await find(tree), path));
  }

  const refused: Record<string, Partial<CgroupTreeOptions>> = {
    "another container's": { cgroup: [`0::/docker/${OTHER}`] },
    "one whose name only begins with the id": { cgroup: [`0::/docker/${ID}0`] },
    "one whose name only ends with the id": { cgroup: [`0::/docker/f${ID}`] },
    "one below the container's own": { cgroup: [`0::/docker/${ID}/init.scope`] },
    "the parent of all containers": { cgroup: ["0::/docker"] },
    "the root": { cgroup: ["0::/"] },
    "one outside of what a runner in a container sees": { cgroup: [`0::/../docker/${ID}`] },
    "another container's freezer, whatever v2 says": {
      cgroup: [`6:freezer:/docker/${OTHER}`, `0::/docker/${ID}`],
      mountinfo: V1_MOUNTS,
    },
  };
  for (const [what, tree] of Object.entries(refused)) {
    it(`refuses ${what}`, async () => {
      await assert.rejects(find(tree), /is in cgroup ".*", not in one of 0a8d/);
    });
  }

  it("takes nothing for an id that Docker did not make", async () => {
    for (const id of ["", "docker", ID.slice(0, 12)]) {
      await assert.rejects(find({ cgroup: [`0::/docker/${id}`] }, id), /not in one of/);
    }
  });

  it("says so where the hierarchy is not mounted", async () => {
    const elsewhere = ["29 22 0:26 /machine @/cg rw - cgroup2 cgroup2 rw"];
    await assert.rejects(find({ cgroup: [`0::/docker/${ID}`], mountinfo: [] }), /is not mounted here/);
    await assert.rejects(find({ cgroup: [`0::/docker/${ID}`], mountinfo: elsewhere }), /is not mounted here/);
    await assert.rejects(find({ cgroup: [`6:freezer:/docker/${ID}`] }), /of v1 is not mounted here/);
  });

  it("says so where there is no such process, or none that can be frozen", async () => {
    await assert.rejects(find({ cgroup: ["8:memory:/docker/x"] }), /in no cgroup that can be frozen/);
    await using tree = await cgroupTree({ pid: PID, cgroup: [], mountinfo: [] });
    await assert.rejects(findCgroup({ containerId: ID, pid: PID + 1, proc: tree.proc }), { code: "ENOENT" });
  });
});
