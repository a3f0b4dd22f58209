import assert from "node:assert/strict";
import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, describe, it } from "node:test";

import { README } from "../../kiln/readme-tables.ts";
import { cgroupCpuShares } from "../../kiln/testing/cgroup-cpu-shares.ts";
import { dockerOrSkip } from "../../kiln/testing/docker.ts";
import { started, type Started } from "../../kiln/testing/started.ts";

const { engine, skip } = await dockerOrSkip();

/** The TypeScript that the README shows after naming a file. */
async function shownFile(name: string): Promise<string> {
  const readme = await readFile(README, "utf8");
  const shown = readme.slice(readme.indexOf(`\`policies/${name}\``));
  const code = /```ts\n([^]*?)```/.exec(shown)?.[1];
  assert.ok(code !== undefined, `the README shows ${name}`);
  return code;
}

async function invoke({ url }: Started, fnId: string, headers: Readonly<Record<string, string>> = {}): Promise<string> {
  const response = await fetch(`${url}/invoke/${fnId}`, { method: "POST", body: "{}", headers });
  const text = await response.text();
  assert.equal(response.status, 200, text);
  return text;
}

describe("the README's walk through policies", { skip }, async () => {
  // Below policies/, as the README says, and beside what a user may have there.
  const directory = join("policies", `readme-${process.pid}`);
  await mkdir(directory, { recursive: true });
  after(() => rm(directory, { recursive: true }));

  it("brings CPU shares by plan into containers and their cgroups", async () => {
    const [overriders, hooks] = [join(directory, "my-overriders.ts"), join(directory, "my-hooks.ts")];
    await writeFile(overriders, await shownFile("my-overriders.ts"));
    await writeFile(hooks, await shownFile("my-hooks.ts"));
    await using kiln = await started(["--overriders", overriders, "--hooks", hooks]);

    await invoke(kiln, "hello", { "x-plan": "gold" });
    await invoke(kiln, "hello");

    const filters = JSON.stringify({ label: [`kiln.runner=${kiln.runnerId}`] });
    const listed = await engine.listContainers({ filters });
    const containers = await Promise.all(listed.map(({ Id }) => engine.getContainer(Id).inspect()));
    assert.deepEqual(new Set(containers.map(({ HostConfig }) => HostConfig.CpuShares)), new Set([1024, 256]));
    for (const { Id, HostConfig, State } of containers) {
      assert.equal(await cgroupCpuShares(State.Pid, Id), HostConfig.CpuShares);
    }
  });

  it("brings a key and value of either side into the environment", async () => {
    const directory = "examples/environment";
    await using kiln = await started([
      "--overriders",
      `${directory}/overriders.ts`,
      "--hooks",
      `${directory}/hooks.ts`,
    ]);

    const seen = await invoke(kiln, "probe");

    assert.match(seen, /"FN_CHEESE":"Tete de Moine"/);
    assert.match(seen, /"FN_WINE":"1982 Margaux"/);
  });
});
