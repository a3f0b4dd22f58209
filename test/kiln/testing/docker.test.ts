import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { dockerOrSkip } from "../../../kiln/testing/docker.ts";

const DOCKER_HOST = "unix:///nowhere/docker.sock";

describe("dockerOrSkip", () => {
  it("says why tests with Docker cannot run", async () => {
    const { skip } = await dockerOrSkip({ DOCKER_HOST });

    assert.equal(skip, "no Docker daemon answers at unix:///nowhere/docker.sock");
  });

  it("fails in CI, where they have to", async () => {
    await assert.rejects(dockerOrSkip({ DOCKER_HOST, CI: "true" }), /Cannot test with Docker: .*CI is "true"/);
  });
});
