import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdir, mkdtemp, rename, rm, symlink, writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";

import { eventually } from "../../../kiln/testing/eventually.ts";
import { VirtualClock } from "../../../kiln/testing/virtual-clock.ts";
import { watchSocket } from "../../../runner/hot/socket-ready.ts";

let directory = "";
let held = new AsyncDisposableStack();

beforeEach(async () => {
  held = new AsyncDisposableStack();
  directory = await mkdtemp(join(tmpdir(), "kiln-ready-"));
  held.defer(() => rm(directory, { recursive: true }));
});
afterEach(() => held.disposeAsync());

const at = (name: string) => join(directory, name);

async function listen(name: string): Promise<void> {
  const server: Server = held.use(createServer());
  await once(server.listen(at(name)), "listening");
}

/** What a function may have put in place, and what is said about it; nothing for what is accepted. */
const rows: Record<string, { make(): Promise<void>; found?: RegExp }> = {
  "a socket": { make: () => listen("lsnr.sock") },
  "a link to a socket by its bare name": {
    async make() {
      await listen("lsnr.sock.tmp");
      await symlink("lsnr.sock.tmp", at("lsnr.sock"));
    },
  },
  "a plain file": { make: () => writeFile(at("lsnr.sock"), ""), found: /is a plain file;/ },
  "a directory": {
    async make() {
      await mkdir(at("lsnr.sock"));
    },
    found: /is a directory;/,
  },
  "a link to nothing": {
    make: () => symlink("nobody.sock", at("lsnr.sock")),
    found: /is a link to "nobody\.sock", and that is nothing;/,
  },
  "a link to a plain file": {
    async make() {
      await writeFile(at("plain"), "");
      await symlink("plain", at("lsnr.sock"));
    },
    found: /is a link to "plain", and that is a plain file;/,
  },
  "a link to a link to a socket": {
    async make() {
      await listen("real.sock");
      await symlink("real.sock", at("middle"));
      await symlink("middle", at("lsnr.sock"));
    },
    found: /is a link to "middle", and that is a link;/,
  },
  "an absolute link to a socket": {
    async make() {
      await listen("real.sock");
      await symlink(at("real.sock"), at("lsnr.sock"));
    },
    found: /is a link to "\/.*real\.sock";/,
  },
  "a link with a path to a socket": {
    async make() {
      await mkdir(at("below"));
      await listen("below/real.sock");
      await symlink("below/real.sock", at("lsnr.sock"));
    },
    found: /is a link to "below\/real\.sock";/,
  },
  "a link through the parent": {
    async make() {
      await symlink("../other.sock", at("lsnr.sock"));
    },
    found: /is a link to "\.\.\/other\.sock";/,
  },
};

describe("watchSocket", () => {
  for (const [what, { make, found }] of Object.entries(rows)) {
    const verdict = found === undefined ? "takes" : "refuses";

    it(`${verdict} ${what} that was there before it looked`, async () => {
      using watch = watchSocket(directory);
      await make();

      await expectVerdict(watch.ready(AbortSignal.timeout(5_000)), found);
    });

    it(`${verdict} ${what} that appears while it waits`, async () => {
      // A clock that stands still: nothing but the watch can tell.
      using watch = watchSocket(directory, new VirtualClock());
      const ready = expectVerdict(watch.ready(AbortSignal.timeout(5_000)), found);
      await sleep(10);

      await make();

      await ready;
    });
  }

  it("waits on while only other names come and go", async () => {
    using watch = watchSocket(directory);
    const stop = new AbortController();
    const ready = watch.ready(stop.signal);
    await listen("lsnr.sock.tmp");
    await writeFile(at("other"), "");
    await sleep(20);

    stop.abort(new Error("enough"));

    await assert.rejects(ready, /enough/);
  });

  it("waits for a socket that is bound until somebody listens on it", async () => {
    const server = createServer();
    await once(server.listen(at("first.sock")), "listening");
    // Closing removes the name it was bound to: under another one the socket stays, and nobody listens.
    await rename(at("first.sock"), at("lsnr.sock"));
    await new Promise((resolve) => server.close(resolve));
    using watch = watchSocket(directory);
    let listens = false;
    const ready = watch.ready(AbortSignal.timeout(5_000)).then((path) => [path, listens]);
    await sleep(100);

    await rm(at("lsnr.sock"));
    listens = true;
    await listen("lsnr.sock");

    assert.deepEqual(await ready, [at("lsnr.sock"), true]);
  });

  it("rejects at once with the reason of a signal that is aborted already", async () => {
    using watch = watchSocket(directory);
    await listen("lsnr.sock");

    await assert.rejects(watch.ready(AbortSignal.abort(new Error("too late"))), /too late/);
  });

  it("finds a socket that no watch told it of", async () => {
    const watch = watchSocket(directory);
    watch[Symbol.dispose]();
    const ready = watch.ready(AbortSignal.timeout(5_000));
    // Timers of the clock do not keep a process alive, and now there is no watch that does.
    await Promise.all([sleep(10).then(() => listen("lsnr.sock")), sleep(200)]);

    assert.equal(await ready, at("lsnr.sock"));
  });

  it("leaves no watch behind", async () => {
    const watches = () => process.getActiveResourcesInfo().filter((name) => name === "FSEventWrap").length;
    const before = watches();
    const watch = watchSocket(directory);
    await assert.rejects(watch.ready(AbortSignal.timeout(5)));

    watch[Symbol.dispose]();

    await eventually(() => assert.equal(watches(), before));
  });
});

async function expectVerdict(ready: Promise<string>, found: RegExp | undefined): Promise<void> {
  if (found === undefined) return assert.equal(await ready, at("lsnr.sock"));
  await assert.rejects(ready, { name: "CallError", code: "container_init_failed", message: found });
}
