import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, readdir, rm, stat, symlink, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { afterEach, beforeEach, describe, it } from "node:test";

import { findNode } from "../../../runner/driver/process/find-node.ts";
import { socketDirectories } from "../../../runner/hot/socket-directory.ts";

let parent = "";
let held = new AsyncDisposableStack();

beforeEach(async () => {
  held = new AsyncDisposableStack();
  parent = await mkdtemp(join(tmpdir(), "kiln-dirs-"));
  held.defer(() => rm(parent, { recursive: true }));
});
afterEach(() => held.disposeAsync());

const open = async (bootId: string, installation = "here", worker = 0) =>
  held.use(await socketDirectories({ parent, installation, worker, bootId }));

describe("socketDirectories", () => {
  it("makes a directory that any user can bind in, whatever the umask", async () => {
    const umask = process.umask(0o077);
    held.defer(() => void process.umask(umask));
    const directories = await open("boot");

    const { path } = await directories.create();

    assert.equal((await stat(path)).mode & 0o777, 0o777);
    assert.equal((await stat(dirname(path))).mode & 0o777, 0o711);
    assert.equal(dirname(dirname(path)), parent);
  });

  it("removes a container's directory with all that is in it, and only that", async () => {
    const directories = await open("boot");
    const other = await directories.create();
    const directory = await directories.create();
    await mkdir(join(directory.path, "deep/er"), { recursive: true });
    await writeFile(join(directory.path, "deep/er/file"), "x");

    await directory[Symbol.asyncDispose]();
    await directory[Symbol.asyncDispose]();

    assert.deepEqual((await readdir(dirname(other.path))).sort(), [other.id, "owner.sock"]);
  });

  it("removes everything of its own in the end", async () => {
    const directories = await open("boot");
    await directories.create();

    await directories[Symbol.asyncDispose]();
    await directories[Symbol.asyncDispose]();

    assert.deepEqual(await readdir(parent), []);
  });

  it("removes what a dead runner of its installation left, whichever of its workers that was", async () => {
    await leaveBehind("here");

    await open("later", "here", 2);

    assert.equal((await readdir(parent)).length, 1);
  });

  it("tells living workers of an installation apart", async () => {
    const [first, second] = [await open("boot", "here", 1), await open("boot", "here", 2)];

    assert.deepEqual([await first.hasLivingPeer(), await second.hasLivingPeer()], [false, false]);
    assert.deepEqual([await first.hasLivingPeer(2), await first.hasLivingPeer(3)], [true, false]);
  });

  it("leaves living runners alone, and knows of them", async () => {
    await leaveBehind("here");
    const living = await open("first");
    const { path } = await living.create();
    await open("other", "elsewhere");
    assert.equal(await living.hasLivingPeer(), false);

    const second = await open("second");

    assert.ok((await stat(path)).isDirectory());
    assert.deepEqual([await living.hasLivingPeer(), await second.hasLivingPeer()], [true, true]);
  });

  it("leaves dead runners of other installations alone", async () => {
    await leaveBehind("elsewhere");

    await open("later");

    assert.equal((await readdir(parent)).length, 2);
  });

  it("leaves alone what only has the name of a dead runner's directory", async () => {
    await leaveBehind("elsewhere");
    const [elsewhere = ""] = await readdir(parent);
    await leaveBehind("here");
    const home = (await readdir(parent)).find((name) => name !== elsewhere) ?? "";
    const prefix = home.slice(0, home.lastIndexOf("-") + 1);
    await symlink(elsewhere, join(parent, `${prefix}link`));
    await mkdir(join(parent, `${prefix}directory`));
    await writeFile(join(parent, `${prefix}file`), "");

    const later = await open("later");

    const own = basename(dirname((await later.create()).path));
    const kept = [elsewhere, own, `${prefix}link`, `${prefix}directory`, `${prefix}file`];
    assert.deepEqual((await readdir(parent)).sort(), kept.sort());
    assert.equal((await readdir(join(parent, elsewhere))).length, 2);
  });

  it("refuses a second runner of the same boot and leaves the first alone", async () => {
    const first = await open("boot");

    await assert.rejects(open("boot"), /Cannot make socket directories in ".*" \(FN_IOFS_PATH\)/);

    assert.ok((await first.create()).path);
    assert.equal((await readdir(parent)).length, 1);
  });

  it("refuses a parent that is not there", async () => {
    const missing = socketDirectories({ parent: join(parent, "missing"), installation: "here", bootId: "boot" });

    await assert.rejects(missing, /Cannot make socket directories in ".*missing" \(FN_IOFS_PATH\): expected/);
  });

  it("refuses a parent too long for a socket's path, and takes the longest it says", async () => {
    const deep = join(parent, "x".repeat(100));
    const refusal = await socketDirectories({ parent: deep, installation: "here", bootId: "boot" }).then(
      () => "taken",
      (error: Error) => error.message,
    );
    const most = Number(/\(FN_IOFS_PATH\).* must have at most (\d+)$/.exec(refusal)?.[1]);
    const longest = join(parent, "x".repeat(most - parent.length - 1));
    await mkdir(longest);

    const directories = held.use(await socketDirectories({ parent: longest, installation: "here", bootId: "boot" }));

    const { path } = await directories.create();
    const server = held.use(createServer());
    await once(server.listen(join(path, "phonylsnr.sock")), "listening");
    assert.ok((await stat(join(path, "phonylsnr.sock"))).isSocket());
  });

  it("names each as nobody can guess, and as a container may be named", async () => {
    const directories = await open("boot");

    const [one, other] = [await directories.create(), await directories.create()];

    assert.match(one.id, /^kiln-[0-9a-f]{16}$/);
    assert.equal(basename(one.path), one.id);
    assert.notEqual(one.id, other.id);
  });
});

/** A runner that is killed with a container's directory full. */
async function leaveBehind(installation: string): Promise<void> {
  const module = import.meta.resolve("../../../runner/hot/socket-directory.ts");
  const script = `
    import { writeFileSync } from "node:fs";
    const { socketDirectories } = await import(${JSON.stringify(module)});
    const options = { parent: ${JSON.stringify(parent)}, installation: "${installation}", bootId: "dead" };
    const { path } = await (await socketDirectories(options)).create();
    writeFileSync(path + "/file", "");
    process.stdout.write("ready");
    setInterval(() => {}, 1_000);
  `;
  const runner = spawn(findNode(), ["--input-type=module", "-e", script], { stdio: ["ignore", "pipe", "inherit"] });
  await once(runner.stdout, "data");
  runner.kill("SIGKILL");
  await once(runner, "close");
}
