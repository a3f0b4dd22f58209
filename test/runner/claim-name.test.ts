import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { claimName } from "../../runner/claim-name.ts";

const alone = { hasLivingPeer: async () => false };
const name = { installation: `tests-${process.pid}`, runnerId: "one", host: "unix:///var/run/docker.sock" };
const taken = { message: /^Cannot start: another runner "one" of installation "tests-\d+" .*, FN_RUNNER_ID$/ };

describe("claimName", () => {
  it("lets one living runner have a name, installation and Docker, and the next one after it", async () => {
    const first = await claimName(name, alone);

    await assert.rejects(claimName(name, alone), taken);

    await using _otherId = await claimName({ ...name, runnerId: "two" }, alone);
    await using _otherDocker = await claimName({ ...name, host: "unix:///elsewhere" }, alone);
    await using _otherInstallation = await claimName({ ...name, installation: "elsewhere" }, alone);
    await first[Symbol.asyncDispose]();
    await using _next = await claimName(name, alone);
  });

  it("finds one in another network namespace by its socket directories, and keeps nothing then", async () => {
    await assert.rejects(claimName(name, { hasLivingPeer: async () => true }), taken);

    await using _next = await claimName(name, alone);
  });
});
