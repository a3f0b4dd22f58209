import assert from "node:assert/strict";
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

  it("has no network while the barrier's file is missing, also in a container that comes after one with a network", async () => {
    const barrier = { image: PROBE, networkBarrier: "/no/such/file" };
    await using without = await systemRunner("status-off", { docker: engine, status: barrier });
    await using with_ = await systemRunner("status-on", { docker: engine, status: { image: PROBE } });
    const networks = (details: Uint8Array | undefined) => {
      const { facts } = JSON.parse(Buffer.from(details ?? []).toString()) as { facts: { network: object } };
      return Object.keys(facts.network);
    };

    const off = await check(without, { facts: ["network"] });
    const on = await check(with_, { facts: ["network"] });

    assert.deepEqual([off?.networkDisabled, networks(off?.details)], [true, ["lo"]]);
    assert.equal(on?.networkDisabled, false);
    assert.ok(networks(on?.details).length > 1, String(networks(on?.details)));
  });
});
