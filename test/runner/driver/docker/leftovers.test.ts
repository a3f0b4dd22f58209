import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { before, describe, it, type TestContext } from "node:test";

import { silentLog } from "../../../../core/log.ts";
import { buildExampleImages } from "../../../../examples/functions/build.ts";
import { dockerOrSkip } from "../../../../kiln/testing/docker.ts";
import { engineClient } from "../../../../kiln/testing/engine-client.ts";
import { removeFormer, removeLeftovers, runningContainers } from "../../../../runner/driver/docker/leftovers.ts";

const { engine, skip } = await dockerOrSkip();

const installation = { id: `tests-${randomBytes(6).toString("hex")}`, runnerId: "r1", bootId: "now" };
const own = { ...engineClient(engine), installation, log: silentLog };

async function container(t: TestContext, labels: Record<string, string>, start = false): Promise<string> {
  const made = await engine.createContainer({
    Image: "kiln-example-hello:latest",
    Labels: labels,
    Entrypoint: ["node", "-e", "setInterval(() => {}, 1000)"],
    HostConfig: { NetworkMode: "none", LogConfig: { Type: "none", Config: {} } },
  });
  t.after(() => made.remove({ force: true, v: true }).catch(() => {}));
  if (start) await made.start();
  return made.id;
}

function labels(changes: { id?: string; runnerId?: string; bootId?: string } = {}): Record<string, string> {
  const { id, runnerId, bootId } = { ...installation, ...changes };
  return { "kiln.installation": id, "kiln.runner": runnerId, "kiln.boot": bootId };
}

const isThere = (id: string) =>
  engine
    .getContainer(id)
    .inspect()
    .then(
      () => true,
      () => false,
    );

describe("removeLeftovers", { skip, timeout: 60_000 }, () => {
  before(async () => void (await buildExampleImages(engine, ["hello"])));

  it("removes what this runner's earlier runs left, running or not", async (t) => {
    const running = await container(t, labels({ bootId: "before" }), true);
    const created = await container(t, labels({ bootId: "long before" }));

    const removed = await removeLeftovers(own);

    assert.equal(removed, 2);
    assert.deepEqual([await isThere(running), await isThere(created)], [false, false]);
  });

  it("touches nothing else", async (t) => {
    const { "kiln.boot": _boot, ...withoutBoot } = labels();
    const others = [
      await container(t, labels()),
      await container(t, labels({ runnerId: "r2", bootId: "before" })),
      await container(t, labels({ id: "another-installation", bootId: "before" })),
      await container(t, withoutBoot),
      await container(t, { "kiln.boot": "before" }),
      await container(t, {}),
    ];

    assert.equal(await removeLeftovers(own), 0);

    for (const id of others) assert.equal(await isThere(id), true);
  });
});

describe("runningContainers", { skip, timeout: 60_000 }, () => {
  it("are those that have not ended: Docker may say later of one that it is started", async (t) => {
    const started = await container(t, labels(), true);
    const created = await container(t, labels());
    const ended = await container(t, labels(), true);
    await engine.getContainer(ended).kill();
    await container(t, labels({ runnerId: "r2" }));

    assert.deepEqual(await runningContainers(own), new Set([started, created]));
  });
});

describe("removeFormer", { skip, timeout: 60_000 }, () => {
  const service = "r";
  const as = (runnerId: string) => ({ ...labels({ runnerId, bootId: "before" }), "kiln.service": service });

  it("removes what workers left that are none now and do not live, whoever else has such a name", async (t) => {
    const alone = await container(t, as("r"), true);
    const third = await container(t, as("r-3"));
    const others = [
      await container(t, as("r-1")),
      await container(t, as("r-4")),
      await container(t, labels({ runnerId: "r-3", bootId: "before" })),
      await container(t, { ...as("r-3"), "kiln.installation": "another-installation" }),
    ];
    const claimed: string[] = [];

    const removed = await removeFormer(
      { ...own, installation: { ...installation, service, runnerId: "r-1" } },
      {
        has: (runnerId) => !["r-1", "r-2"].includes(runnerId),
        async claim(runnerId) {
          if (runnerId === "r-4") return undefined;
          const claim = new AsyncDisposableStack();
          claim.defer(() => void claimed.push(runnerId));
          return claim;
        },
      },
    );

    assert.equal(removed, 2);
    assert.deepEqual(claimed.sort(), ["r", "r-3"], "each is given back");
    assert.deepEqual([await isThere(alone), await isThere(third)], [false, false]);
    for (const id of others) assert.equal(await isThere(id), true);
  });
});
