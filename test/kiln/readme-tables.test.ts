import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { describe, it } from "node:test";

import { README, withTables } from "../../kiln/readme-tables.ts";

describe("the README", () => {
  it("has the tables of settings and error codes as the code has them (npm run docs writes them)", async () => {
    const text = await readFile(README, "utf8");

    assert.equal(text, withTables(text));
  });

  it("is told when a table has no place in it", () => {
    assert.throws(() => withTables("nothing"), /"gateway settings"/);
  });
});
