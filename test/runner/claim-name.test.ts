import assert from "node:assert/strict";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";

import { claimName, type RunnerName } from "../../runner/claim-name.ts";
import { socketDirectories } from "../../runner/hot/socket-directory.ts";

const name = {
  installation: `tests-${process.pid}`,
  runnerId: "one",
  service: "one",
  worker: 0,
  host: "unix:///var/run/docker.sock",
};
const taken = { message: /^Cannot start: another runner "one" of installation "tests-\d+" .*, FN_RUNNER_ID$/ };

describe("claimName", () => {
  let parent: string;
  let boots = 0;
  before(async () => void (parent = await mkdtemp(join(tmpdir(), "kiln-t-"))));
  after(() => rm(parent, { recursive: true }));

  const open = () => socketDirectories({ parent, installation: name.installation, bootId: `boot-${(boots += 1)}` });
  /** Without a look at the directories, which are of one installation here. */
  const alone = async () => ({ ...(await open()), hasLivingPeer: async () => false });
  const claimed = async (as: RunnerName, how: () => ReturnType<typeof open> = open): Promise<AsyncDisposable> => {
    const { claimed: its, directories } = await claimName(as, how);
    const both = new AsyncDisposableStack();
    both.use(its);
    both.use(directories);
    return both;
  };

  it("lets one living runner have a name, installation and Docker, and the next one after it", async () => {
    const first = await claimed(name, alone);

    await assert.rejects(claimed(name, alone), taken);

    await using _otherId = await claimed({ ...name, runnerId: "two" }, alone);
    await using _otherDocker = await claimed({ ...name, host: "unix:///elsewhere" }, alone);
    await using _otherInstallation = await claimed({ ...name, installation: "elsewhere" }, alone);
    await first[Symbol.asyncDispose]();
    await using _next = await claimed(name, alone);
  });

  it("lets one of several have it that start together", async () => {
    const starts = await Promise.allSettled([1, 2, 3].map(() => claimed(name)));

    const [won, ...more] = starts.flatMap((start) => (start.status === "fulfilled" ? [start.value] : []));
    assert.ok(won !== undefined && more.length === 0);
    assert.equal((await readdir(parent)).length, 1, "the others made no directories");
    await won[Symbol.asyncDispose]();
  });

  it("finds one in another network namespace by its socket directories, and keeps nothing then", async () => {
    const elsewhere = await open();
    await assert.rejects(claimed(name), taken);
    assert.equal((await readdir(parent)).length, 1);
    await elsewhere[Symbol.asyncDispose]();

    await using _next = await claimed(name);
  });
});
