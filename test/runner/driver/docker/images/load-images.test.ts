import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { createWriteStream } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { text } from "node:stream/consumers";
import { pipeline } from "node:stream/promises";
import { describe, it, type TestContext } from "node:test";

import { pack } from "tar-stream";

import { dockerOrSkip } from "../../../../../kiln/testing/docker.ts";
import { loadImages } from "../../../../../runner/driver/docker/images/load-images.ts";

const { engine, skip } = await dockerOrSkip();

async function folder(t: TestContext): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), "kiln-load-"));
  t.after(() => rm(directory, { recursive: true }));
  return directory;
}

describe("loadImages", { skip, timeout: 60_000 }, () => {
  it("loads what docker save wrote, and says which images that are", async (t) => {
    const [repo, tag] = ["kiln-test-load", randomBytes(6).toString("hex")];
    const name = `${repo}:${tag}`;
    const layer = pack();
    layer.entry({ name: "cheese" }, tag);
    layer.finalize();
    await text(await engine.importImage(Readable.from(layer), { repo, tag }));
    const { Id } = await engine.getImage(name).inspect();
    const file = join(await folder(t), "images.tar");
    await pipeline(await engine.getImage(name).get(), createWriteStream(file));
    await engine.getImage(name).remove();

    const loaded = await loadImages(engine, file);

    t.after(() => engine.getImage(name).remove());
    assert.deepEqual([...loaded.ids], [Id]);
    assert.deepEqual(loaded.names, [name]);
  });

  it("says what is wrong with the file, in a sentence that names it and the setting", async (t) => {
    const directory = await folder(t);
    await writeFile(join(directory, "cheese.txt"), "no tar");
    const refused = (file: string, why: RegExp) =>
      assert.rejects(loadImages(engine, join(directory, file)), (error) => {
        assert.ok(error instanceof Error);
        assert.match(error.message, /^Cannot load images from ".*" \(FN_DOCKER_LOAD_FILE\): /);
        assert.match(error.message, why);
        return true;
      });

    await refused("nothing.tar", /ENOENT/);
    await refused("cheese.txt", /: .+$/);
  });
});
