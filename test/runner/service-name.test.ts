import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { claimAlone } from "../../runner/claim-name.ts";
import { formerRunners, serviceOf, workerId } from "../../runner/service-name.ts";

const host = "unix:///var/run/docker.sock";
const name = { installation: `tests-${process.pid}`, service: "r-9", worker: 1, runnerId: "r-9-1", host };
const alone = { hasLivingPeer: () => Promise.resolve(false) };

describe("formerRunners", () => {
  it("are all that the service was made of and is not now", () => {
    const ids = [0, 1, 2, 3, 64].map((worker) => workerId("r-9", worker));
    assert.deepEqual(ids, ["r-9", "r-9-1", "r-9-2", "r-9-3", "r-9-64"]);
    assert.deepEqual([serviceOf("r-9", 0), serviceOf("r-9-64", 64)], ["r-9", "r-9"]);

    const formerOf = (workers: number) => ids.filter(formerRunners(name, workers, alone).has);

    assert.deepEqual(formerOf(2), ["r-9", "r-9-3", "r-9-64"]);
    assert.deepEqual(formerOf(1), ["r-9-1", "r-9-2", "r-9-3", "r-9-64"]);
  });

  it("are claimed only where they do not live", async () => {
    const peers = { hasLivingPeer: (worker?: number) => Promise.resolve(worker === 4) };
    const former = formerRunners(name, 2, peers);
    await using _living = await claimAlone({ ...name, worker: 3, runnerId: "r-9-3" });

    assert.equal(await former.claim("r-9-3"), undefined, "it has its name");
    assert.equal(await former.claim("r-9-4"), undefined, "it has its directories");
    await using _dead = await former.claim("r-9-5");
    assert.ok(_dead !== undefined);
    assert.equal(await former.claim("r-9-5"), undefined);
  });
});
