import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";

import { buildExampleImages } from "../../../examples/functions/build.ts";
import { callFor } from "../../../kiln/testing/call-for.ts";
import { dockerOrSkip } from "../../../kiln/testing/docker.ts";
import { offerTo } from "../../../kiln/testing/offer.ts";
import { systemRunner } from "../../../kiln/testing/system-runner.ts";

const { engine, skip } = await dockerOrSkip();

const PROBE = "kiln-example-probe:latest";
const OTHER_NAME = `kiln-status-test-${process.pid}`;

describe("a status image in Docker", { skip, timeout: 120_000 }, () => {
  before(async () => {
    await buildExampleImages(engine, ["probe", "hello"]);
    await engine.getImage(PROBE).tag({ repo: OTHER_NAME, tag: "another" });
  });
  after(async () => {
    await engine.getImage(`${OTHER_NAME}:another`).remove();
  });

  const check = (runner: Awaited<ReturnType<typeof systemRunner>>, body: object) =>
    runner.check(Buffer.from(JSON.stringify(body)), AbortSignal.timeout(60_000));

  it("cannot be run by users under any of its names, its id among them", async () => {
    await using runner = await systemRunner("status-names", { docker: engine, status: { image: PROBE } });
    const { Id } = await engine.getImage(PROBE).inspect();

    const names = [PROBE, "kiln-example-probe", "docker.io/library/kiln-example-probe:latest", `${OTHER_NAME}:another`];
    for (const image of [...names, Id, Id.slice("sha256:".length, "sha256:".length + 12)]) {
      const { finish, refused } = await offerTo(runner, callFor(image)).outcome;
      assert.ok(finish?.ok === false, `${image}: ${refused?.reason.message}`);
      assert.equal(finish.code, "image_reserved", `${image}: ${finish.message}`);
    }
    const own = await check(runner, {});
    assert.equal(own?.failure, undefined, own?.failure?.message);
  });

  it("has no network while the barrier's file is missing, though a container with one was just used", async (t) => {
    const directory = await mkdtemp(join(tmpdir(), "kiln-barrier-"));
    t.after(() => rm(directory, { recursive: true }));
    const networkBarrier = join(directory, "network-is-up");
    await writeFile(networkBarrier, "");
    await using runner = await systemRunner("status-net", { docker: engine, status: { image: PROBE, networkBarrier } });
    const networks = async (n: number) => {
      const found = await check(runner, { facts: ["network"], echoContent: String(n) });
      assert.equal(found?.failure, undefined, found?.failure?.message);
      const { facts } = JSON.parse(found?.details.toString() ?? "") as { facts: { network: object } };
      return { disabled: found?.networkDisabled, names: Object.keys(facts.network) };
    };

    const on = await networks(1);
    await rm(networkBarrier);
    const off = await networks(2);

    assert.equal(on.disabled, false);
    assert.ok(on.names.length > 1, String(on.names));
    assert.deepEqual(off, { disabled: true, names: ["lo"] });
  });
});
