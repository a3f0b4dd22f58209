import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { createLog } from "../../core/log.ts";
import { overrideCall, withRegistryToken } from "../../gateway/public.ts";
import { dockerOrSkip } from "../../kiln/testing/docker.ts";
import { fakeRegistry } from "../../kiln/testing/fake-registry.ts";
import { assertFailure, callProbe, probeFunctions } from "../../kiln/testing/probe-calls.ts";
import { startSystem } from "../../kiln/testing/system.ts";
import type { ContainerCreateOptions } from "../../runner/driver/docker/docker-driver.ts";
import type { DriverHook } from "../../runner/driver/driver.ts";

const { engine, skip } = await dockerOrSkip();
const TOKEN = "rennet-of-a-young-calf";

describe("a registry's token that an overrider sets", { skip, timeout: 60_000 }, () => {
  it("pulls the private image, and is in no hook's view, no option of the container, no answer and no log", async (t) => {
    await using registry = await fakeRegistry({ token: TOKEN });
    const image = `${registry.host}/cheese:1`;
    t.after(() =>
      engine
        .getImage(image)
        .remove({ force: true })
        .catch(() => {}),
    );
    const seen: string[] = [];
    const spy: DriverHook<ContainerCreateOptions> = {
      start: (next) => (start, signal) => {
        seen.push(JSON.stringify(start));
        return next(start, signal);
      },
    };
    let token = "";
    await using system = await startSystem({
      docker: engine,
      functions: probeFunctions({ private: { image } }),
      hooks: [spy],
      log: createLog({ level: "debug", write: (line) => void seen.push(line) }),
      overriders: [overrideCall((call) => withRegistryToken(call, token))],
    });
    const failure = { component: "function", status: 502 } as const;

    const without = await callProbe(system, "private");
    assert.equal(((await without.json()) as { code: string }).code, "image_pull_failed");
    assert.equal(
      seen.some((text) => text.includes(image) && text.includes("HostConfig")),
      false,
    );
    token = TOKEN;
    // There is nothing in it to run, so that it is known to have been pulled by how it fails.
    const body = await assertFailure(await callProbe(system, "private"), { ...failure, code: "container_init_failed" });

    seen.push(JSON.stringify(body));
    assert.ok(
      seen.some((text) => text.includes(image) && text.includes("HostConfig")),
      "the hook saw the start",
    );
    assert.deepEqual(
      seen.filter((text) => text.includes(TOKEN)),
      [],
    );
  });
});
