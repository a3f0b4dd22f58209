import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before, describe, it } from "node:test";

import { createLog, silentLog } from "../../../core/log.ts";
import { eventually } from "../../../kiln/testing/eventually.ts";
import { VirtualClock } from "../../../kiln/testing/virtual-clock.ts";
import { findNode } from "../../../runner/driver/process/find-node.ts";
import { socketDirectories } from "../../../runner/hot/socket-directory.ts";
import { openSocketTmpfs } from "../../../runner/hot/socket-tmpfs.ts";

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
    await using one = await directories.create();
    await using other = await directories.create();

    await assert.rejects(writeFile(join(one.path, "big"), Buffer.alloc(128 * 1_024)), { code: "ENOSPC" });
    const many = async () => {
      for (let n = 0; n < 20; n++) await writeFile(join(one.path, `file-${n}`), "");
    };
    await assert.rejects(many(), { code: "ENOSPC" });

    await writeFile(join(other.path, "small"), Buffer.alloc(32 * 1_024));
    assert.match((await mounts(dirname(one.path)))[0] ?? "", /nosuid,nodev,noexec/);
  });

  it("are unmounted with their container, however often that is asked for, and with their runner", async () => {
    const directories = await open("boot");
    const one = await directories.create();
    await directories.create();

    await one[Symbol.asyncDispose]();
    await one[Symbol.asyncDispose]();
    assert.equal((await mounts(parent)).length, 1);
    await directories[Symbol.asyncDispose]();

    assert.deepEqual([await mounts(parent), await readdir(parent)], [[], []]);
  });

  it("are mounted ahead, and unmounted with their runner too", async () => {
    const clock = new VirtualClock();
    const tmpfs = { wanted: true, options, sees: seen };
    const directories = await socketDirectories({
      parent,
      installation: "here",
      bootId: "boot",
      tmpfs,
      spare: 2,
      clock,
    });
    const spare = async (count: number) => {
      clock.advance(1_000);
      await eventually(async () => assert.equal((await mounts(parent)).length, count));
      return (await mounts(parent)).join("");
    };
    const ahead = await spare(2);

    const one = await directories.create();
    assert.ok(ahead.includes(` ${one.path} `));
    await spare(3);
    await one[Symbol.asyncDispose]();
    assert.equal((await mounts(parent)).length, 2);
    await directories[Symbol.asyncDispose]();

    assert.deepEqual([await mounts(parent), await readdir(parent)], [[], []]);
  });

  it("of a killed runner are unmounted by the next, in use or not", async () => {
    await killedWith(parent, 3);
    assert.equal((await mounts(parent)).length, 3);

    await using _next = await open("next");

    assert.deepEqual(await mounts(parent), []);
    assert.equal((await readdir(parent)).length, 1);
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

/** A runner with a container, so many file systems in all, that is killed. */
async function killedWith(parent: string, count: number): Promise<void> {
  const module = import.meta.resolve("../../../runner/hot/socket-directory.ts");
  const script = `
    import { readFileSync } from "node:fs";
    const { socketDirectories } = await import(${JSON.stringify(module)});
    const tmpfs = { wanted: true, options: "${options}", sees: async () => true };
    const clock = { after: (ms, task) => (setImmediate(task), () => {}) };
    const options = { parent: ${JSON.stringify(parent)}, installation: "here", bootId: "killed", tmpfs, clock };
    await (await socketDirectories({ ...options, spare: ${count - 1} })).create();
    const mounted = () => readFileSync("/proc/self/mountinfo", "utf8").split(${JSON.stringify(` ${parent}/`)}).length - 1;
    setInterval(() => { if (mounted() === ${count}) process.stdout.write("ready"); }, 5);
  `;
  const runner = spawn(findNode(), ["--input-type=module", "-e", script], { stdio: ["ignore", "pipe", "inherit"] });
  await once(runner.stdout, "data");
  runner.kill("SIGKILL");
  await once(runner, "close");
}
