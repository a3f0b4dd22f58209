import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { Readable } from "node:stream";
import { text } from "node:stream/consumers";
import { describe, it, type TestContext } from "node:test";

import { pack } from "tar-stream";

import { silentLog } from "../../../../../core/log.ts";
import { dockerOrSkip } from "../../../../../kiln/testing/docker.ts";
import { engineClient } from "../../../../../kiln/testing/engine-client.ts";
import { eventually } from "../../../../../kiln/testing/eventually.ts";
import { VirtualClock } from "../../../../../kiln/testing/virtual-clock.ts";
import type { Docker } from "../../../../../runner/driver/docker/engine.ts";
import { startImageCleaner } from "../../../../../runner/driver/docker/images/image-cleaner.ts";

const { engine, skip } = await dockerOrSkip();
const KIB = 1_024;

/** Three images of 512 KiB each, the oldest first. */
async function threeImages(t: TestContext): Promise<readonly string[]> {
  const names: string[] = [];
  for (const zoo of ["zoo1", "zoo2", "zoo3"]) {
    const [repo, tag] = [`kiln-test-${zoo}`, randomBytes(6).toString("hex")];
    const layer = pack();
    layer.entry({ name: "animal" }, randomBytes(512 * KIB));
    layer.finalize();
    await text(await engine.importImage(Readable.from(layer), { repo, tag }));
    names.push(`${repo}:${tag}`);
  }
  t.after(() => Promise.allSettled(names.map((name) => engine.getImage(name).remove())));
  return names;
}

/** An engine that knows of these images alone, as they are then: the machine's others are not the test's to remove. */
function seeingOnly(names: readonly string[]): Docker {
  const seeing = Object.create(engine) as Docker;
  seeing.listImages = async () => {
    const all = await engine.listImages();
    return names.flatMap((name) => all.filter(({ RepoTags }) => RepoTags?.includes(name)));
  };
  return seeing;
}

const there = async (names: readonly string[]) => {
  const looked = names.map((name) => engine.getImage(name).inspect());
  return (await Promise.allSettled(looked)).map(({ status }) => status === "fulfilled");
};

describe("startImageCleaner", { skip, timeout: 60_000 }, () => {
  it("removes the oldest until there is room, and none in use or exempt (Fn's TestImageCleaner1 and 2)", async (t) => {
    const names = await threeImages(t);
    const { Id: id } = await engine.getImage(names[0] ?? "").inspect();
    const options = { maxBytes: 1_024 * KIB, exemptTags: [] };
    await using cleaner = startImageCleaner(options, { ...engineClient(seeingOnly(names)), log: silentLog });
    const held = cleaner.hold({ id, tags: names.slice(0, 1), bytes: 512 * KIB });

    await eventually(async () => assert.deepEqual(await there(names), [true, false, false]));
    assert.deepEqual(await there(names), [true, false, false], "the one in use stays, though it is the oldest");
    held[Symbol.dispose]();
  });

  it("leaves exempt images alone", async (t) => {
    const names = await threeImages(t);
    const options = { maxBytes: 512 * KIB, exemptTags: names.slice(0, 2) };
    await using _cleaner = startImageCleaner(options, {
      ...engineClient(seeingOnly(names)),
      log: silentLog,
    });

    await eventually(async () => assert.deepEqual(await there(names), [true, true, false]));
  });

  it("counts what others bring, and takes a container of theirs for a use, but no look", async (t) => {
    const names = await threeImages(t);
    const [first = "", second = "", third = ""] = names;
    const seen = [first, second];
    const docker = seeingOnly(seen);
    let looks = 0;
    docker.listContainers = async (options?: object) => {
      const containers = await engine.listContainers(options);
      looks += 1;
      return containers;
    };
    const clock = new VirtualClock();
    const options = { maxBytes: 1_536 * KIB, exemptTags: [] };
    await using _cleaner = startImageCleaner(options, { ...engineClient(docker), clock, log: silentLog });
    // One timer, for the next look: a request's own is gone with its answer.
    await eventually(() => assert.deepEqual([looks, clock.pending], [1, 1]));
    await using theirs = new AsyncDisposableStack();
    const container = await engine.createContainer({ Image: first, Cmd: ["/animal"] });
    theirs.defer(async () => void (await container.remove()));

    seen.splice(0, 2, third, second, first);
    await clock.run(60_000);

    await eventually(async () => assert.deepEqual(await there(names), [true, false, true]));
  });

  it("removes the image and not the one that has its name by now", async (t) => {
    const [old = "", used = ""] = await threeImages(t);
    const { Id: oldId } = await engine.getImage(old).inspect();
    const { Id: usedId } = await engine.getImage(used).inspect();
    const docker = seeingOnly([old]);
    const listed = await docker.listImages();
    docker.listImages = () => Promise.resolve(listed);
    const [repo = "", tag = ""] = old.split(":");
    await engine.getImage(used).tag({ repo, tag });
    const options = { maxBytes: 768 * KIB, exemptTags: [] };
    await using cleaner = startImageCleaner(options, { ...engineClient(docker), log: silentLog });

    using _held = cleaner.hold({ id: usedId, tags: [used], bytes: 512 * KIB });

    await eventually(async () => assert.deepEqual(await there([oldId]), [false]));
    assert.deepEqual(await there([old, used]), [true, true]);
  });
});
