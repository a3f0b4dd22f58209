import assert from "node:assert/strict";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";

import { createLog, silentLog } from "../../../core/log.ts";
import { socketDirectories } from "../../../runner/hot/socket-directory.ts";
import { openSocketTmpfs, unmountBelow } from "../../../runner/hot/socket-tmpfs.ts";

const skip = process.getuid?.() === 0 && process.platform === "linux" ? false : "only root may mount";
const options = "size=64k,nr_inodes=8,mode=0777";
const seen = async () => true;

const mounts = async (below: string) =>
  (await readFile("/proc/self/mountinfo", "utf8")).split("\n").filter((line) => line.includes(` ${below}/`));

describe("socket directories in memory", { skip }, () => {
  let parent = "";
  before(async () => void (parent = await mkdtemp(join(tmpdir(), "kiln-tmpfs-"))));
  after(() => rm(parent, { recursive: true }));
  const open = (bootId: string) =>
    socketDirectories({ parent, installation: "here", bootId, tmpfs: { wanted: true, options, sees: seen } });

  it("take so many bytes and files each, and a full one leaves the others their room", async () => {
    await using directories = await open("boot");
    await using one = await directories.create("one");
    await using other = await directories.create("other");

    await assert.rejects(writeFile(join(one.path, "big"), Buffer.alloc(128 * 1_024)), { code: "ENOSPC" });
    const many = async () => {
      for (let n = 0; n < 20; n++) await writeFile(join(one.path, `file-${n}`), "");
    };
    await assert.rejects(many(), { code: "ENOSPC" });

    await writeFile(join(other.path, "small"), Buffer.alloc(32 * 1_024));
    assert.match((await mounts(one.path.slice(0, -4)))[0] ?? "", /nosuid,nodev,noexec/);
  });

  it("are unmounted with their container, however often that is asked for, and with their runner", async () => {
    const directories = await open("boot");
    const one = await directories.create("one");
    await directories.create("two");

    await one[Symbol.asyncDispose]();
    await one[Symbol.asyncDispose]();
    assert.equal((await mounts(parent)).length, 1);
    await directories[Symbol.asyncDispose]();

    assert.deepEqual([await mounts(parent), await readdir(parent)], [[], []]);
  });

  it("of a killed runner are unmounted by the next", async () => {
    const killed = await open("killed");
    const { path } = await killed.create("one");
    const home = path.slice(0, -"/one".length);

    await unmountBelow(home);

    assert.deepEqual(await mounts(parent), []);
    await killed[Symbol.asyncDispose]();
  });

  it("are plain ones where containers would not see them, and that is said once", async () => {
    const lines: string[] = [];
    const log = createLog({ write: (line) => void lines.push(line) });
    const hidden = { options, sees: async () => false };

    assert.equal(await openSocketTmpfs(parent, { wanted: "auto", ...hidden }, log), undefined);

    assert.match(lines.join(""), /no file systems of their own.*reason="Docker does not see what is mounted here"/);
    assert.equal(lines.length, 1);
    await assert.rejects(openSocketTmpfs(parent, { wanted: true, ...hidden }, silentLog), /FN_IOFS_TMPFS/);
    assert.equal(await openSocketTmpfs(parent, { wanted: false, ...hidden }, silentLog), undefined);
    assert.deepEqual(await readdir(parent), []);
  });
});
