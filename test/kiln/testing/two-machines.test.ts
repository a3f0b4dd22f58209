import assert from "node:assert/strict";
import process from "node:process";
import { describe, it } from "node:test";

import { namespacesOrSkip } from "../../../kiln/testing/two-machines.ts";

const root = process.getuid?.() === 0;

describe("namespacesOrSkip", () => {
  it("gives a reason for a machine without the programs", async () => {
    const reason = await namespacesOrSkip({ PATH: "/nowhere" });

    assert.equal(reason, root ? "there is no ip: install iproute2" : "only root may make network namespaces");
  });

  it("is an error in CI, which must not skip in silence", { skip: !root }, async () => {
    await assert.rejects(namespacesOrSkip({ PATH: "/nowhere", CI: "true" }), /no ip, and CI is "true"/);
  });
});
