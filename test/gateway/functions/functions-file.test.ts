import assert from "node:assert/strict";
import { mkdir, mkdtemp, rename, rm, symlink, unlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";

import { createLog } from "../../../core/log.ts";
import { functionsFile } from "../../../gateway/functions/functions-file.ts";

const declaring = (image: string) => `apps: [{ name: a, fns: [{ name: f, id: f, image: ${image} }] }]\n`;

/** A file on disk that is watched. */
async function watched(text = declaring("one")) {
  const directory = await mkdtemp(join(tmpdir(), "kiln-functions-"));
  const path = join(directory, "functions.yaml");
  await writeFile(path, text);
  const lines: string[] = [];
  const file = await functionsFile(path, { log: createLog({ write: (line) => void lines.push(line) }) });
  const image = async () => (await file.find("f"))?.fn.image;
  return {
    directory,
    path,
    lines,
    file,
    image,
    /** Waits, at most a second, for a change to take effect. */
    async becomes(expected: string) {
      for (let i = 0; i < 100 && (await image()) !== expected; i++) await sleep(10);
      assert.equal(await image(), expected);
    },
    async [Symbol.asyncDispose]() {
      await file[Symbol.asyncDispose]();
      await rm(directory, { recursive: true });
    },
  };
}

describe("functionsFile", () => {
  it("finds what the file declares, and nothing else", async () => {
    await using functions = await watched();

    assert.equal(await functions.image(), "one");
    assert.equal(await functions.file.find("g"), undefined);
    assert.deepEqual(
      functions.file.list().map(({ app, fn }) => `${app.name}/${fn.name}`),
      ["a/f"],
    );
    assert.equal(
      await functions.file.find("f"),
      await functions.file.find("f"),
      "the same object while nothing changes",
    );
  });

  it("follows a file that is written again", async () => {
    await using functions = await watched();

    await writeFile(functions.path, declaring("two"));
    await functions.becomes("two");
    await writeFile(functions.path, declaring("six"));
    await functions.becomes("six");
  });

  it("follows an editor that puts another file in its place", async () => {
    await using functions = await watched();

    for (const image of ["two", "six"]) {
      await writeFile(`${functions.path}~`, declaring(image));
      await rename(`${functions.path}~`, functions.path);
      await functions.becomes(image);
    }
  });

  it("follows a link to another directory, as orchestrators mount configuration", async () => {
    await using functions = await watched();
    const { directory, path } = functions;
    for (const image of ["two", "six"]) {
      await mkdir(join(directory, image));
      await writeFile(join(directory, image, "functions.yaml"), declaring(image));
      await symlink(join(image, "functions.yaml"), `${path}~`);
      await rename(`${path}~`, path);
      await functions.becomes(image);
    }
  });

  it("keeps what is in force while the file is broken or gone, and says what is wrong", async () => {
    await using functions = await watched();

    await writeFile(functions.path, "apps: [{ name: a, fnz: [] }]");
    await sleep(700);
    assert.equal(await functions.image(), "one");
    const said = functions.lines.filter((line) => line.includes("error"));
    assert.equal(said.length, 1, "it is told once");
    assert.match(said[0] ?? "", /functions\.yaml:1: apps\[0\]\.fnz is not a field/);

    await unlink(functions.path);
    await sleep(700);
    assert.equal(await functions.image(), "one");
    await writeFile(functions.path, declaring("two"));
    await functions.becomes("two");
  });

  it("leaves alone a file that is still being written", async () => {
    await using functions = await watched();
    const seen = new Set<string | undefined>();
    const until = performance.now() + 800;

    for (let i = 0; performance.now() < until; i++) {
      // Each is valid by itself, as a file cut short can be.
      await writeFile(functions.path, declaring(`part-${i}`));
      seen.add(await functions.image());
      await sleep(20);
    }
    await writeFile(functions.path, declaring("whole"));
    await functions.becomes("whole");

    assert.deepEqual([...seen], ["one"]);
  });

  it("does not start with a file that is absent or broken", async () => {
    await using functions = await watched();

    await assert.rejects(
      functionsFile(join(functions.directory, "absent.yaml")),
      /Cannot read ".*absent.yaml": ENOENT/,
    );
    await writeFile(functions.path, "apps: 7");
    await assert.rejects(functionsFile(functions.path), /functions.yaml:1: apps is 7, expected array/);
  });
});
