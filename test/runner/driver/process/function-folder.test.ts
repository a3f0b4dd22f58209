import assert from "node:assert/strict";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";

import { readFunctionFolder } from "../../../../runner/driver/process/function-folder.ts";

let directory = "";
before(async () => {
  directory = await mkdtemp(join(tmpdir(), "kiln-functions-"));
  await write("hello", "entrypoint: node func.js\n");
  await write("with-cmd", 'entrypoint: "  node  --flag "\ncmd: func.js now\n');
  await write("no-entrypoint", "name: none\n");
  await write("blank", 'entrypoint: " "\n');
  await write("broken", "entrypoint: [\n");
  // What would be found, were it possible to lead out of the directory.
  await writeFile(join(directory, "func.yaml"), "entrypoint: node func.js\n");
});
after(() => rm(directory, { recursive: true }));

async function write(name: string, text: string): Promise<void> {
  await mkdir(join(directory, name));
  await writeFile(join(directory, name, "func.yaml"), text);
}

describe("readFunctionFolder", () => {
  for (const image of [
    "hello",
    "hello:latest",
    "kiln-example-hello",
    "kiln-example-hello:0.0.1",
    "team/hello",
    "registry.example:5000/team/hello:1",
    `ghcr.io/team/hello@sha256:${"a".repeat(64)}`,
    `localhost:5000/hello:1@sha256:${"a".repeat(64)}`,
  ]) {
    it(`finds the folder of ${image.slice(0, 60)}`, () => {
      const folder = readFunctionFolder(directory, image);

      assert.deepEqual(folder, { path: join(directory, "hello"), command: ["node", "func.js"] });
    });
  }

  it("adds the words of cmd to those of the entrypoint, as Fn does", () => {
    assert.deepEqual(readFunctionFolder(directory, "with-cmd").command, ["node", "--flag", "func.js", "now"]);
  });

  for (const image of ["", ".", "..", "hello/..", "hello/.", "a/", "/", "kiln-example-", ".hidden", "Hello"]) {
    it(`refuses ${JSON.stringify(image)} without a look at the disk`, () => {
      assert.throws(() => readFunctionFolder(directory, image), {
        code: "image_unknown",
        message: `Image ${JSON.stringify(image)} not found: it is not the name of an image`,
      });
    });
  }

  it("takes the last part of a name alone, whatever comes before it", () => {
    assert.equal(readFunctionFolder(directory, "../../hello").path, join(directory, "hello"));
  });

  it("names the file it looked for", () => {
    assert.throws(
      () => readFunctionFolder(directory, "team/nobody:1"),
      (error: Error) => {
        assert.ok(error.message.includes(`${join(directory, "nobody", "func.yaml")} cannot be read`), error.message);
        return "code" in error && error.code === "image_unknown";
      },
    );
  });

  for (const image of ["no-entrypoint", "blank", "broken"]) {
    it(`says what is missing in the func.yaml that is ${image}`, () => {
      assert.throws(() => readFunctionFolder(directory, image), {
        code: "image_unknown",
        message: /func\.yaml has no entrypoint, expected one such as "node func\.js"$/,
      });
    });
  }
});
